"""One turn shown to a technician: the bytes, what they mean, and what to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_core.screening.verdict import GOOD
from egret_gateway.bus.fault import Fault
from egret_gateway.bus_settings import MODBUS_RTU, MODBUS_TCP
from egret_gateway.meaning import meaning

if TYPE_CHECKING:
    from egret_gateway.bus.latest import Latest
    from egret_gateway.bus.line import Polled, Turn
    from egret_gateway.bus_settings import BusSettings
    from egret_gateway.convert.formula import Input
    from egret_gateway.profiles import ChannelSettings

_ADVICE = {
    Fault.TIMEOUT: "no answer: check unit, baud {baud} and parity {parity}, swap A and B, look at "
    "the device's supply",
    Fault.CRC: "something answers, but damaged: wrong baud (now {baud}) or parity (now {parity}), "
    "two devices with one address, missing termination, or a long stub",
    Fault.BABBLE: "the line is never silent: another master is at work, or the baud (now {baud}) "
    "is wrong",
    Fault.EXCEPTION: "the device refuses these registers: wrong profile, or another variant of it",
    Fault.MALFORMED: "an answer to something else: wrong profile, or a gateway that confuses its "
    "devices' replies",
    Fault.UNPROVEN: "only our own bytes came back: set local_echo where the adapter echoes",
    Fault.PENDING: "still measuring: try again when it is ready",
    Fault.QUARANTINED: "still waiting for a late answer: try again in a few seconds",
}
_OTHERS = "no good answer: stop the service and read again, which shows every byte"


def report(bus: BusSettings, turn: Turn, polled: Polled, latest: Latest) -> dict[str, Any]:
    """Return what is to be shown of a turn, as JSON takes it.

    Args:
        bus: its line.
        turn: what was asked.
        polled: what came.
        latest: the last numbers of other channels, for conversions that need them.
    """
    shown: dict[str, Any] = {"fault": str(polled.fault), "values": []}
    modbus = bus.protocol in (MODBUS_RTU, MODBUS_TCP)
    if modbus:
        shown = {"sent": polled.sent.hex(" "), "got": polled.got.hex(" "), **shown}
    if polled.fault is not Fault.NONE:
        shown["exception"] = polled.exception
        advice = _ADVICE[polled.fault] if modbus else _OTHERS
        shown["advice"] = advice.format(baud=bus.baud, parity=bus.parity)
        return shown
    verdicts = polled.verdicts or (GOOD,) * len(polled.raws)
    shown["values"] = [
        meaning(channel, raw, said, latest.look(_inputs(channel), int(polled.at_s * 1000)))
        for channel, raw, said in zip(turn.channels, polled.raws, verdicts, strict=True)
        if raw is not None
    ]
    return shown


def _inputs(channel: ChannelSettings) -> tuple[Input, ...]:
    return () if channel.calibration is None else channel.calibration.inputs
