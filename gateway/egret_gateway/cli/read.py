"""`egret-gateway read CONFIG.toml`: polls one device once and shows every byte of it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_gateway import config as settings
from egret_gateway import diagnosis, status
from egret_gateway.bus.fault import Fault
from egret_gateway.bus.plans import plan_of
from egret_gateway.bus.supply import Supplies, supplied
from egret_gateway.bus_settings import LINES_OF_TEXT, SDI_12
from egret_gateway.cli import read_sdi12, read_text
from egret_gateway.errors import NotRunningError, StatusError
from egret_gateway.meaning import round_of
from egret_gateway.profiles import Modbus

if TYPE_CHECKING:
    import argparse

    from egret_gateway.bus.line import Line, Polled, Turn
    from egret_gateway.bus_settings import BusSettings
    from egret_gateway.config import GatewayConfig
    from egret_gateway.profiles import DeviceSettings

ARGUMENTS = "arguments"  # stands for a file where the command line itself is wrong
READ_S = 60.0  # a service takes the pauses of its line; a long device with dead neighbours 30 s
_WAITS_MAX = 100  # measurements that are never ready


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser("read", help="poll one device once and show its bytes")
    parser.add_argument("config", type=Path, metavar="CONFIG.toml")
    parser.add_argument("--bus", help="name of the bus; the first by default")
    parser.add_argument("--unit", help="address on the bus; the first by default")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Read and show; 0 when every read was answered, 3 when one was not.

    The running service is asked, which takes a pause between its polls; where none runs, the port
    is opened here.
    """
    config = settings.load(arguments.config)
    bus, device = _chosen(config, arguments.bus, arguments.unit)
    wanted = {"do": "read", "bus": bus.name, "unit": device.name}
    try:
        found = status.ask(config.data, wanted, READ_S)
        by = "service"
        if not found.get("ok"):
            raise StatusError(str(found.get("detail", "this service cannot be asked: stop it")))
        reports = found["reads"]
    except NotRunningError:
        by = "here"
        reports = asyncio.run(_here(bus, device))
    if arguments.json:
        unit = device.unit if isinstance(device.profile.way, Modbus) else device.name
        head = {"bus": bus.name, "port": bus.port, "unit": unit, "by": by}
        sys.stdout.write(json.dumps({**head, "reads": reports}) + "\n")
    else:
        who = " (asked by the running service)" if by == "service" else ""
        sys.stdout.write(f"{bus.name} {bus.port} unit {device.name} {device.profile.ref}{who}\n")
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


async def _here(bus: BusSettings, device: DeviceSettings) -> list[dict[str, Any]]:
    """Open the port and read; PortError where it cannot be used."""
    if bus.protocol == SDI_12:
        return await read_sdi12.reports(bus, device)
    if bus.protocol in LINES_OF_TEXT:
        return await read_text.reports(bus, device)
    return await _read(bus, device)


async def _read(bus: BusSettings, device: DeviceSettings) -> list[dict[str, Any]]:
    plan = plan_of(replace(bus, devices=(device,)))
    line = supplied(await plan.open(), plan, Supplies((device,)))
    found: list[tuple[Turn, Polled]] = []
    try:
        await line.listen()
        todo = deque(plan.turns)
        while todo:
            turns = plan.turns
            turn = todo.popleft()
            polled = await _polled(line, turns.index(turn))
            found.append((turn, polled))
            if plan.turns is not turns:  # it was refused and split: its parts are asked now
                todo.extendleft(one for one in reversed(plan.turns) if one not in turns)
    finally:
        line.close()
    latest = round_of(found)
    return [diagnosis.report(bus, turn, polled, latest) for turn, polled in found]


async def _polled(line: Line, index: int) -> Polled:
    """Take a turn, and wait for a measurement that it begins."""
    polled = await line.poll(index)
    for _ in range(_WAITS_MAX):
        if polled.fault is not Fault.PENDING:
            break
        await line.idle(polled.free_s)
        polled = await line.poll(index)
    return polled


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
