"""The second fold over a store in memory: what the centre does with late readings, without it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rig.rulebook import Arrival, at, fold_of, place, reading, timeline

from egret_core.rules import retrospect
from egret_core.rules.step import Change, Fold, Receipt, Tick, step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from egret_core.reading import Reading
    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.model import BoundRule, ChannelPlace
    from egret_core.rules.retrospect import LookBack
    from egret_core.rules.step import Item


class Archive:
    """Readings by identity with their receipt; the first value of an identity stays."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], dict[int, tuple[int, Reading]]] = {}

    def keep(self, receipt: Receipt) -> None:
        for one in receipt.readings:
            series = self._rows.setdefault((one.station, one.channel), {})
            series.setdefault(one.time_ms, (receipt.received_ms, one))

    def late(self, look: LookBack) -> list[Reading]:
        """Return what the centre would read for it."""
        series, span = self._rows[look.place.station, look.place.channel], look.span
        return [
            one
            for time_ms, (received_ms, one) in sorted(series.items())
            if look.reached_ms < time_ms and span.received_ms <= received_ms <= span.by_ms
        ]


class Watch:
    """A fold that looks back at its ticks; it may be thrown away and read back at any item."""

    def __init__(self, places: Sequence[ChannelPlace], rules: Sequence[BoundRule]) -> None:
        self._places, self._rules = places, rules
        self.fold = fold_of(places, rules)
        self.archive = Archive()
        self.looked: list[LookBack] = []
        self._disk: dict[str, bytes | None] = {}

    def play(self, items: Iterable[Item], cuts: Iterable[int] = ()) -> list[ConditionEvent]:
        """Return what it says; the fold is read back from its saved state after these items."""
        out: list[ConditionEvent] = []
        kills = set(cuts)
        for index, item in enumerate(items):
            if isinstance(item, Receipt):
                self.archive.keep(item)
            out += step(self.fold, item)[1]
            if isinstance(item, Tick):
                self._look_back(item.now_ms)
            if index in kills:
                self.restart()
        return out

    def restart(self) -> None:
        self._disk.update(self.fold.changed())
        self.fold = Fold()
        step(self.fold, Change(self._places, self._rules, 0))
        state = {key: body for key, body in self._disk.items() if body is not None}
        for body in state.values():
            assert json.loads(body) is not None
        self.fold.restore(state)

    def _look_back(self, now_ms: int) -> None:
        self._end(retrospect.due(self.fold, now_ms, 16), now_ms)

    def _end(self, due: list[LookBack], now_ms: int) -> list[LookBack]:
        """Read, hand over, and return those that the channel has left behind."""
        for look in due:
            rows = self.archive.late(look)
            look.feed(rows)
            look.go_on(one for one in rows if one.time_ms >= look.span.to_ms)
        behind = retrospect.end(self.fold, due, now_ms).behind
        self.looked += [look for look in due if look not in behind]
        return behind


class SlowWatch(Watch):
    """A watch over a slow store: what is due is handed over so many items later.

    Args:
        delays: items until each reading of the store has ended; none when they are used up.
    """

    def __init__(
        self, places: Sequence[ChannelPlace], rules: Sequence[BoundRule], delays: Iterable[int]
    ) -> None:
        super().__init__(places, rules)
        self._delays = iter(delays)
        self._asked: list[LookBack] = []
        self._left = 0

    @property
    def reading(self) -> bool:
        """Whether a second fold was begun and not handed over."""
        return bool(self._asked)

    def play(self, items: Iterable[Item], cuts: Iterable[int] = ()) -> list[ConditionEvent]:
        return super().play(self._counted(items), cuts)

    def restart(self) -> None:
        super().restart()
        self._asked = []

    def _counted(self, items: Iterable[Item]) -> Iterator[Item]:
        for item in items:
            self._left -= 1
            yield item

    def _look_back(self, now_ms: int) -> None:
        if self._asked and self._left <= 0:
            self._ask(self._end(self._asked, now_ms))
        if not self._asked:
            self._ask(retrospect.due(self.fold, now_ms, 16))

    def _ask(self, looks: list[LookBack]) -> None:
        self._asked, self._left = looks, next(self._delays, 0) if looks else 0


def backlog(readings: Iterable[Reading], from_s: float, step_s: float = 1.0) -> list[Arrival]:
    """Return readings received one by one from an instant on, however old they are."""
    return [Arrival(at(from_s + step_s * n), one) for n, one in enumerate(readings)]


def past(events: Iterable[ConditionEvent]) -> list[ConditionEvent]:
    return [event for event in events if event.retrospective]


def live(events: Iterable[ConditionEvent]) -> list[ConditionEvent]:
    return [event for event in events if not event.retrospective]


def watched(arrivals: Iterable[Arrival], rule: BoundRule) -> tuple[Watch, list[ConditionEvent]]:
    """Play arrivals, ordered by their receipt, and five minutes more."""
    watch = Watch([place(), place("rn", "rain_total")], [rule])
    rows = sorted(arrivals, key=lambda one: one.received_ms)
    return watch, watch.play(timeline(rows, tail_s=300))


def falls(*tenths: int, from_s: float = 0, step_s: float = 60, before: int = 1000) -> list[Reading]:
    """A rain total that grows by so many tenths of a mm at each step."""
    out, total = [], before
    for n, tenth in enumerate(tenths):
        total += tenth
        out.append(reading(from_s + step_s * n, total / 10, place("rn", "rain_total")))
    return out
