"""A whole bus on a real tty: what devices refuse is learnt, what reading clears is not lost twice,
and what people ask is answered between the polls."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import pytest
from rig.pty import FarEnd
from rig.scripted import Slave
from rig.sink import Sink, polling
from rig.site import FOLDERS, PATIENT, QUICK, device_lines, site, stage

from egret_core.quality import Flag, Reason
from egret_core.timescale import REAL
from egret_gateway.bus.asks import ASKS_MAX
from egret_gateway.bus.fault import Fault
from egret_gateway.bus.line import Polled
from egret_gateway.bus.poll import Bus
from egret_gateway.config import load
from egret_gateway.errors import AskError, PortError, PortFault
from egret_gateway.protocols.modbus_rtu_slave import Request, exception, reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from egret_gateway.bus.line import Line

FAST = 115200


def pair(period_s: float) -> str:
    return device_lines("holed-quick", "one", "two", period_s=period_s)


class Device(Slave):
    """Answers by a function: registers, an exception code, or None for silence."""

    def __init__(self, answer: Callable[[Request], list[int] | int | None]) -> None:
        super().__init__()
        self.answer = answer
        self.asked: list[Request] = []

    def answered(self, request: Request) -> bytes:
        self.asked.append(request)
        said = self.answer(request)
        if said is None:
            return b""
        return exception(request, said) if isinstance(said, int) else reply(request, said)


@asynccontextmanager
async def running(
    tmp_path: Path, answer: Callable[[Request], list[int] | int | None], devices: str
) -> AsyncIterator[tuple[Bus, Sink, Device]]:
    device = Device(answer)
    with FarEnd(device) as far:
        path = site(tmp_path, port=far.path, baud=FAST, devices=devices)
        path.write_text(path.read_text().replace(PATIENT, QUICK))
        sink = Sink()
        bus = Bus(load(path, FOLDERS).buses[0], REAL, sink.emit, {}, lambda: False)
        async with polling(bus):
            yield bus, sink, device


def holed(request: Request) -> list[int] | int:
    span = range(request.address, request.address + request.words)
    return 2 if 11 in span else [100 + address for address in span]


async def test_a_refused_bridge_is_split_within_its_period_and_told(tmp_path: Path) -> None:
    async with running(tmp_path, holed, pair(0.1)) as (bus, sink, device):
        await sink.until(lambda: len(sink.values("one")) >= 3 and len(sink.values("two")) >= 3)
        health = bus.health()["units"]["7"]
    assert (device.asked[0].address, device.asked[0].words) == (10, 3)
    assert [(r.address, r.words) for r in device.asked[1:3]] == [(10, 1), (12, 1)]
    assert all((r.address, r.words) != (10, 3) for r in device.asked[1:]), "asked so only once"
    assert (set(sink.values("one")), set(sink.values("two"))) == ({110.0}, {112.0})
    assert all(s.value is not None for s in sink.samples), "and nothing was missed by it"
    assert health["suggestions"] == ["[[modbus.holes]]\nfc = 3\nfirst = 11\nlast = 11"]
    assert health["exception"] == 1


async def test_a_register_that_is_absent_leaves_its_neighbour_alone(tmp_path: Path) -> None:
    def answer(request: Request) -> list[int] | int:
        span = range(request.address, request.address + request.words)
        return 2 if 12 in span else [5] * request.words

    async with running(tmp_path, answer, pair(0.05)) as (bus, sink, device):
        await sink.until(lambda: len(sink.values("one")) >= 30)
        told = bus.health()["units"]["7"]["suggestions"]
    refused = [s for s in sink.samples if s.channel == "two"]
    assert len(refused) >= 25
    assert {(s.flag, s.reasons) for s in refused} == {(Flag.MISSING, Reason.EXCEPTION)}
    assert sum(r.address == 12 for r in device.asked) <= 8, "it rests, ever longer"
    assert told[-1].startswith("two: refused (exception 2)")


async def test_a_read_that_rests_says_that_nothing_was_asked(tmp_path: Path) -> None:
    def answer(request: Request) -> list[int] | int:
        return 2 if request.address + request.words > 12 else [5] * request.words

    async with running(tmp_path, answer, pair(0.5)) as (bus, sink, _):
        await sink.until(lambda: len(sink.values("one")) >= 1)
        async with asyncio.timeout(10):
            polled = Polled(Fault.NONE, 0.0)
            while not polled.rests:
                found = await bus.ask("7")
                polled = next((p for t, p in found if t.channels[0].channel == "two"), polled)
    assert (polled.fault, polled.exception, polled.sent) == (Fault.EXCEPTION, 2, b"")


async def test_a_read_that_rests_is_no_probe_of_its_unit(tmp_path: Path) -> None:
    class Resting:
        async def poll(self, index: int) -> Polled:
            return Polled(Fault.EXCEPTION, float(index), exception=2, rests=True)

    sink = Sink()
    settings = load(site(tmp_path, devices=stage(7)), FOLDERS).buses[0]
    bus = Bus(settings, REAL, sink.emit, {}, lambda: False)
    breaker = bus._schedule.breakers["7"]
    breaker.back_off(0.0, 20.0, 60.0, 0.5)
    await bus._poll(cast("Line", Resting()), 0)
    assert (breaker.open, breaker.backoff_s) == (True, 20.0), "whether it is there is not known"
    assert [s.reasons for s in sink.samples] == [Reason.EXCEPTION]


async def test_a_lost_answer_of_a_clearing_register_is_not_asked_again_and_told(
    tmp_path: Path,
) -> None:
    mute: set[int] = {4}
    count = 0

    def answer(request: Request) -> list[int] | None:
        nonlocal count
        count += 1
        return None if count in mute else [2]

    rain = device_lines("clearing-quick", "rain", period_s=2.0)
    async with running(tmp_path, answer, rain) as (_, sink, device):
        await sink.until(lambda: len(sink.values("rain")) >= 5)
    good = [s for s in sink.samples if s.value is not None]
    assert [s.value for s in good[:5]] == pytest.approx([0.4, 0.8, 1.2, 1.6, 2.0])
    assert good[0].flag == Flag.SUSPECT, "what a former process was given is not known"
    assert [s.flag for s in good[1:3]] == [Flag.GOOD, Flag.GOOD]
    assert good[3].flag == Flag.SUSPECT, "what the lost answer held is lacking"
    assert good[3].reasons & Reason.GAP
    assert good[4].flag == Flag.GOOD
    (lost,) = [s for s in sink.samples if s.value is None]
    assert lost.reasons == Reason.TIMEOUT
    assert len(device.asked) == len(good) + 1, "no repeat: it would bring another answer"
    assert {r.words for r in device.asked} == {1}


async def test_what_people_ask_is_answered_between_the_polls(tmp_path: Path) -> None:
    devices = stage(7, period_s=3600.0) + stage(9, "far", 0.1)

    def answer(request: Request) -> list[int]:
        return [100 * request.unit] * request.words

    async with running(tmp_path, answer, devices) as (bus, sink, device):
        await sink.until(lambda: len(sink.values("far")) >= 2)
        before = len(sink.values())
        found = await asyncio.wait_for(bus.ask("7"), 10)
        ((turn, polled),) = found
        assert (turn.unit, polled.fault, polled.raws) == ("7", Fault.NONE, (700.0,))
        assert polled.sent[:2] == b"\x07\x03"
        assert polled.got[:2] == b"\x07\x03"
        await sink.until(lambda: len(sink.values()) == before + 1)
        assert sum(r.unit == 7 for r in device.asked) == 2, "its own turn, and the question"
        with pytest.raises(AskError, match="no unit 8"):
            await bus.ask("8")


async def test_an_ask_wakes_a_line_that_rests(tmp_path: Path) -> None:
    async with running(tmp_path, lambda r: [1] * r.words, stage(7, period_s=3600.0)) as (
        bus, sink, _,
    ):  # fmt: skip
        await sink.until(lambda: len(sink.values()) == 1)
        many = [asyncio.create_task(bus.ask("7")) for _ in range(ASKS_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(AskError, match="too many"):
            await bus.ask("7")
        async with asyncio.timeout(20):
            found = await asyncio.gather(*many)
        assert all(answers[0][1].fault is Fault.NONE for answers in found)


async def test_an_ask_of_a_dead_unit_says_so_and_a_revived_one_is_back(tmp_path: Path) -> None:
    dead = {9}
    devices = stage(7, period_s=0.1) + stage(9, "far", 0.1)

    async with running(tmp_path, lambda r: None if r.unit in dead else [1] * r.words, devices) as (
        bus,
        sink,
        _,
    ):
        await sink.until(lambda: bus.health()["units"]["9"]["open"])
        ((_, polled),) = await asyncio.wait_for(bus.ask("9"), 10)
        assert polled.fault in (Fault.TIMEOUT, Fault.QUARANTINED)
        dead.clear()
        async with asyncio.timeout(20):
            while polled.fault is not Fault.NONE:
                ((_, polled),) = await bus.ask("9")
        assert not bus.health()["units"]["9"]["open"], "heard out of its turn, it is back"


async def test_a_nap_that_the_port_s_end_cut_short_is_woken_by_nobody(tmp_path: Path) -> None:
    class Unplugged:
        async def idle(self, until_s: float) -> None:
            raise PortError("/dev/x", PortFault.VANISHED, f"before {until_s}")

    settings = load(site(tmp_path, devices=stage(7)), FOLDERS).buses[0]
    bus = Bus(settings, REAL, Sink().emit, {}, lambda: False)
    with pytest.raises(PortError):
        await bus._idle(cast("Line", Unplugged()), 1.0)
    bus._fault = ""  # before it is told
    asked = asyncio.create_task(bus.ask("7"))
    await asyncio.sleep(0)
    assert not asked.done(), "it waits for its turn"
    asked.cancel()


async def test_an_ask_ends_when_the_line_goes(tmp_path: Path) -> None:
    path = site(tmp_path, port=tmp_path / "none", devices=stage(7))
    sink = Sink()
    bus = Bus(load(path, FOLDERS).buses[0], REAL, sink.emit, {}, lambda: False)
    with pytest.raises(AskError, match="not opened yet"):
        await bus.ask("7")
    task = asyncio.create_task(bus.run())
    await sink.until(lambda: len(sink.samples) >= 1)
    with pytest.raises(AskError, match="missing"):
        await bus.ask("7")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
