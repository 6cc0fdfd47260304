"""Any order of events, acts, repeats, restarts and clock steps: what a ledger must never show.

Hypothesis looks for a path on a real file; after every step the whole ledger is folded anew and
compared with the table, and each new line is held against the warnings of the step before.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from rig.events import event
from rig.ledgers import Hands

from egret_aggregator.database import Database
from egret_aggregator.database.warning_rows import Query
from egret_aggregator.warnings import Ledger, audit
from egret_aggregator.warnings.acts import Act, ActRefusedError
from egret_aggregator.warnings.record import STREAMED, Kind, Record
from egret_aggregator.warnings.state import Condition, State, WarningState, summary

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from egret_core.rules.event import ConditionEvent

T = TypeVar("T")

PATHS = 40  # paths tried in one run; each step reads the whole ledger again
STEPS = 30
# Few places and one rule in two versions: most steps shall meet a warning that stands.
SUBJECTS = st.sampled_from(("st1/wl", "gateway/gw1"))
RULES = st.sampled_from(("river-level@1a", "river-level@2b"))
RANKS = st.integers(1, 4)
NOTES = st.sampled_from(("seen on site", "水位已退", "seen on site", "  "))
SEATS = st.sampled_from(("officer:li", "officer:wu", "admin:he"))
KEYS = st.sampled_from(("", "", "", "k1", "k2"))
MOSTLY = st.sampled_from((True, True, True, False))


class LedgerMachine(RuleBasedStateMachine):
    """One ledger in a file, and what was said to it."""

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="egret-ledger-"))
        self.hands = Hands()
        self.minute = 0
        self.said: list[ConditionEvent] = []
        self.before: dict[str, WarningState] = {}
        self.seen = 0
        self._open()

    def teardown(self) -> None:
        self.do(self.database.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    def do(self, what: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(what)

    def _open(self) -> None:
        self.database = Database(self.folder / "egret.db")
        self.do(self.database.open())
        self.ledger = Ledger(self.database, self.hands.now_ms)
        self.do(self.ledger.open())

    def _say(self, *events: ConditionEvent) -> None:
        self.do(self.ledger.take(events))
        self.said += events

    def _picked(self, pick: int) -> WarningState:
        """Return a warning, one that stands where there is any."""
        standing = [w for w in self.before.values() if w.state is not State.CLOSED]
        found = standing if standing and pick % 5 else list(self.before.values())
        return found[pick % len(found)]

    @rule(subject=SUBJECTS, name=RULES, rank=RANKS, sure=st.booleans(), first=st.booleans())
    def rise(self, subject: str, name: str, rank: int, *, sure: bool, first: bool) -> None:
        self.minute += 1
        phase = "settled" if sure else "provisional"
        change = "raised" if first else "upgraded"
        self._say(event(change, rank, self.minute, phase=phase, subject=subject, rule=name))

    @precondition(lambda self: self.before)
    @rule(pick=st.integers(0, 10_000), rank=st.integers(0, 3), version=RULES)
    def fall(self, pick: int, rank: int, version: str) -> None:
        self.minute += 1
        subject = self._picked(pick).subject
        change = "eased" if rank else "returned"
        self._say(event(change, rank, self.minute, subject=subject, rule=version))

    @precondition(lambda self: any(e.phase == "provisional" for e in self.said))
    @rule(pick=st.integers(0, 10_000), rank=RANKS, proves=st.booleans())
    def settle(self, pick: int, rank: int, *, proves: bool) -> None:
        guesses = [e for e in self.said if e.phase == "provisional"]
        named = guesses[pick % len(guesses)]
        self.minute += 1
        self._say(
            event(
                "raised",
                rank if proves else named.rank,
                self.minute,
                phase="settled" if proves else "refuted",
                names=named,
                subject=named.subject,
                rule=named.rule,
            )
        )

    @precondition(lambda self: self.said)
    @rule(start=st.integers(0, 10_000))
    def judge_again(self, start: int) -> None:
        head = self.ledger.head
        self.do(self.ledger.take(self.said[start % len(self.said) :]))
        assert self.ledger.head == head, "a repeated event made a line"

    @rule(what=st.sampled_from(("restart", "clock steps back", "something else is noted")))
    def disturb(self, what: str) -> None:
        if what == "clock steps back":
            self.hands.at_ms -= 3_600_000
        elif what == "something else is noted":
            self.do(self.ledger.note("console", Kind.TOKEN_ADDED, {"n": self.minute}))
        else:
            head = self.ledger.head
            self.do(self.database.close())
            self._open()
            assert self.ledger.head == head

    @precondition(lambda self: self.before)
    @rule(pick=st.integers(0, 10_000), seat=SEATS, current=MOSTLY)
    def acknowledge(self, pick: int, seat: str, *, current: bool) -> None:
        warning = self._picked(pick)
        seen = None if current else warning.last_seq - 1
        self._try(Act(Kind.ACKNOWLEDGED, warning.id, seat, expected_seq=seen))

    @precondition(lambda self: self.before)
    @rule(pick=st.integers(0, 10_000), seat=SEATS, note=NOTES, rank=RANKS, despite=MOSTLY)
    def lower(self, pick: int, seat: str, note: str, rank: int, *, despite: bool) -> None:
        warning = self._picked(pick)
        levels = sorted(warning.levels, key=lambda label: warning.levels[label])
        level = levels[0] if rank > 2 else (*levels, "puce")[rank % (len(levels) + 1)]
        self._try(
            Act(Kind.LOWERED, warning.id, seat, note=note, level=level, despite_condition=despite)
        )

    @precondition(lambda self: self.before)
    @rule(pick=st.integers(0, 10_000), seat=SEATS, note=NOTES, despite=MOSTLY, key=KEYS)
    def close(self, pick: int, seat: str, note: str, key: str, *, despite: bool) -> None:
        warning = self._picked(pick)
        self._try(Act(Kind.CLOSED, warning.id, seat, note=note, despite_condition=despite, key=key))

    def _try(self, act: Act) -> None:
        head = self.ledger.head
        try:
            acted = self.do(self.ledger.act(act))
        except ActRefusedError:
            assert self.ledger.head == head, "a refused act was recorded"
            return
        assert acted.repeated == (self.ledger.head == head)
        assert (acted.record.actor, acted.state.id) == (act.actor, act.warning)
        assert act.expected_seq is None, "an act on what its person had not seen"

    @invariant()
    def the_fold_of_the_ledger_is_the_table(self) -> None:
        report = self.do(audit.verify(self.database))
        assert report.findings == []
        assert report.head == self.ledger.head

    @invariant()
    def every_line_is_a_step_somebody_answers_for(self) -> None:
        lines = self.do(self.ledger.after(self.seen, 1000))
        now = {warning.id: warning for warning in self.do(self.ledger.find(Query(limit=1000)))}
        for line in lines:
            assert line.kind in STREAMED
            assert line.actor
            assert line.time_ms > 0
            self._answers(line)
        for id_, after in now.items():
            own = [line for line in lines if line.warning == id_]
            self._follows(self.before.get(id_), after, own)
        assert self.before.keys() <= now.keys(), "a warning is gone"
        standing = [(w.rule, w.subject) for w in now.values() if w.state is not State.CLOSED]
        assert len(set(standing)) == len(standing), "two warnings of one rule at one place"
        self.before, self.seen = now, self.ledger.head.seq

    def _answers(self, line: Record) -> None:
        """Hold one line against what every transition owes: actor, time, rule, evidence."""
        content = line.content
        if line.kind == Kind.EVENT:
            told = content["event"]
            assert line.actor == f"rule:{told['rule']}"
            assert "@" in told["rule"]
            assert told["reason"]
            assert told["evidence"]["unit"] == "m"
        else:
            assert line.actor.split(":")[0] in ("officer", "admin")
            assert content["from_level"]
            assert line.kind == Kind.ACKNOWLEDGED or content["note"].strip()
        after = content.get("after")
        assert (after is not None) == bool(line.warning)
        assert after is None or after["id"] == line.warning

    def _follows(
        self, before: WarningState | None, after: WarningState, lines: list[Record]
    ) -> None:
        kinds = {line.kind for line in lines}
        if lines:
            told = lines[-1].content["after"]
            assert told == summary(after)
            assert (after.last_seq, after.changed_ms) == (lines[-1].seq, lines[-1].time_ms)
        else:
            assert after == before, "a warning changed without a line"
        if before is None:
            assert kinds == {Kind.EVENT}
            assert (after.state, after.opened_seq) == (State.OPEN, lines[0].seq)
            return
        if after.rank < before.rank:
            assert Kind.LOWERED in kinds, "a level fell without a person"
            assert after.lowered != before.lowered
        if after.rank > before.rank:
            assert kinds == {Kind.EVENT}, "a person raised a level"
            assert after.state is State.OPEN, "a rise that nobody has to acknowledge"
        if after.state is State.CLOSED and before.state is not State.CLOSED:
            assert kinds == {Kind.CLOSED}, "closed without a person"
        if before.state is State.CLOSED:
            assert after.state is State.CLOSED, "a closed warning came back"
            assert (after.level, after.closed) == (before.level, before.closed)
        assert after.peak_rank == max(before.peak_rank, after.rank)
        if before.condition is Condition.RETURNED and before.phase == "settled":
            assert after.condition is not Condition.REFUTED, "what was true became a false alarm"


LedgerMachine.TestCase.settings = settings(
    max_examples=PATHS,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestLedgerMachine = LedgerMachine.TestCase
