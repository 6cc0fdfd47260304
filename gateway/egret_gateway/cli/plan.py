"""`egret-gateway plan CONFIG.toml`: the wire budget of every bus, before any port opens."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egret_gateway import config as settings
from egret_gateway.bus.budget import remedies
from egret_gateway.bus.survey import budget_of, crowded

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from egret_gateway.bus.budget import Budget, DeviceCost
    from egret_gateway.bus.line import Cost
    from egret_gateway.bus_settings import BusSettings

OK, FINDING = 0, 1


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser("plan", help="show what each device costs its line")
    parser.add_argument("config", type=Path, metavar="CONFIG.toml")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Show the budgets; 0 where every bus has time for its turns, 1 where one has not."""
    config = settings.load(arguments.config)
    buses = [(bus, budget_of(config, bus)) for bus in config.buses]
    fits = all(found is None or found.fits for _, found in buses)
    if arguments.json:
        report = {"ok": fits, "buses": {bus.name: _report(found) for bus, found in buses}}
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        told = [line for b, found in buses for line in lines(b, found, crowded(config, b))]
        sys.stdout.write("\n".join(told) + "\n")
    return OK if fits else FINDING


def lines(bus: BusSettings, found: Budget | None, words: Sequence[str] = ()) -> Iterator[str]:
    """Yield the budget for people: the bus, its devices, the dearest first, and their reads.

    Args:
        bus: the line.
        found: its budget, None where nobody knows it.
        words: what is to be said where it is too much.
    """
    head = f"{bus.name} {bus.port} {bus.baud} {bus.parity}"
    if found is None:
        yield f"{head}: its wire time depends on its devices: not known beforehand"
        return
    spare = f"{found.spare_ms:.0f} ms of each second to spare"
    yield f"{head}: {found.share:.1%} of the wire's time, {spare}"
    for device in found.devices:
        yield (
            f"  unit {device.unit}: {device.share:.1%}, {device.wire_ms:.1f} ms every "
            f"{device.period_s:g} s, {_count(len(device.turns), 'request')}, "
            f"{_count(device.registers, 'register')}"
        )
        for turn in device.turns:
            names = ", ".join(channel.key for channel in turn.channels)
            yield f"    {turn.ask}: {turn.wire_s * 1000:.1f} ms: {names}"
    for word in words:
        yield f"  too much: {word}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _report(found: Budget | None) -> dict[str, Any]:
    if found is None:
        return {"known": False}
    return {
        "known": True,
        "fits": found.fits,
        "share": round(found.share, 4),
        "spare_ms_per_s": round(found.spare_ms, 1),
        "remedies": remedies(found),
        "devices": [_device(device) for device in found.devices],
    }


def _device(device: DeviceCost) -> dict[str, Any]:
    return {
        "unit": device.unit,
        "rank": device.rank.name.lower(),
        "period_s": device.period_s,
        "share": round(device.share, 4),
        "wire_ms_per_period": round(device.wire_ms, 2),
        "requests": len(device.turns),
        "registers": device.registers,
        "reads": [_turn(turn) for turn in device.turns],
    }


def _turn(turn: Cost) -> dict[str, Any]:
    return {
        "ask": turn.ask,
        "wire_ms": round(turn.wire_s * 1000, 2),
        "channels": [channel.key for channel in turn.channels],
    }
