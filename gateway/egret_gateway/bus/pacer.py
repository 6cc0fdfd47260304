"""The gateway's pace: fed by samples and by orders, asked by every bus."""

from __future__ import annotations

import logging
from math import inf
from typing import TYPE_CHECKING

from egret_core.quality import counts
from egret_gateway.bus.pace import STATES, Pace, Paced, Periods, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from egret_core.timescale import Timescale
    from egret_gateway.bus.pace import Trigger
    from egret_gateway.profiles import DeviceSettings
    from egret_gateway.sample import Sample

CUT_S = 1.0  # scaled: what is read faster is worth sending sooner, however dear the link
ORDER_MAX_S = 7 * 86_400.0  # a week: who wants longer says so again, or sets another period
_log = logging.getLogger(__name__)


class Pacer:
    """What all buses of a gateway share of it."""

    def __init__(
        self,
        triggers: Sequence[Trigger],
        devices: Sequence[DeviceSettings],
        timescale: Timescale,
        mono_s: Callable[[], float],
    ) -> None:
        """Store what is given.

        Args:
            triggers: with spans in scaled seconds.
            devices: of all buses; those with faster periods go along.
            timescale: of periods and spans.
            mono_s: the monotonic clock, seconds.
        """
        self._timescale = timescale
        self._mono_s = mono_s
        self._paced = [device for device in devices if device.paced]
        self._stations = sorted({device.station for device in self._paced})
        self._pace = Pace([one.scaled(timescale.real_s) for one in triggers])

    def take(self, key: str, sample: Sample) -> None:
        """Take a sample of `station/channel`; one that does not count moves nothing."""
        if sample.value is not None and counts(sample.flag, sample.reasons):
            self._pace.take(key, sample.value, sample.mono_ms / 1000)

    def order(self, station: str, word: str, for_s: float) -> str:
        """Carry out an order of the centre, and return "" or why it cannot be.

        Args:
            station: whose devices go faster, "" for all.
            word: `normal`, `watch` or `event`.
            for_s: scaled seconds after which it ends by itself.
        """
        if word not in STATES:
            return f"unknown state {word[:20]!r}, known are {', '.join(STATES)}"
        if not 0 < for_s <= ORDER_MAX_S:
            return f"for_s is not over 0 and at most {ORDER_MAX_S:g}"
        chosen = [name for name in self._stations if station in ("", name)]
        if not chosen:
            return f"no device of station {station[:48]!r} has watch_s or event_s"
        now_s, real_s = self._mono_s(), self._timescale.real_s(for_s)
        if all(self._pace.order(name, STATES[word], now_s, real_s) for name in chosen):
            return ""
        return "too many stations are under orders"

    def cut_s(self, samples: Sequence[Sample]) -> float:
        """Return how long samples may wait for their commit, real seconds.

        A bus with a long `cut_s` would else tell of a rising river every ten minutes, though it is
        read every ten seconds.
        """
        now_s, stations = self._mono_s(), {sample.station for sample in samples}
        states = (self._pace.state(name, now_s) for name in stations)
        return self._timescale.real_s(CUT_S) if any(states) else inf

    def states(self) -> Mapping[str, str]:
        """Return the state of every station that has paced devices."""
        now_s = self._mono_s()
        return {name: self._pace.state(name, now_s).word for name in self._stations}

    def tell(self) -> None:
        """Log the stations whose state changed."""
        for change in self._pace.changes(self._stations, self._mono_s()):
            _log.info(
                "event=pace station=%s was=%s now=%s why=%s",
                change.station,
                change.was.word,
                change.now.word,
                change.why,
            )

    def bus(self, devices: Sequence[DeviceSettings]) -> Paced:
        """Return the pace of one bus."""
        periods: dict[str, Periods] = {}
        for device in devices:
            if device.paced:
                of = self._periods(device)
                periods.update((channel.key, of) for channel in device.channels)
        return Paced(self._pace, periods, self.tell)

    def _periods(self, device: DeviceSettings) -> Periods:
        real_s = self._timescale.real_s
        watch_s = device.period_s if device.watch_s is None else device.watch_s
        event_s = watch_s if device.event_s is None else device.event_s
        seconds = (device.period_s, watch_s, event_s)
        return Periods(device.station, dict(zip(State, map(real_s, seconds), strict=True)))
