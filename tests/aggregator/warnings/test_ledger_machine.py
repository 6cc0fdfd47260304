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

PATHS = 15  # paths tried in one run; each step reads the whole ledger again
STEPS = 25
SUBJECTS = st.sampled_from(("st1/wl", "st2/wl", "gateway/gw1"))
RULES = st.sampled_from(("river-level@1a", "river-level@2b", "absence@1a"))
RANKS = st.integers(1, 4)
NOTES = st.sampled_from(("", "  ", "seen on site", "水位已退"))
SEATS = st.sampled_from(("officer:li", "officer:wu", "admin:he"))
KEYS = st.sampled_from(("", "", "k1", "k2"))


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

    @rule(subject=SUBJECTS, name=RULES, rank=RANKS, sure=st.booleans(), first=st.booleans())
    def rise(self, subject: str, name: str, rank: int, *, sure: bool, first: bool) -> None:
        self.minute += 1
        phase = "settled" if sure else "provisional"
        change = "raised" if first else "upgraded"
        self._say(event(change, rank, self.minute, phase=phase, subject=subject, rule=name))

    @rule(subject=SUBJECTS, name=RULES, rank=st.integers(0, 3))
    def fall(self, subject: str, name: str, rank: int) -> None:
        self.minute += 1
        change = "eased" if rank else "returned"
        self._say(event(change, rank, self.minute, subject=subject, rule=name))

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

    @rule()
    def restart(self) -> None:
        head = self.ledger.head
        self.do(self.database.close())
        self._open()
        assert self.ledger.head == head

    @rule(back_ms=st.integers(1, 3_600_000))
    def clock_steps_back(self, back_ms: int) -> None:
        self.hands.at_ms -= back_ms

    @rule(actor=SEATS)
    def something_else_is_noted(self, actor: str) -> None:
        self.do(self.ledger.note(actor, Kind.TOKEN_ADDED, {"n": self.minute}))

    @precondition(lambda self: self.before)
    @rule(
        pick=st.integers(0, 10_000),
        kind=st.sampled_from((Kind.ACKNOWLEDGED, Kind.LOWERED, Kind.CLOSED)),
        seat=SEATS,
        note=NOTES,
        level=st.sampled_from(("blue", "yellow", "orange", "red", "puce")),
        despite=st.booleans(),
        key=KEYS,
        stale=st.booleans(),
    )
    def act(self, pick: int, kind: Kind, seat: str, note: str, level: str, **more: Any) -> None:
        warning = list(self.before.values())[pick % len(self.before)]
        act = Act(
            kind,
            warning.id,
            seat,
            note=note,
            level=level if kind is Kind.LOWERED else "",
            despite_condition=more["despite"],
            key=more["key"],
            expected_seq=warning.last_seq - 1 if more["stale"] else None,
        )
        head = self.ledger.head
        try:
            acted = self.do(self.ledger.act(act))
        except ActRefusedError:
            assert self.ledger.head == head, "a refused act was recorded"
            return
        assert acted.repeated == (self.ledger.head == head)
        assert acted.record.actor == seat
        assert acted.state.id == warning.id
        assert more["stale"] is False or acted.repeated

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
