"""The centre's screening of one channel, before its detectors see a value.

Values are screened as they settle, in event time, so that order of arrival changes no flag. The
centre's flags stand beside the gateway's and never replace them. What fails raises no hazard and
ends no absence; what is suspect counts, and what it raises says so (`screening`, `unconfirmed`).
A level does not wait for a test that needs the next value: the correction of a spike is a fact
that comes after, and takes nothing back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core.quality import Flag, Reason, bit_names
from egret_core.rules.event import Phase
from egret_core.screening.chain import Chain, Flagged
from egret_core.screening.clock import check_clock
from egret_core.screening.law import ScreeningLaw
from egret_core.screening.neighbours import check_neighbours
from egret_core.screening.trail import Trail
from egret_core.screening.verdict import GOOD, Verdict, combined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.reading import Reading
    from egret_core.rules.absence import Absence
    from egret_core.rules.channel import Channel, Detector
    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.model import ChannelPlace

FLAGS_MAX = 32  # newest flags of a channel that are kept to be shown
DOUBTS_MAX = 64  # doubts about readings that wait: as many as identities ahead are remembered
FAIL = int(Flag.FAIL)
_SUSPECT = int(Flag.SUSPECT)
_GAP = int(Reason.GAP)
REASONS = (  # every reason that the centre's screening can give for a doubt
    *(Reason.RANGE, Reason.SEASONAL, Reason.SPIKE, Reason.RATE, Reason.FLAT_LINE),
    *(Reason.NEIGHBOUR, Reason.COUNTER_RESET, Reason.CLOCK),
)
_NOTHING = ScreeningLaw()


class Shown(NamedTuple):
    """What people are shown of it.

    Attributes:
        flags: the newest values that are not simply good, oldest first.
        counts: by reason, how many values it made suspect and how many it failed.
    """

    flags: Sequence[Flagged]
    counts: Mapping[str, Sequence[int]]


class Screened:
    """The state of one channel's screening.

    Attributes:
        counts: by reason, how many values it made suspect and how many it failed.
        flags: the newest values that are not simply good; trail: what others may ask.
    """

    __slots__ = (
        "_chain",
        "_doubts",
        "_law",
        "_movement",
        "_neighbours",
        "_past",
        "_quantity",
        "_waiting",
        "counts",
        "flags",
        "trail",
    )

    def __init__(self, place: ChannelPlace) -> None:
        # One that is only asked by others is not tested itself.
        self._law = place.screening if place.screening is not None else _NOTHING
        self._quantity = place.quantity if place.screening is not None else ""
        self._chain = Chain(self._law, self._quantity)
        self._past = self._chain
        self._doubts: dict[int, Verdict] = {}
        self._waiting: dict[int, tuple[int, int]] = {}  # good ones: receipt, running time then
        self._movement: list[Trail] = []
        self._neighbours: list[Trail] = []
        self.counts: dict[str, list[int]] = {}
        self.flags: deque[Flagged] = deque(maxlen=FLAGS_MAX)
        self.trail: Trail | None = None

    @property
    def of_total(self) -> bool:
        """Whether a total that was read during maintenance moves its tests."""
        return self._chain.of_total

    def hear(self, late_ms: int) -> int:
        """Take the allowed lateness; return how long a value waits to be found good, ms."""
        if self.trail is not None:
            self.trail.late_ms = late_ms
        return late_ms if self._law.fails_late else 0

    def good(self, time_ms: int, reading: Reading, receipt: tuple[int, int], *, late: bool) -> bool:
        """Tell at receipt whether a reading ends an absence, as far as is known by then.

        Where a test may fail it by what came before, that is said when it settles (`settle`).

        Args:
            time_ms: at which it is judged.
            reading: as received, in its gateway's word a good one.
            receipt: when it was received, and running time then, ms.
            late: it will not be settled any more.
        """
        if self._law is _NOTHING:
            return True
        value = reading.value
        if value is None or self._chain.alone(time_ms, value).flag == FAIL:
            return False
        if not late:
            self._doubt(time_ms, check_clock(reading.time_ms, receipt[0]))
        if self._law.fails_late and not late:
            self._waiting.setdefault(time_ms, receipt)
        return not self._law.fails_late

    def alert(self, detector: Detector, time_ms: int, value: float) -> ConditionEvent | None:
        """Return the provisional event of an unsettled value, by what is settled so far."""
        peek = Chain(self._law, self._quantity)
        peek.restore(self._chain.dump())
        doubts = self._asked(time_ms, value)
        said, _ = peek.take(time_ms, value, doubts, expected=self._due(time_ms))
        if said.flag == FAIL:
            return None
        event = detector.alert(time_ms, value)
        return event if event is None else _marked(event, said)

    def settle(
        self, time_ms: int, value: float, absences: Sequence[Absence], out: list[ConditionEvent]
    ) -> Flagged:
        """Screen the next value in time order; tell the absences whether it was a good one."""
        doubts = self._asked(time_ms, value)
        expected = not self._movement or self._due(time_ms)
        said, corrected = self._chain.take(time_ms, value, doubts, expected=expected)
        if corrected is not None:
            self._correct(corrected)
        if said.reasons:
            self.flags.append(said)
            if not said.provisional:
                self._count(said)
        if said.flag != FAIL and self.trail is not None:
            self.trail.take(time_ms, value)
        if self._doubts:
            self._doubts.pop(time_ms, None)
        receipt = self._waiting.pop(time_ms, None)
        if receipt is not None:
            _tell(absences, said, receipt, out)
        return said

    def rebase(self, time_ms: int, value: float) -> None:
        """Take a total that was read during maintenance: what it rose by is nobody's doubt."""
        corrected = self._chain.rebase(time_ms, value)
        if corrected is not None:
            self._correct(corrected)

    def begin_past(self) -> None:
        """Make ready for history: its values are screened apart from those of today."""
        self._past = Chain(self._law, self._quantity)

    def past(self, time_ms: int, value: float) -> bool:
        """Tell whether a value of history may be judged; its flags are not shown."""
        return self._past.take(time_ms, value)[0].flag != FAIL

    def past_base(self, time_ms: int, value: float) -> None:
        """Take a total of history that was read during maintenance."""
        self._past.rebase(time_ms, value)

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {
            "law": self._law.version,
            "chain": self._chain.dump(),
            "doubts": list(self._doubts.items()),
            "waiting": [[time_ms, *receipt] for time_ms, receipt in self._waiting.items()],
            "counts": self.counts,
            "flags": list(self.flags),
            "trail": self.trail.dump() if self.trail is not None else [],
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take a state that `dump` returned; under another law the tests begin anew."""
        if saved["law"] == self._law.version:
            self._chain.restore(saved["chain"])
        self._doubts = {row[0]: Verdict(*row[1]) for row in saved["doubts"]}
        self._waiting = {row[0]: (row[1], row[2]) for row in saved["waiting"]}
        self.counts = {reason: list(pair) for reason, pair in saved["counts"].items()}
        self.flags = deque((Flagged(*row) for row in saved["flags"]), maxlen=FLAGS_MAX)
        if self.trail is not None:
            self.trail.restore(saved["trail"])

    def ask(self, trails: Mapping[tuple[str, str], Trail]) -> None:
        """Take the trails of the channels that its law names."""
        law = self._law
        self._movement = [trails[pair] for pair in law.movement]
        beside = law.neighbours.channels if law.neighbours is not None else ()
        self._neighbours = [trails[pair] for pair in beside]

    def _due(self, time_ms: int) -> bool:
        """Tell whether there is a reason to expect movement."""
        flat = self._law.flat
        if flat is None or not self._movement:
            return True
        return any(trail.moved(time_ms, flat.suspect_ms) for trail in self._movement)

    def _asked(self, time_ms: int, value: float) -> Verdict:
        """Return what the clock and the neighbours say of a value."""
        clock = self._doubts.get(time_ms, GOOD)
        law = self._law.neighbours
        if law is None:
            return clock
        beside = [trail.latest(time_ms) for trail in self._neighbours]
        return combined(clock, check_neighbours(value, beside, law.off_by, law.least))

    def _doubt(self, time_ms: int, verdict: Verdict) -> None:
        """Keep what was seen of a reading at its receipt until it is settled."""
        if verdict.flag == _SUSPECT:
            self._doubts[time_ms] = verdict
            if len(self._doubts) > DOUBTS_MAX:
                del self._doubts[next(iter(self._doubts))]

    def _correct(self, said: Flagged) -> None:
        """Take the last word on a value that waited for its next one."""
        flags = self.flags
        at = len(flags) - 1
        while at >= 0 and flags[at].time_ms > said.time_ms:
            at -= 1
        if at >= 0 and flags[at].time_ms == said.time_ms and flags[at].provisional:
            if said.reasons:
                flags[at] = said
            else:
                del flags[at]
            self._count(said)

    def _count(self, said: Flagged) -> None:
        if said.flag in (_SUSPECT, FAIL):
            for name in _names(said.reasons):
                pair = self.counts.setdefault(name, [0, 0])
                pair[said.flag == FAIL] += 1


def _tell(
    absences: Sequence[Absence], said: Flagged, receipt: tuple[int, int], out: list[ConditionEvent]
) -> None:
    """Tell what a receipt was, now that it is known."""
    for absence in absences:
        if said.flag != FAIL:
            absence.good(said.time_ms, *receipt, out)


def mark(out: list[ConditionEvent], start: int, said: Flagged) -> None:
    """Write the doubt about a value into the events that it led to."""
    for at in range(start, len(out)):
        if out[at].phase is not Phase.REFUTED:
            out[at] = _marked(out[at], said)


def _marked(event: ConditionEvent, said: Flagged) -> ConditionEvent:
    """Return the event with the doubt about the value that decided it."""
    if said.flag != _SUSPECT:
        return event
    doubt = {"screening": list(_names(said.reasons)), "unconfirmed": True}
    return replace(event, evidence={**event.evidence, **doubt})


@lru_cache(maxsize=256)  # few sets of reasons come again and again
def _names(reasons: int) -> tuple[str, ...]:
    """Return why a value is doubted; a gap before it is no doubt."""
    return tuple(name.lower() for name in bit_names(reasons & ~_GAP, Reason))


def join(channels: Mapping[str, Mapping[str, Channel]]) -> None:
    """Let every channel ask those that its screening names."""
    asking = [
        (channel.screen, channel.place.screening)
        for here in channels.values()
        for channel in here.values()
        if channel.screen is not None and channel.place.screening is not None
    ]
    look_back_ms: dict[tuple[str, str], int] = {}
    for _, law in asking:
        for pair in law.company:
            look_back_ms[pair] = max(law.look_back_ms, look_back_ms.get(pair, 0))
    trails = {pair: Trail(span_ms) for pair, span_ms in look_back_ms.items()}
    for (station, name), trail in trails.items():
        source = channels[station][name]
        screen = source.screen
        if screen is None:
            screen = Screened(source.place)
            source.screened_by(screen)
        screen.trail = trail
        source.hear()
    for screen, _ in asking:
        screen.ask(trails)
