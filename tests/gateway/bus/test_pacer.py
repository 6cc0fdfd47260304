"""A whole bus that goes faster: by its own gauge, by a neighbour's, by an order."""

from __future__ import annotations

import asyncio
import time
from math import inf
from typing import TYPE_CHECKING, Any

import pytest
from rig.pty import FarEnd
from rig.scripted import ScriptedDevice
from rig.sink import Sink
from rig.site import site, stage

from egret_core.errors import ConfigError
from egret_core.messages import Command, Outcome
from egret_core.timescale import REAL, Timescale
from egret_gateway.bus.latest import Latest
from egret_gateway.bus.pace import State, Trigger
from egret_gateway.bus.pacer import ORDER_MAX_S, Pacer
from egret_gateway.bus.poll import Bus
from egret_gateway.config import load
from egret_gateway.sample import Sample
from egret_gateway.uplink.commands import Commands

if TYPE_CHECKING:
    from pathlib import Path

FT = 0.3048
PERIODS = "watch_s = 0.2\nevent_s = 0.05\n"
OVER = 'watch_at = { value = 50, unit = "ft", datum = "Luoling" }\n'


def paced(unit: int = 7, name: str = "wl", more: str = "", period_s: float = 600) -> str:
    """A gauge that is read every ten minutes, and faster when told."""
    text = stage(unit, name, period_s, more)
    return text.replace("[bus.device.channels.stage]", f"{PERIODS}[bus.device.channels.stage]")


def pacer_of(path: Path, timescale: Timescale = REAL) -> tuple[Any, Pacer]:
    config = load(path)
    devices = [device for bus in config.buses for device in bus.devices]
    return config, Pacer(config.pace, devices, timescale, time.monotonic)


async def test_ten_minutes_become_ten_seconds_within_one_sample(tmp_path: Path) -> None:
    """The gauge is read once over its watch, and its neighbour of the station at once, too."""
    device = ScriptedDevice(lambda request, _: 6000 if request.unit == 7 else 100)
    with FarEnd(device) as far:
        path = site(
            tmp_path, port=far.path, baud=115200, devices=paced(7, "wl", OVER) + paced(8, "up")
        )
        config, pacer = pacer_of(path)
        sink, latest = Sink(), Latest(REAL, (), [pacer.take])
        settings = config.buses[0]
        bus = Bus(settings, REAL, sink.emit, {}, lambda: False, latest=latest,
                  paced=pacer.bus(settings.devices))  # fmt: skip
        task = asyncio.create_task(bus.run())
        await sink.until(lambda: len(sink.values("wl")) >= 5 and len(sink.values("up")) >= 3)
        assert pacer.states() == {"st0007": "event"}
        first = [s.mono_ms for s in sink.samples if s.channel == "wl"][:5]
        assert first[4] - first[0] < 5_000, "four periods of 0.05 s, not of 600 s"
        assert bus.health()["overruns"] <= 2
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_another_bus_wakes_from_its_long_pause(tmp_path: Path) -> None:
    with FarEnd(ScriptedDevice()) as far:
        path = site(tmp_path, port=far.path, baud=115200, devices=paced())
        config, pacer = pacer_of(path)
        sink, settings = Sink(), config.buses[0]
        latest = Latest(REAL, (), [pacer.take])
        bus = Bus(settings, REAL, sink.emit, {}, lambda: False, latest=latest,
                  paced=pacer.bus(settings.devices))  # fmt: skip
        task = asyncio.create_task(bus.run())
        await sink.until(lambda: len(sink.values()) == 1)
        await asyncio.sleep(0.3)
        assert len(sink.values()) == 1, "the next one is due in ten minutes"
        assert pacer.order("st0007", "event", 60) == ""
        await sink.until(lambda: len(sink.values()) >= 4)
        assert pacer.order("st0007", "normal", 1) == ""
        await asyncio.sleep(1.3)
        settled = len(sink.values())
        await asyncio.sleep(0.5)
        assert len(sink.values()) == settled
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def fed(value: float, at_s: float, flag: int = 1, reasons: int = 0) -> Sample:
    return Sample("st0007", "wl", int(at_s * 1000), value, None, flag, reasons)


