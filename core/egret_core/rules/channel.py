"""One channel's fold: readings as they come, put in time order, then through its detectors.

The watermark is the newest reading's time minus the allowed lateness. What it has passed is
settled and goes through the detectors in time order; so does what has waited that long in running
time. A reading at or behind it is late: it changes no state and is counted. A reading more than
60 s ahead of its receipt is taken at its receipt and never moves the watermark. Of one identity
the first reading stays. Where the catalogue says so, what settles is screened before the detectors
see it (`egret_core.rules.screened`).
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from math import inf
from typing import TYPE_CHECKING, Any

from egret_core.quality import Reason, counts, is_base, is_good
from egret_core.rules.absence import silence
from egret_core.rules.backlog import NO_BACKLOG, Backlog
from egret_core.rules.index import Graded, Standing
from egret_core.rules.ladder import Ladder
from egret_core.rules.model import AHEAD_MS, CUT_S
from egret_core.rules.order import WAITING_MAX, default_late_ms, place_in
from egret_core.rules.presence import Presence
from egret_core.rules.rain import Rain
from egret_core.rules.screened import FAIL, Screened, mark
from egret_core.rules.warming import Warmings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sized

    from egret_core.reading import Reading
    from egret_core.rules.absence import Absence
    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.model import ChannelPlace
    from egret_core.rules.order import Waiting
    from egret_core.screening.chain import Flagged

AHEAD_MAX = 64  # identities of readings ahead of their receipt that are remembered
SNAPSHOT_GAP_MS = 900_000  # a silence worth a snapshot: 15 min, and thrice the step before it
_MAINTENANCE = int(Reason.MAINTENANCE)
_NO_TIME = -(2**62)

Detector = Ladder | Rain | Graded


class Channel:
    """The state of one channel of `place`; settled to `frontier_ms`, idle to running `wake_ms`."""

    __slots__ = (
        *("_ahead", "_aside", "_bases", "_careful", "_newest_ms", "_step_ms", "_told"),
        *("_waiting", "_wake_in_ms", "absences", "ahead", "backlog", "based", "detectors"),
        *("dirty", "frontier_ms", "gateway", "graded", "late_ms", "misfit", "period_s", "place"),
        *("presence", "screen", "settled_ms", "sums", "taken_ms", "wake_ms", "warming"),
    )

    def __init__(
        self, place: ChannelPlace, detectors: Iterable[Detector], absences: Iterable[Absence]
    ) -> None:
        self.place = place
        self.gateway = place.gateway
        self.detectors = tuple(detectors)
        self.absences = tuple(absences)
        self._careful = False  # a reading of it needs a second look: a misfit, or it is screened
        self.late_ms = default_late_ms(place, CUT_S)
        self.sums = tuple(p for p in self.detectors if not isinstance(p, Ladder) and p.of_total)
        self.based = bool(self.sums)  # a total of maintenance is taken: it moves a base
        self.graded = tuple(p for p in self.detectors if isinstance(p, Graded))
        self._bases: set[int] = set()  # identities of those waiting that only move a total's base
        self._told: list[Any] = []  # quantity, datum, cut_s and period_s in its gateway's words
        self._waiting: list[Waiting] = []
        self.warming = Warmings()
        self._aside: Sized = self.warming.by_rule  # empty while detectors see readings as they are
        self.screen: Screened | None = None
        if place.screening is not None:
            self.screened_by(Screened(place))
        self._newest_ms = self.frontier_ms = self.settled_ms = self.taken_ms = _NO_TIME
        self._step_ms = 0
        self._ahead: deque[int] = deque(maxlen=AHEAD_MAX)
        self.ahead, self.misfit, self.period_s = 0, "", place.period_s
        self.presence, self.backlog, self.dirty = Presence(), Backlog(), True
        self.hear()

    def meta(self, quantity: str, datum: str, cut_s: float, period_s: float = 0.0) -> None:
        """Take its gateway's word on the channel; a misfit with the catalogue stops judgement."""
        self._told = [quantity, datum, cut_s, period_s]
        self.period_s = period_s or self.place.period_s
        self.misfit = self.place.misfit(quantity, datum)
        self._careful = bool(self.misfit) or self.screen is not None
        self.late_ms = default_late_ms(self.place, cut_s)
        self.hear()
        self.dirty = True

    def screened_by(self, screen: Screened) -> None:
        """Let the centre screen its values."""
        self.screen, self._careful = screen, True
        self.based = self.based or screen.of_total

    def hear(self) -> None:
        """Hand on the allowed lateness, and how long a value waits to be found good."""
        settling_ms = 0 if self.screen is None else self.screen.hear(self.late_ms)
        for absence in self.absences:
            absence.lateness(self.late_ms, settling_ms)
        least_ms = min([self.late_ms, *(absence.limit_ms for absence in self.absences)])
        self.wake_ms, self._wake_in_ms = -inf, least_ms if self.screen is None else -inf

    def arrive(
        self, reading: Reading, received_ms: int, running_ms: int, out: list[ConditionEvent]
    ) -> None:
        """Take one reading as received; append what it decides and what it settles."""
        self.dirty = True
        wake_ms = running_ms + self._wake_in_ms
        self.wake_ms = wake_ms if wake_ms < self.wake_ms else self.wake_ms  # noqa: FURB136  (a call)
        _, _, own_ms, value, _, flag, reasons = reading
        time_ms = own_ms
        if own_ms > received_ms + AHEAD_MS or own_ms in self._ahead:
            if own_ms in self._ahead:
                return  # a copy, though it may be ahead no more
            time_ms = self._at_receipt(own_ms, received_ms)
        sound = flag == 1 and not reasons and not self._careful  # the common case
        if sound:
            for absence in self.absences:
                absence.good(time_ms, received_ms, running_ms, out)
        else:
            self._doubtful(time_ms, reading, (received_ms, running_ms), out)
        if time_ms <= self.frontier_ms:
            self._too_late(reading, running_ms)
            return
        if own_ms == time_ms and time_ms > self._newest_ms:
            self._newest_ms = time_ms
            self.frontier_ms = max(self.frontier_ms, time_ms - self.late_ms)
        if value is not None and (sound or self._takes(flag, reasons)):
            self._queue((time_ms, own_ms, value, running_ms), reasons, out)
        self._settle_to(self.frontier_ms, out)

    def tick(self, running_ms: int, out: list[ConditionEvent]) -> None:
        """Settle what has waited for the lateness of running time; judge the silence."""
        for item in reversed(self._waiting):
            if running_ms - item[3] >= self.late_ms:
                self._settle_to(item[0], out)
                self.dirty = True
                break
        said = len(out)
        if self.backlog.said:
            out += self.backlog.tell()
        if self.warming.by_rule:
            self.dirty = True
            self.warming.end(self.detectors, self._waiting[0][0] if self._waiting else None, out)
        wake_ms = silence(self.absences, running_ms, out)
        for item in self._waiting:
            wake_ms = min(wake_ms, item[3] + self.late_ms)
        self.wake_ms = -inf if self.warming.by_rule else wake_ms
        self.dirty = self.dirty or len(out) > said

    def continues(self, old: object) -> bool:
        """Tell whether the old subject's state is this one's: same place, quantity and datum."""
        return isinstance(old, Channel) and self.place.identity == old.place.identity

    def warm(self, rules: Iterable[str], change_ms: int) -> int:
        """Let the detectors of these rules take history in silence; return until when, ms."""
        # What is older than the lateness is here by now, in whatever order it came.
        until_ms = max(change_ms - self.late_ms, self.frontier_ms)
        self.warming.begin(rules, until_ms, change_ms)
        if self.screen is not None:
            self.screen.begin_past()
        self.dirty, self.wake_ms = True, -inf
        return until_ms

    def teach(self, time_ms: int, value: float) -> None:
        """Show the warming detectors a settled reading; what waits they see when it settles."""
        if time_ms > self.frontier_ms:
            return
        if self.screen is None or self.screen.past(time_ms, value):
            self.warming.teach(self.detectors, time_ms, value)

    def teach_base(self, time_ms: int, value: float) -> None:
        """Show them a settled total that was read during maintenance."""
        if time_ms > self.frontier_ms:
            return
        if self.screen is not None:
            self.screen.past_base(time_ms, value)
        for detector in self.warming.of(self.sums):
            detector.rebase(time_ms, value)

    def recall(self, time_ms: int) -> None:
        """Note a reading of history, of any quality, on a channel that had none."""
        self._newest_ms = time_ms
        self.frontier_ms = max(self.frontier_ms, time_ms - self.late_ms)

    def recall_settled(self, time_ms: int, value: float, *, base: bool = False) -> None:
        """Settle a reading of history on a channel that had none; `base`: read in maintenance."""
        if base or self.screen is None:
            self._settle(time_ms, value, [], base=base)
        else:
            self._settle_screened(self.screen, time_ms, value, [])
        self.frontier_ms = max(self.frontier_ms, time_ms)

    def recall_waiting(
        self, time_ms: int, value: float, running_ms: int, *, base: bool = False
    ) -> None:
        """Let a reading wait that came too lately to be history; `base`: read in maintenance."""
        insort(self._waiting, (time_ms, time_ms, value, running_ms))
        self.wake_ms = -inf
        if base:
            self._bases.add(time_ms)

    def forget(self, blank: dict[str, Any]) -> None:
        """Go back to what `dump` said before history was taken in."""
        self.restore(blank)
        if self.newest_ms is None:
            self.backlog.snapshots = []

    def standings(self) -> dict[str, str]:
        """Return what its index rules cannot judge now, by rule: warming up, and why not."""
        return {p.rule: str(p.standing) for p in self.graded if p.standing is not Standing.OK}

    def screened(self) -> list[Flagged]:
        """Return the newest flags of the centre, oldest first; the gateway's own are elsewhere."""
        return [] if self.screen is None else list(self.screen.flags)

    @property
    def late(self) -> int:
        """How many readings came too late for the live fold."""
        return self.backlog.late

    @property
    def newest_ms(self) -> int | None:
        """Time of the newest reading of any quality, None before the first."""
        return None if self._newest_ms == _NO_TIME else self._newest_ms

    def withdraw(self, kept: set[str], out: list[ConditionEvent]) -> None:
        """Refute what is left of the rules that are not kept."""
        for part in (*self.detectors, *self.absences):
            if part.rule not in kept:
                part.withdraw(out)

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON values, each rule's under its ``id@version``."""
        return {
            "q": self.place.quantity,
            "d": self.place.datum,
            "told": self._told,
            "times": [self._newest_ms, self.frontier_ms, self.settled_ms, self._step_ms],
            "taken": self.taken_ms,
            "seen": self.presence.dump(),
            "wait": self._waiting,
            "bases": sorted(self._bases),
            "backlog": self.backlog.dump(),
            "ahead": [self.ahead, list(self._ahead)],
            "warming": self.warming.dump(),
            "screen": self.screen.dump() if self.screen is not None else None,
            "rules": {part.rule: part.dump() for part in (*self.detectors, *self.absences)},
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Take a state that `dump` returned; another quantity or datum is a new channel."""
        self.wake_ms = -inf
        if saved["told"]:
            self.meta(*saved["told"])
        if (saved["q"], saved["d"]) != (self.place.quantity, self.place.datum):
            return
        self._newest_ms, self.frontier_ms, self.settled_ms, self._step_ms = saved["times"]
        self.taken_ms = saved.get("taken", self.settled_ms)
        self._waiting = [(row[0], row[1], row[2], row[3]) for row in saved["wait"]]
        self._bases = set(saved.get("bases", ()))
        self.presence.restore(saved.get("seen", ([], None)), screened=self.screen is not None)
        self.backlog.restore(saved.get("backlog") or [*NO_BACKLOG, *saved["late"]])
        self.ahead, ahead = saved["ahead"]
        self._ahead = deque(ahead, AHEAD_MAX)
        for part in (*self.detectors, *self.absences):
            if part.rule in saved["rules"]:
                part.restore(saved["rules"][part.rule])
        self.warming.restore(saved.get("warming", {}), [part.rule for part in self.detectors])
        if self.screen is not None and saved.get("screen"):
            self.screen.restore(saved["screen"])

    def _takes(self, flag: int, reasons: int) -> bool:
        """Tell whether a value is judged, or moves the base of a total's sums."""
        taken = counts(flag, reasons) or (self.based and is_base(flag, reasons))
        return taken and not self.misfit

    def _doubtful(
        self, time_ms: int, reading: Reading, receipt: tuple[int, int], out: list[ConditionEvent]
    ) -> None:
        received_ms, running_ms = receipt
        reasons = reading.reasons
        good = is_good(reading.flag, reasons) and not self.misfit
        if good and self.screen is not None:
            late = time_ms <= self.frontier_ms
            good = self.screen.good(time_ms, reading, receipt, late=late)
        for absence in self.absences:
            if good:
                absence.good(time_ms, received_ms, running_ms, out)
            else:
                absence.doubtful(time_ms, receipt, maintained=bool(reasons & _MAINTENANCE))

    def _queue(self, item: Waiting, reasons: int, out: list[ConditionEvent]) -> None:
        """Let a reading wait for its order; say what it decides alone."""
        if not self._waiting or item[0] > self._waiting[-1][0]:
            self._waiting.append(item)  # the common case, without a call
        elif not place_in(self._waiting, item):
            return
        if reasons & _MAINTENANCE:
            self._bases.add(item[1])
            return
        time_ms, value = item[0], item[2]
        for detector in self.detectors:
            # While a base is still moving, what a total rose by may have been poured.
            if value >= detector.alert_at and not (self._bases and detector.of_total):
                if self.screen is None:
                    event = detector.alert(time_ms, value)
                else:
                    event = self.screen.alert(detector, time_ms, value)
                if event is not None:
                    out.append(event)

    def _at_receipt(self, own_ms: int, received_ms: int) -> int:
        self._ahead.append(own_ms)
        self.ahead += 1
        return max(received_ms, self.frontier_ms + 1)

    def _settle_to(self, time_ms: int, out: list[ConditionEvent]) -> None:
        waiting = self._waiting
        if len(waiting) > WAITING_MAX:
            time_ms = max(time_ms, waiting[WAITING_MAX // 2][0])
        if not waiting or waiting[0][0] > time_ms:
            return
        if self.backlog.said:  # it is older than what settles now: it is told first
            out += self.backlog.tell()
        count, bases = 0, self._bases
        for item in waiting:
            if item[0] > time_ms:
                break
            count += 1
            if bases and item[1] in bases:
                bases.discard(item[1])
                self._settle(item[0], item[2], out, base=True)
            elif self.screen is None:
                self._settle(item[0], item[2], out)
            else:
                self._settle_screened(self.screen, item[0], item[2], out)
        self.frontier_ms = max(self.frontier_ms, waiting[count - 1][0])
        del waiting[:count]

    def _settle(
        self, time_ms: int, value: float, out: list[ConditionEvent], *, base: bool = False
    ) -> None:
        step_ms = time_ms - self.taken_ms
        if step_ms > SNAPSHOT_GAP_MS and step_ms > 3 * self._step_ms > 0:
            states = {part.rule: part.dump() for part in self.detectors}
            self.backlog.keep(self.taken_ms, time_ms, states, None if base else value)
            step_ms = 3 * self._step_ms  # a gap is no usual step
        self.taken_ms, self._step_ms = time_ms, step_ms
        if base:
            screen = (self.screen,) if self.screen is not None else ()
            for part in (*self.sums, *screen):
                part.rebase(time_ms, value)
            return
        if time_ms - self.settled_ms > SNAPSHOT_GAP_MS:
            self.presence.gap(self.settled_ms, time_ms)
        self.settled_ms = time_ms
        if self._aside:
            self.warming.settle(self.detectors, time_ms, value, out)
            return
        for detector in self.detectors:
            if not detector.quiet_from <= value < detector.quiet_below:
                detector.settle(time_ms, value, out)

    def _settle_screened(
        self, screen: Screened, time_ms: int, value: float, out: list[ConditionEvent]
    ) -> None:
        """Settle one reading unless it fails: then it ends no gap either."""
        flagged = screen.settle(time_ms, value, self.absences, out)
        self.presence.take(time_ms, failed=flagged.flag == FAIL)
        if flagged.flag != FAIL:
            said = len(out)
            self._settle(time_ms, value, out)
            mark(out, said, flagged)

    def _too_late(self, reading: Reading, running_ms: int) -> None:
        _, _, time_ms, value, _, flag, reasons = reading
        if time_ms != self.taken_ms:  # else the newest one taken, repeated
            judged = value is not None and self._takes(flag, reasons)
            self.backlog.note(time_ms, running_ms, self.taken_ms, judged=judged)
