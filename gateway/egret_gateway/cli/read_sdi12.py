"""`egret-gateway read` on an SDI-12 line: who the sensor is, and all that it is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from egret_gateway.bus.fault import Fault
from egret_gateway.bus.sdi12 import DROPPED, Sdi12Line, Sdi12Plan
from egret_gateway.meaning import meaning

if TYPE_CHECKING:
    from egret_gateway.bus.line import Polled, Turn
    from egret_gateway.bus_settings import BusSettings
    from egret_gateway.profiles import DeviceSettings

_ADVICE = {
    Fault.TIMEOUT: "no answer: check the address, 12 V between red and black, the data wire, and "
    "that adapter = {adapter!r} is right",
    Fault.CRC: "something answers, but damaged: two sensors with one address, a long or bad cable, "
    "or a sensor without CRC (profile: crc = false)",
    Fault.QUARANTINED: "still waiting for a late answer: try again in a few seconds",
}
DESCRIBES = "1.4"  # since then a sensor can say what its values are
_REFUSED = "the sensor knows no such measurement, or gives fewer values: wrong profile"
_DROPPED = "the sensor dropped its measurement: is another recorder on the line?"


async def reports(bus: BusSettings, device: DeviceSettings) -> list[dict[str, Any]]:
    """Ask one sensor who it is and what it measures; PortError where the port cannot be used."""
    plan = Sdi12Plan(replace(bus, devices=(device,)))
    line = await plan.open()
    try:
        await line.listen()
        who = await line.identify(device.address)
        first = _report(bus, line, who.fault, 0)
        if who.reply is not None:
            first["identity"] = who.reply._asdict()
        found = [first]
        for index, turn in enumerate(plan.turns):
            polled = await _measured(line, index)
            found.append(_valued(bus, line, turn, polled))
        if who.reply is not None and who.reply.version >= DESCRIBES:
            # Last: a sensor that does not know it keeps silent, and is then left alone.
            found.extend(await _described(line, plan))
        return found
    finally:
        line.close()


async def _described(line: Sdi12Line, plan: Sdi12Plan) -> list[dict[str, Any]]:
    """Ask what each value wanted is by the sensor's own word, as long as it answers."""
    words: list[str] = []
    for index, work in enumerate(plan.works):
        for at, channel in zip(work.places, work.channels, strict=True):
            heard = await line.describe(index, at.place)
            if heard.reply is None:
                return []
            words.append(f"{channel.item.name} is {', '.join(heard.reply)}")
    report = _exchanged(line, Fault.NONE)
    return [{**report, "described": words}]


async def _measured(line: Sdi12Line, index: int) -> Polled:
    polled = await line.poll(index)
    while polled.fault is Fault.PENDING:
        await line.idle(polled.free_s)
        polled = await line.poll(index)
    return polled


def _valued(bus: BusSettings, line: Sdi12Line, turn: Turn, polled: Polled) -> dict[str, Any]:
    report = _report(bus, line, polled.fault, polled.exception)
    pairs = zip(turn.channels, polled.raws, strict=False)
    report["values"] = [meaning(channel, raw) for channel, raw in pairs if raw is not None]
    return report


def _report(bus: BusSettings, line: Sdi12Line, fault: Fault, code: int) -> dict[str, Any]:
    report = _exchanged(line, fault)
    if fault is Fault.EXCEPTION:
        report["exception"] = code
        report["advice"] = _DROPPED if code == DROPPED else _REFUSED
    elif fault is not Fault.NONE:
        report["exception"] = code
        report["advice"] = _ADVICE[fault].format(adapter=bus.adapter)
    return report


def _exchanged(line: Sdi12Line, fault: Fault) -> dict[str, Any]:
    exchanges = [(_text(sent), _text(got)) for sent, got in line.exchange.trace]
    line.exchange.trace.clear()
    return {"exchanges": exchanges, "fault": str(fault), "values": []}


def _text(data: bytes) -> str:
    """Return bytes as people read them: printable ones as they are, others escaped."""
    return data.decode("latin-1").encode("unicode_escape").decode()
