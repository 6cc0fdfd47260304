"""A talker on a real tty, its lines said by the test."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

import pytest
from rig.pty import FarEnd
from rig.talk import bus, device, talking

from egret_core.quality import Flag, Reason
from egret_core.timescale import Timescale
from egret_demo.talker import depth, gnss, radar, sentence
from egret_gateway.protocols.geodesy import Position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BASE = Position(24.4798, 118.0894, 545.4 + 12.345)


@pytest.fixture
def far() -> Iterator[FarEnd]:
    with FarEnd(lambda _: b"") as end:
        yield end


class Voice:
    """Says the n-th line every so often until told to stop."""

    def __init__(self, far: FarEnd, line: Callable[[int], bytes], every_s: float) -> None:
        self.n = 0
        self.quiet = False
        self._far, self._line, self._every_s = far, line, every_s
        self._task = asyncio.create_task(self._talk())

    async def _talk(self) -> None:
        while True:
            if not self.quiet:
                self.n += 1
                self._far.send(self._line(self.n))
            await asyncio.sleep(self._every_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self._task


async def test_a_turn_takes_the_newest_line(far: FarEnd) -> None:
    settings = bus(far.path, device("nmea-echo-sounder", "depth", period_s=0.2))
    async with talking(settings) as (_, sink), Voice(far, depth, 0.02) as voice:
        await sink.until(lambda: len(sink.values("depth")) >= 5)
        values = sink.values("depth")
        assert values == sorted(set(values)), "no line is taken twice"
        assert voice.n > len(values), "lines between two turns are passed over"
    assert all(s.flag == Flag.GOOD and s.raw is None for s in sink.samples)


async def test_a_talker_a_little_slower_than_its_period_misses_nothing(far: FarEnd) -> None:
    settings = bus(far.path, device("nmea-echo-sounder", "depth", period_s=0.5))
    async with talking(settings) as (_, sink), Voice(far, depth, 0.7) as voice:
        await sink.until(lambda: len(sink.samples) >= 5)
    assert all(sample.value is not None for sample in sink.samples)
    values = sink.values("depth")
    assert values == [n / 100 for n in range(1, len(values) + 1)], "each line was taken"
    assert voice.n >= len(values)


async def test_silence_is_missing_after_two_periods_and_ends_at_once(far: FarEnd) -> None:
    settings = bus(far.path, device("nmea-echo-sounder", "depth", period_s=0.1))
    async with talking(settings) as (running, sink), Voice(far, depth, 0.03) as voice:
        await sink.until(lambda: len(sink.values("depth")) >= 2)
        voice.quiet = True
        await sink.until(lambda: any(s.reasons == Reason.BACKED_OFF for s in sink.samples))
        last = max(s.mono_ms for s in sink.samples if s.value is not None)
        missing = [s for s in sink.samples if s.value is None]
        assert missing[0].reasons == Reason.TIMEOUT
        assert missing[0].mono_ms - last >= 190
        assert running.health()["units"]["nmea-echo-sounder"]["open"]
        count, said = len(sink.values("depth")), voice.n
        voice.quiet = False
        # Its probe may be a second away: the first line itself ends the silence.
        await sink.until(lambda: len(sink.values("depth")) > count)
        assert sink.values("depth")[count] == (said + 1) / 100
        assert not running.health()["units"]["nmea-echo-sounder"]["open"]


@pytest.mark.parametrize("line", [depth(1).replace(b"*", b"*0"), b"\xf3\x80\x11\n"])
async def test_a_talker_with_a_wrong_baud_is_damaged_and_not_silent(
    far: FarEnd, line: bytes
) -> None:
    settings = bus(far.path, device("nmea-echo-sounder", "depth", period_s=0.1))
    async with (
        talking(settings) as (running, sink),
        Voice(far, lambda _: line, 0.03) as voice,
    ):
        await sink.until(lambda: any(s.reasons == Reason.CRC for s in sink.samples))
        assert running.health()["units"]["nmea-echo-sounder"]["crc"] >= 1
        voice.quiet = True
        await sink.until(lambda: any(s.reasons == Reason.TIMEOUT for s in sink.samples))
    assert not sink.values("depth")


async def test_every_line_over_the_watch_travels_at_once(far: FarEnd) -> None:
    sounder = device("nmea-echo-sounder", "depth", period_s=60, watch_at={"depth": (0.05, "m")})
    async with talking(bus(far.path, sounder)) as (_, sink):
        far.send(depth(3))
        await sink.until(lambda: len(sink.samples) >= 1)
        # Both come in one breath: the older one is over, the newer one is not.
        far.send(depth(6) + depth(2))
        await sink.until(lambda: len(sink.samples) >= 2)
        far.send(depth(7))
        far.send(depth(4))
        far.send(depth(5))
        await sink.until(lambda: len(sink.samples) >= 2)
    found = [(sample.value, sample.urgent) for sample in sink.samples]
    assert found == [(0.03, False), (0.06, True)], "above the watch it crosses nothing again"


async def test_maintenance_lets_nothing_travel_at_once(far: FarEnd) -> None:
    sounder = device("nmea-echo-sounder", "depth", period_s=0.3, watch_at={"depth": (0.05, "m")})
    async with talking(bus(far.path, sounder), lambda: True) as (_, sink):
        far.send(depth(6))
        far.send(depth(7))
        await sink.until(lambda: len(sink.values("depth")) >= 1)
    assert not any(sample.urgent for sample in sink.samples)
    assert all(sample.reasons & Reason.MAINTENANCE for sample in sink.samples)


async def test_displacement_with_the_fix_as_its_quality(far: FarEnd) -> None:
    rover = device("nmea-gnss-rtk", "up", "east", "fix", period_s=0.05, base=BASE)
    async with talking(bus(far.path, rover)) as (_, sink):
        for n in (3, 4, 8, 5):
            far.send(gnss(n))
            before = len(sink.samples)
            await sink.until(lambda count=before: len(sink.samples) >= count + 3)
    up = [s for s in sink.samples if s.channel == "up" and s.value is not None]
    assert [s.value for s in up] == pytest.approx([3, 4, 8, 5], abs=0.01), "mm"
    doubt = int(Reason.SENSOR_FAULT)
    assert [(s.flag, s.reasons & doubt) for s in up] == [
        (Flag.GOOD, 0), (Flag.SUSPECT, doubt), (Flag.FAIL, doubt), (Flag.GOOD, 0)
    ]  # fmt: skip
    assert sink.values("fix") == [4, 5, 1, 4]
    assert sink.values("east") == pytest.approx([0] * 4, abs=0.01)


async def test_a_displacement_without_a_fix_alarms_nobody(far: FarEnd) -> None:
    rover = device("nmea-gnss-rtk", "up", period_s=60, base=BASE, watch_at={"up": (0.005, "m")})
    async with talking(bus(far.path, rover)) as (_, sink):
        far.send(gnss(3))
        await sink.until(lambda: len(sink.samples) >= 1)
        far.send(gnss(8) + gnss(12))
        await sink.until(lambda: len(sink.samples) >= 2)
    found = [(round(s.value or 0), s.flag, s.urgent) for s in sink.samples]
    assert found == [(3, Flag.GOOD, False), (12, Flag.SUSPECT, True)]


async def test_a_receiver_without_a_fix_has_no_displacement(far: FarEnd) -> None:
    rover = device("nmea-gnss-rtk", "up", period_s=0.05, base=BASE)
    async with talking(bus(far.path, rover)) as (_, sink):
        far.send(sentence("GNGGA,120000,,,,,0,00,,,M,,M,,"))
        await sink.until(lambda: len(sink.samples) >= 1)
    said = sink.samples[0]
    assert (said.value, said.flag) == (None, Flag.FAIL)
    assert said.reasons == Reason.NOT_A_NUMBER | Reason.SENSOR_FAULT


async def test_two_talkers_on_one_line_are_told_apart(far: FarEnd) -> None:
    one = device("nmea-echo-sounder", "depth", period_s=0.05, address="SD")
    two = device("nmea-echo-sounder", "temperature", period_s=0.05, address="YX")
    async with talking(bus(far.path, one, two)) as (running, sink):
        far.send(sentence("YXDPT,9.9,,") + sentence("SDDPT,1.5,,") + sentence("YXMTW,18.5,C"))
        far.send(sentence("SDMTW,1.0,C"))
        await sink.until(lambda: {s.channel for s in sink.samples} == {"depth", "temperature"})
        assert running.health()["units"]["SD"]["strange"] == {"another line": 2}
    assert (sink.values("depth"), sink.values("temperature")) == ([1.5], [18.5])


async def test_proprietary_sentences_and_lines_without_a_checksum(far: FarEnd) -> None:
    async with talking(bus(far.path, device("geolux-lx-80-nmea", "level", "snr"))) as (_, sink):
        far.send(radar(970))
        await sink.until(lambda: len(sink.samples) >= 2)
        assert [(s.channel, s.value, s.raw) for s in sink.samples[:2]] == [
            ("level", 0.97, 970.0), ("snr", 44.0, None)
        ]  # fmt: skip
    inclinometer = device("bei-inclinometer-rs232", "x", "y")
    async with talking(bus(far.path, inclinometer)) as (_, sink):
        far.send(b".123\r\nX=+00.430\r\nY=-00.084\r\n")
        await sink.until(lambda: {s.channel for s in sink.samples} == {"x", "y"})
    assert (sink.values("x"), sink.values("y")) == ([0.43], [-0.084])


async def test_on_a_scaled_clock_a_talker_keeps_real_time(far: FarEnd) -> None:
    settings = bus(far.path, device("nmea-echo-sounder", "depth", period_s=6.0))
    async with (
        talking(settings, timescale=Timescale(scale=60)) as (_, sink),
        Voice(far, depth, 0.05) as voice,
    ):
        await sink.until(lambda: len(sink.values("depth")) >= 4)
        voice.quiet = True
        await sink.until(lambda: sink.samples[-1].value is None)
    assert sink.samples[-1].reasons == Reason.TIMEOUT


async def test_a_replugged_talker_is_heard_again(tmp_path: Path) -> None:
    link = tmp_path / "bus0"
    with FarEnd(lambda _: b"") as far:
        link.symlink_to(far.path)
        async with talking(bus(link, device("nmea-echo-sounder", "depth"))) as (running, sink):
            far.send(depth(1) + depth(2)[:5])
            await sink.until(lambda: len(sink.values("depth")) >= 1)
            link.unlink()
            far.hang_up()
            await sink.until(lambda: bool(sink.samples[-1].reasons & Reason.PORT))
            assert running.health()["fault"] in ("vanished", "missing")
            with FarEnd(lambda _: b"") as again:
                link.symlink_to(again.path)
                async with Voice(again, lambda n: depth(n + 10), 0.05):
                    await sink.until(lambda: len(sink.values("depth")) >= 3)
    assert min(sink.values("depth")[1:]) > 0.1, "the half line of before is glued to nothing"