class HandPacer:
    """A pacer over a site whose clock a test turns."""

    def __init__(self, path: Path, scale: float = 1.0) -> None:
        self.now_s = 1000.0
        config = load(path)
        devices = [device for bus in config.buses for device in bus.devices]
        self.pacer = Pacer(config.pace, devices, Timescale(scale, 0, 0), lambda: self.now_s)

    def see(self, value: float, **how: int) -> str:
        self.pacer.take("st0007/wl", fed(value, self.now_s, **how))
        return self.pacer.states()["st0007"]


def test_a_failed_value_and_one_read_during_work_move_nothing(tmp_path: Path) -> None:
    hand = HandPacer(site(tmp_path, devices=paced(more=OVER)))
    assert hand.see(20.0, flag=4) == "normal"
    assert hand.see(20.0, reasons=1) == "normal"
    assert hand.see(20.0, flag=3) == "event", "a true flood may well look suspect"


def test_what_is_read_faster_is_sent_sooner(tmp_path: Path) -> None:
    hand = HandPacer(site(tmp_path, devices=paced(more=OVER)), scale=2)
    one = fed(0.0, 1000)
    assert hand.pacer.cut_s([one]) == inf, "a normal station waits as its bus does"
    hand.see(20.0)
    assert hand.pacer.cut_s([one._replace(station="far"), one]) == 0.5
    assert hand.pacer.cut_s([one._replace(station="far")]) == inf
    assert hand.pacer.cut_s([]) == inf


def test_spans_are_scaled_seconds(tmp_path: Path) -> None:
    hand = HandPacer(site(tmp_path, devices=paced(more=OVER)), scale=60)
    assert hand.see(20.0) == "event"
    hand.now_s += 1
    hand.see(0.0)
    hand.now_s += 28.5
    assert hand.pacer.states() == {"st0007": "event"}
    hand.now_s += 1
    assert hand.pacer.states() == {"st0007": "normal"}, "half an hour, sixty times as fast"


def test_a_change_of_state_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    hand = HandPacer(site(tmp_path, devices=paced(more=OVER)))
    hand.see(20.0)
    hand.pacer.tell()
    hand.pacer.tell()
    found = [record.getMessage() for record in caplog.records]
    assert found == ["event=pace station=st0007 was=normal now=event why=st0007/wl"]


async def test_the_centre_s_order_is_answered(tmp_path: Path) -> None:
    hand = HandPacer(site(tmp_path, devices=paced()))
    orders = Commands(None, pacer=hand.pacer)  # type: ignore[arg-type]  (no batch is touched)

    async def say(name: str, **args: object) -> tuple[str, str]:
        answer = await orders.answer(Command(name, 2, "pace", args, 1))
        return answer.outcome, answer.detail

    assert await say("a", station="st0007", state="watch", for_s=600) == (
        Outcome.DONE, "watch for 600 s"
    )  # fmt: skip
    assert hand.pacer.states() == {"st0007": "watch"}
    hand.now_s += 300
    await say("a", station="st0007", state="watch", for_s=600)
    hand.now_s += 300
    assert hand.pacer.states() == {"st0007": "normal"}, "a repeated order is carried out once"
    assert (await say("b", state="event", for_s=60))[0] == Outcome.DONE
    assert hand.pacer.states() == {"st0007": "event"}, "no station named: all of them"
    for name, bad, why in (
        ("c", {"station": "st9", "state": "event", "for_s": 1}, "no device of station 'st9'"),
        ("d", {"state": "panic", "for_s": 1}, "known are normal, watch, event"),
        ("e", {"state": "event", "for_s": 0}, "for_s is not over 0"),
        ("f", {"state": "event", "for_s": ORDER_MAX_S + 1}, "at most 604800"),
        ("g", {"state": "event", "for_s": True}, "not a number"),
        ("h", {"state": "event", "for_s": float("nan")}, "not over 0"),
        ("i", {"state": 7, "for_s": 1}, "not text"),
        ("j", {}, "not text"),
    ):
        outcome, detail = await say(name, **bad)
        assert (outcome, why in detail) == (Outcome.REFUSED, True), detail
    nobody = await Commands(None).answer(  # type: ignore[arg-type]  (as above)
        Command("x", 2, "pace", {"state": "event", "for_s": 1}, 1)
    )
    assert "nothing is polled" in nobody.detail


