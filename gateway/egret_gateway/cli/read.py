"""`egret-gateway read CONFIG.toml`: polls one device once and shows every byte of it."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_gateway import config as settings
from egret_gateway.bus.fault import Fault
from egret_gateway.bus.modbus import ModbusPlan
from egret_gateway.bus_settings import LINES_OF_TEXT, SDI_12
from egret_gateway.cli import read_sdi12, read_text
from egret_gateway.cli.meaning import meaning
from egret_gateway.profiles import Modbus

if TYPE_CHECKING:
    import argparse

    from egret_gateway.bus.line import Turn
    from egret_gateway.bus.modbus import Taken
    from egret_gateway.config import BusSettings, GatewayConfig
    from egret_gateway.profiles import DeviceSettings

ARGUMENTS = "arguments"  # stands for a file where the command line itself is wrong
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


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser("read", help="poll one device once and show its bytes")
    parser.add_argument("config", type=Path, metavar="CONFIG.toml")
    parser.add_argument("--bus", help="name of the bus; the first by default")
    parser.add_argument("--unit", help="address on the bus; the first by default")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Read and show; 0 when every block was answered, 3 when one was not."""
    config = settings.load(arguments.config)
    bus, device = _chosen(config, arguments.bus, arguments.unit)
    if bus.protocol == SDI_12:
        reports = asyncio.run(read_sdi12.reports(bus, device))
    elif bus.protocol in LINES_OF_TEXT:
        reports = asyncio.run(read_text.reports(bus, device))
    else:
        taken = asyncio.run(_read(bus, device))
        reports = [_report(bus, turn, one) for turn, one in taken]
    if arguments.json:
        unit = device.unit if isinstance(device.profile.way, Modbus) else device.name
        head = {"bus": bus.name, "port": bus.port, "unit": unit}
        sys.stdout.write(json.dumps({**head, "reads": reports}) + "\n")
    else:
        sys.stdout.write(f"{bus.name} {bus.port} unit {device.name} {device.profile.ref}\n")
        for report in reports:
            _show(report)
    return 0 if all(report["fault"] == Fault.NONE for report in reports) else 3


def _chosen(
    config: GatewayConfig, name: str | None, unit: str | None
) -> tuple[BusSettings, DeviceSettings]:
    buses = [bus for bus in config.buses if name in (None, bus.name)]
    if not buses:
        known = ", ".join(bus.name for bus in config.buses)
        raise ConfigError(ARGUMENTS, "--bus", name, f"the buses are: {known}")
    for bus in buses:
        for device in bus.devices:
            if unit in (None, device.name):
                return bus, device
    known = ", ".join(device.name for bus in buses for device in bus.devices)
    raise ConfigError(ARGUMENTS, "--unit", unit, f"the units are: {known}")


async def _read(bus: BusSettings, device: DeviceSettings) -> list[tuple[Turn, Taken]]:
    plan = ModbusPlan(replace(bus, devices=(device,)))
    line = await plan.open()
    try:
        await line.listen()
        pairs = zip(plan.turns, plan.blocks, strict=True)
        return [(turn, await line.take(block)) for turn, block in pairs]
    finally:
        line.close()


def _report(bus: BusSettings, turn: Turn, taken: Taken) -> dict[str, Any]:
    outcome = taken.outcome
    report: dict[str, Any] = {
        "sent": outcome.sent.hex(" "),
        "got": outcome.got.hex(" "),
        "fault": str(outcome.fault),
        "values": [],
    }
    if outcome.fault is not Fault.NONE:
        report["exception"] = outcome.exception
        report["advice"] = _ADVICE[outcome.fault].format(baud=bus.baud, parity=bus.parity)
        return report
    pairs = zip(turn.channels, taken.raws, strict=True)
    report["values"] = [meaning(channel, raw) for channel, raw in pairs if raw is not None]
    return report


def _show(report: dict[str, Any]) -> None:
    out = sys.stdout.write
    one = [(report["sent"], report["got"])] if "sent" in report else []
    for sent, got in report.get("exchanges", one):
        out(f"  out {sent}\n  in  {got or '(nothing)'}\n")
    for heard in report.get("lines", ()):
        out(f"  in  {heard['line']}  {heard['flaw']}\n")
    if "identity" in report:
        out("  " + " ".join(f"{key} {word}" for key, word in report["identity"].items()) + "\n")
    for words in report.get("described", ()):
        out(f"  the sensor says: {words}\n")
    for value in report["values"]:
        reasons = " ".join(value["reasons"])
        out(
            f"  {value['channel']} {value['item']}: raw {value['raw']} = {value['value']} "
            f"{value['unit']} {value['quality']} {reasons}".rstrip()
            + "\n"
        )
    if "advice" in report:
        code = f" {report['exception']}" if report["exception"] else ""
        out(f"  {report['fault']}{code}: {report['advice']}\n")
