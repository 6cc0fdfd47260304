"""Raw numbers of a turn to samples: converted, screened, and with what is remembered of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egret_core.quality import Flag, Reason, worst
from egret_core.screening.gap import GAP_PERIODS, check_gap
from egret_core.screening.verdict import Verdict, combined
from egret_gateway.bus.latest import Latest
from egret_gateway.convert import Converted, to_canonical
from egret_gateway.convert.inputs import NO_INPUTS, ordered
from egret_gateway.limits import TOTALS
from egret_gateway.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from egret_core.timescale import Timescale
    from egret_gateway.bus.line import Turn
    from egret_gateway.convert.derived import DerivedSettings
    from egret_gateway.profiles import ChannelSettings


class Sampled(NamedTuple):
    """Samples, and the counters' memories that changed with them and belong in one commit."""

    samples: list[Sample]
    memory: dict[str, str]


class Sampler:
    """Remembers, of every channel of a bus, what its next value is compared with."""

    def __init__(
        self,
        timescale: Timescale,
        memory: Mapping[str, str],
        maintenance: Callable[[], bool],
        latest: Latest | None = None,
    ) -> None:
        """Store what is given.

        Args:
            timescale: periods are scaled seconds.
            memory: counters' memories at the start, by `station/channel`.
            maintenance: tells whether a technician has declared work on the site.
            latest: the last number of every channel of the gateway; None where a bus is alone.
        """
        self._timescale = timescale
        self._latest = latest or Latest(timescale)
        self._memory = dict(memory)
        self._maintenance = maintenance
        self._lacking: set[str] = set()  # channels whose next number does not have all that fell
        self._last_ms: dict[str, int] = {}
        self._counted_ms: dict[str, int] = {}
        self._watched: dict[str, bool] = {}
        self._worked: set[str] = set()  # totals whose last value was read during maintenance

    def values(
        self,
        turn: Turn,
        raws: Sequence[float | None],
        at_s: float,
        verdicts: Sequence[Verdict] = (),
        *,
        lost: bool = False,
    ) -> Sampled:
        """Return samples of the channels that have a raw number.

        Args:
            turn: whose they are.
            raws: by their place in the turn's channels.
            at_s: monotonic time of the last byte.
            verdicts: what the device itself says of each, () for nothing.
            lost: what was cleared by a read before this one never came: the values are doubtful.
        """
        at_ms = int(at_s * 1000)
        samples: list[Sample] = []
        changed: dict[str, str] = {}
        for index in ordered(turn.channels):
            channel, raw = turn.channels[index], raws[index]
            if raw is None:
                continue
            converted = _with(self._converted(channel, raw, at_ms), verdicts, index)
            if converted.memory:
                self._memory[channel.key] = changed[channel.key] = converted.memory
            sample = self._sample(channel, turn.period_s, at_ms, converted)
            if lost:
                self._lacking.add(channel.key)
            doubted = channel.key in self._lacking
            samples.append(_doubted(sample) if doubted else sample)
            if sample.value is not None:
                self._lacking.discard(channel.key)
            self._latest.note(samples[-1])
        return Sampled([*samples, *self._derived(at_ms)], changed)

    def urgent(
        self,
        turn: Turn,
        raws: Sequence[float | None],
        at_s: float,
        verdicts: Sequence[Verdict] = (),
    ) -> bool:
        """Tell whether a value would travel at once; nothing of it is remembered."""
        if self._maintenance():
            return False
        for index, (channel, raw) in enumerate(zip(turn.channels, raws, strict=True)):
            if raw is None or channel.watch_at is None or self._watched.get(channel.key):
                continue
            # No counter has a watch, so that converting leaves no trace.
            converted = self._converted(channel, raw, int(at_s * 1000))
            if _over(channel.watch_at, _with(converted, verdicts, index)):
                return True
        return False

    def missing(self, channels: Sequence[ChannelSettings], why: Reason, at_s: float) -> Sampled:
        """Return samples that say that there is no value, and why."""
        reasons = int(why) | (int(Reason.MAINTENANCE) if self._maintenance() else 0)
        at_ms = int(at_s * 1000)
        samples = [
            Sample(c.station, c.channel, at_ms, None, None, int(Flag.MISSING), reasons)
            for c in channels
        ]
        for sample in samples:
            self._latest.note(sample)
        return Sampled([*samples, *self._derived(at_ms)], {})

    def _derived(self, at_ms: int) -> list[Sample]:
        """Return the derived channels that these samples made due."""
        found: list[Sample] = []
        while (due := self._latest.due(at_ms)) is not None:
            settings, converted = due
            found.append(self._sample(settings, settings.period_s, at_ms, converted))
            self._latest.note(found[-1])
        return found

    def _converted(self, channel: ChannelSettings, raw: float, at_ms: int) -> Converted:
        before_ms = self._counted_ms.get(channel.key)
        # Periods are scaled, and so is the rain that falls meanwhile.
        since_s = None if before_ms is None else (at_ms - before_ms) / 1000 * self._timescale.scale
        inputs = () if channel.calibration is None else channel.calibration.inputs
        looked = self._latest.look(inputs, at_ms) if inputs else NO_INPUTS
        memory = self._memory.get(channel.key, "")
        converted = to_canonical(channel, raw, memory, since_s, looked)
        if channel.item.counter is not None and converted.value is not None:
            self._counted_ms[channel.key] = at_ms
        return converted

    def _sample(
        self,
        channel: ChannelSettings | DerivedSettings,
        period_s: float,
        at_ms: int,
        converted: Converted,
    ) -> Sample:
        limit_ms = GAP_PERIODS * self._timescale.real_s(period_s) * 1000
        gap = check_gap(self._last_ms.get(channel.key), at_ms, limit_ms)
        verdict = combined(Verdict(converted.flag, converted.reasons), gap)
        if converted.value is not None:
            self._last_ms[channel.key] = at_ms
        working = self._working(channel, converted)
        return Sample(
            station=channel.station,
            channel=channel.channel,
            mono_ms=at_ms,
            value=converted.value,
            raw=converted.raw,
            flag=verdict.flag,
            reasons=verdict.reasons | (int(Reason.MAINTENANCE) if working else 0),
            urgent=self._trips(channel, converted, working=working),
        )

    def _working(self, channel: ChannelSettings | DerivedSettings, converted: Converted) -> bool:
        """Tell whether a value was made during maintenance; a total's is, to its next one."""
        if channel.quantity not in TOTALS:
            return self._maintenance()
        if self._maintenance():
            self._worked.add(channel.key)
            return True
        before = channel.key in self._worked
        if converted.value is not None:
            self._worked.discard(channel.key)
        return before

    def _trips(
        self, channel: ChannelSettings | DerivedSettings, converted: Converted, *, working: bool
    ) -> bool:
        """Tell whether the value crosses its watch from below; a failed value crosses nothing.

        Work crosses nothing either, and whatever is over the watch after it has just come.
        """
        if working:
            self._watched[channel.key] = False
            return False
        if channel.watch_at is None or converted.value is None or converted.flag == Flag.FAIL:
            return False
        over = _over(channel.watch_at, converted)
        crossed = over and not self._watched.get(channel.key, False)
        self._watched[channel.key] = over
        return crossed


def _over(watch_at: float, converted: Converted) -> bool:
    value = converted.value
    return value is not None and converted.flag != Flag.FAIL and value >= watch_at


def _with(converted: Converted, verdicts: Sequence[Verdict], index: int) -> Converted:
    """Return a value with what its device says of it."""
    if not verdicts:
        return converted
    both = combined(Verdict(converted.flag, converted.reasons), verdicts[index])
    return converted._replace(flag=both.flag, reasons=both.reasons)


def _doubted(sample: Sample) -> Sample:
    """Return a sample that says that what came before it is lacking."""
    flag = worst(sample.flag, int(Flag.SUSPECT))
    return sample._replace(flag=flag, reasons=sample.reasons | int(Reason.GAP))