RISE = """
[[pace]]
channel = "st0007/wl"
state = "watch"
rise = { value = 1, unit = "ft", in_s = 900 }
hold_s = 600
"""
STEP = """
[[pace]]
channel = "st0007/wl"
state = "event"
over = { value = 50, unit = "ft", datum = "Luoling", back = 2 }
"""


def test_triggers_are_read_in_any_unit(tmp_path: Path) -> None:
    config = load(site(tmp_path, devices=paced(more=OVER) + RISE))
    assert config.pace == (
        Trigger("st0007/wl", ("st0007",), State.WATCH, rise=FT, in_s=900, hold_s=600),
        Trigger("st0007/wl", ("st0007",), State.EVENT, at=50 * FT, hold_s=1800),
    )
    config = load(site(tmp_path, devices=paced(more=OVER) + STEP))
    (one,) = config.pace
    assert (one.at, one.back, one.state) == (15.24, pytest.approx(2 * FT), State.EVENT)
    assert load(site(tmp_path, devices=stage(more=OVER))).pace == (), "nothing here goes faster"
    device = load(site(tmp_path, devices=paced())).buses[0].devices[0]
    assert (device.period_s, device.watch_s, device.event_s) == (600.0, 0.2, 0.05)


@pytest.mark.parametrize(
    "changed",
    [
        STEP.replace("value = 50", "value = 60"),
        STEP.replace('state = "event"', 'state = "event"\nstations = ["st9"]'),
        STEP.replace('"event"', '"watch"'),
        RISE.replace('"watch"', '"event"'),
    ],
    ids=["higher", "another station", "watch", "rise"],
)
def test_a_table_takes_nothing_away_from_watch_at(tmp_path: Path, changed: str) -> None:
    other = paced(8, "up").replace("st0007", "st9")
    config = load(site(tmp_path, devices=paced(more=OVER) + other + changed))
    implied = Trigger("st0007/wl", ("st0007",), State.EVENT, at=50 * FT, hold_s=1800)
    assert len(config.pace) == 2
    assert config.pace[1] == implied


@pytest.mark.parametrize(
    ("swap", "key", "remedy"),
    [
        (("watch_s = 0.2", "watch_s = 601"), "bus[0].device[0].watch_s", "to 600"),
        (("event_s = 0.05", "event_s = 0.3"), "bus[0].device[0].event_s", "to 0.2"),
        (("event_s = 0.05", "event_s = 0.001"), "bus[0].device[0].event_s", "from 0.05"),
        (('"watch"', '"wacth"'), "pace[0].state", "did you mean 'watch'"),
        (('channel = "st0007/wl"', 'channel = "st0007/w1"'), "pace[0].channel", "st0007/wl"),
        (("hold_s = 600", 'stations = ["st8"]'), "pace[0].stations", "of: st0007"),
        (("rise =", "rize ="), "pace[0].over", "write over"),
        (('unit = "ft", in', 'unit = "kPa", in'), "pace[0].rise.unit", "cannot measure"),
        (("in_s = 900", "in = 900"), "pace[0].rise.in_s", "is it 'in'"),
        (("value = 1,", "value = 0,"), "pace[0].rise.value", "number"),
        (("hold_s = 600", "hold = 600"), "pace[0].hold", "did you mean 'hold_s'"),
    ],
)
def test_bad_settings(tmp_path: Path, swap: tuple[str, str], key: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(site(tmp_path, devices=paced() + RISE, swap=swap))
    assert caught.value.key == key
    assert remedy in caught.value.remedy


def test_bad_thresholds(tmp_path: Path) -> None:
    for swap, key, remedy in (
        (("Luoling", "Other"), "pace[0].over.datum", "Luoling"),
        (("back = 2", "back = -2"), "pace[0].over.back", "number"),
        (('"ft"', '"kPa"'), "pace[0].over.unit", "cannot measure"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(site(tmp_path, devices=paced() + STEP.replace(*swap)))
        assert caught.value.key == key
        assert remedy in caught.value.remedy
