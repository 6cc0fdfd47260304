"""Rules that begin cold at a change, and how history from the store warms them.

For each channel with such rules a `Warmup` says which span to read; what was read is fed in time
order and leaves state only (`egret_core.rules.warming`). Whoever feeds it saves the state before
the next item of the journal: history is read once, and what follows from it is said from saved
state, so that a replay says the same.
"""

from __future__ import annotations

from collections import deque
from copy import deepcopy
from typing import TYPE_CHECKING

from egret_core.quality import Reason, counts, is_base, is_good
from egret_core.rules.absence import KEPT_MAX
from egret_core.rules.model import AHEAD_MS, AbsenceLaw, IndexLaw, JointLaw, LadderLaw
from egret_core.rules.windows import reach_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from egret_core.messages import ChannelMeta
    from egret_core.reading import Reading
    from egret_core.rules.channel import Channel
    from egret_core.rules.model import BoundRule, ChannelPlace, Law

INDEX_SLACK_MS = 86_400_000  # the first reading of a span may be a day into it
_MAINTENANCE = int(Reason.MAINTENANCE)
LAST_GOOD_MS = 86_400_000  # how far back a silent channel's last good reading is looked for: a day


def span_ms(law: Law) -> int:
    """Return how much history a law can need, ms."""
    if isinstance(law, LadderLaw):
        return longest_wait_ms(law) + law.gap_ms
    if isinstance(law, AbsenceLaw):
        return max(limit_ms for _, limit_ms in law.levels)
    if isinstance(law, IndexLaw):
        return law.span_ms + longest_wait_ms(law.ladder) + law.ladder.gap_ms + INDEX_SLACK_MS
    if isinstance(law, JointLaw):
        return 0  # it takes the levels that hold already
    # A jump over a gap counts in a window that reaches over it: it began so much earlier.
    longest_ms = max(one.window_ms for level in law.levels for one in level.sums)
    return longest_ms + reach_ms(longest_ms) + law.dry_ms


def longest_wait_ms(law: LadderLaw) -> int:
    """Return the longest persistence and hold of a ladder together, ms; a flap not counted."""
    needs = [law.persistence_ms, *(rung.persistence_ms or 0 for rung in law.rungs)]
    holds = [law.hold_ms, *(rung.hold_ms or 0 for rung in law.rungs)]
    return max(needs) + max(holds)


class Warmup:
    """The cold rules of one channel.

    Args:
        channel: as bound by the change; rules: its cold ones.
        at: when the change took effect and running time then, ms.
        fresh: no state of the channel goes on, so that its own times come from history too.
    """

    def __init__(
        self, channel: Channel, rules: Iterable[BoundRule], at: tuple[int, int], *, fresh: bool
    ) -> None:
        rules = tuple(rules)
        names = {rule.name for rule in rules}
        self._channel = channel
        self._change_ms, self._running_ms = at
        self._fresh = fresh
        self._span_ms = max(span_ms(rule.law) for rule in rules)
        self._cold = [part for part in channel.detectors if part.rule in names]
        self._absences = [part for part in channel.absences if part.rule in names]
        self._good_ms: int | None = None
        self._kept_ms: deque[int] = deque(maxlen=KEPT_MAX)  # of maintenance since then
        self._until_ms = at[0]
        self._blank = deepcopy(channel.dump())

    @property
    def place(self) -> ChannelPlace:
        """The channel's place."""
        return self._channel.place

    @property
    def span_ms(self) -> int:
        """How far back it looks, ms."""
        return self._span_ms

    @property
    def received_by_ms(self) -> int:
        """History is what was received by then, ms; what came after comes by the journal."""
        return self._change_ms

    def learn(self, fact: ChannelMeta) -> None:
        """Take what its gateway told of a channel before it was in the catalogue."""
        if self._fresh:
            self._channel.meta(fact.quantity, fact.datum, fact.cut_s, fact.period_s)

    def begin(self) -> tuple[int, int]:
        """Make ready; return [from, to), ms, of the history to feed, empty for none."""
        if self._channel.misfit:
            return 0, 0
        self._until_ms = self._channel.warm([part.rule for part in self._cold], self._change_ms)
        return self._change_ms - self._span_ms, self._change_ms + AHEAD_MS + 1

    def feed(self, readings: Iterable[Reading]) -> None:
        """Take history; readings in time order, times never go back."""
        channel = self._channel
        for _, _, time_ms, value, _, flag, reasons in readings:
            if is_good(flag, reasons):
                self._good_ms = time_ms
                self._kept_ms.clear()
            elif reasons & _MAINTENANCE:
                self._kept_ms.append(time_ms)
            if self._fresh:
                channel.recall(time_ms)
            base = is_base(flag, reasons)
            if value is not None and (base or counts(flag, reasons)):
                self._learn(time_ms, value, base=base)

    def earlier(self) -> tuple[int, int]:
        """Return [from, to), ms, where the last good reading may be; empty where none is wanted."""
        end_ms = self._change_ms - self._span_ms
        start_ms = self._change_ms - LAST_GOOD_MS
        wanted = self._absences and self._good_ms is None and not self._channel.misfit
        return (start_ms, end_ms) if wanted and start_ms < end_ms else (0, 0)

    def glance(self, readings: Iterable[Reading]) -> None:
        """Take what `earlier` asked for."""
        for reading in readings:
            if is_good(reading.flag, reading.reasons):
                self._good_ms = reading.time_ms

    def end(self) -> None:
        """All history is in: let the silence count from the last good reading."""
        if self._good_ms is not None:
            for absence in self._absences:
                absence.known(min(self._good_ms, self._change_ms), self._kept_ms)

    def abandon(self) -> None:
        """Go on cold: part of a history is worse than none."""
        self._channel.forget(self._blank)

    def _learn(self, time_ms: int, value: float, *, base: bool) -> None:
        channel = self._channel
        if not self._fresh:
            (channel.teach_base if base else channel.teach)(time_ms, value)
        elif time_ms <= self._until_ms:
            if not base or channel.based:
                channel.recall_settled(time_ms, value, base=base)
        elif not base or channel.based:
            channel.recall_waiting(time_ms, value, self._running_ms, base=base)
