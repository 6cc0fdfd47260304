"""`egret-gateway read` on a line of text: every line that comes, and how it is understood."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from egret_gateway.bus.fault import Fault
from egret_gateway.bus.text import TextLine, TextPlan
from egret_gateway.meaning import meaning
from egret_gateway.protocols.text_line import Flaw

if TYPE_CHECKING:
    from egret_gateway.bus.line import Polled
    from egret_gateway.bus_settings import BusSettings
    from egret_gateway.profiles import DeviceSettings

LISTEN_S = 10.0  # most devices talk every second
LISTEN_MAX_S = 120.0  # a slow talker is given two of its periods, but people wait no longer
_SILENT = "nothing came: check the supply, the data wire and baud {baud}; is it set to talk?"
_UNASKED = "no answer: check the address, baud {baud} and parity {parity}, and the command"
_DAMAGED = "lines come damaged: wrong baud (now {baud}), parity (now {parity}) or data_bits, a bad \
cable, or another checksum than the profile says"
_FOREIGN = "whole lines come, and none is of this device: wrong profile or address"
_QUARANTINED = "a late answer may still come: try again in a few seconds"


async def reports(bus: BusSettings, device: DeviceSettings) -> list[dict[str, Any]]:
    """Listen to a talker or ask a device once; PortError where the port cannot be used."""
    plan = TextPlan(replace(bus, devices=(device,)))
    line = await plan.open()
    try:
        found = []
        begun_s = time.monotonic()
        for index, wanted in enumerate(plan.wanted):
            longest_s = min(max(LISTEN_S, 2 * device.period_s), LISTEN_MAX_S)
            polled = await _heard(line, index, begun_s + longest_s, asks=plan.asks)
            lines = [_line(plan, heard.flaw, heard.text, heard.raw) for heard in line.lines]
            line.lines.clear()
            report = {"lines": lines, "fault": str(polled.fault), "exception": 0, "values": []}
            if polled.fault is Fault.NONE:
                report["values"] = [
                    meaning(channel, raw, said)
                    for channel, raw, said in zip(
                        wanted.channels, polled.raws, polled.verdicts, strict=True
                    )
                    if raw is not None
                ]
            else:
                advice = _advice(plan, polled)
                report["advice"] = advice.format(baud=bus.baud, parity=bus.parity)
            found.append(report)
        return found
    finally:
        line.close()


async def _heard(line: TextLine, index: int, until_s: float, *, asks: bool) -> Polled:
    """Return a turn's first line, or its fault where none came in time."""
    polled = await line.poll(index)
    while not asks and polled.fault is not Fault.NONE and time.monotonic() < until_s:
        line.overheard()  # what has been heard stays the newest of its turn until it is polled
        await line.idle(until_s)
        polled = await line.poll(index)
    return polled._replace(fault=Fault.TIMEOUT) if polled.fault is Fault.PENDING else polled


def _line(plan: TextPlan, flaw: Flaw, text: str, raw: bytes) -> dict[str, str]:
    if flaw is Flaw.NONE and all(wanted.values(text) is None for wanted in plan.wanted):
        flaw = Flaw.FOREIGN
    return {"line": raw.decode("latin-1").encode("unicode_escape").decode(), "flaw": str(flaw)}


def _advice(plan: TextPlan, polled: Polled) -> str:
    if polled.fault is Fault.QUARANTINED:
        return _QUARANTINED
    damaged = sum(plan.strange[flaw] for flaw in Flaw if flaw is not Flaw.FOREIGN)
    if plan.strange[Flaw.FOREIGN] > damaged:
        return _FOREIGN
    if damaged:
        return _DAMAGED
    return _UNASKED if plan.asks else _SILENT
