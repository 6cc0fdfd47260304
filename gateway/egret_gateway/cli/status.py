"""`egret-gateway status CONFIG.toml`: what the running service says of itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egret_gateway import config as settings
from egret_gateway import status

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

OK, FINDING = 0, 1
_LATE_S = 60.0  # without an ack while something waits: the centre does not have it


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser("status", help="show how the running gateway is")
    parser.add_argument("config", type=Path, metavar="CONFIG.toml")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask and show; 1 where something is to be looked at, StatusError where nobody answers."""
    facts = status.ask(settings.load(arguments.config).data)
    found = list(findings(facts))
    if arguments.json:
        sys.stdout.write(json.dumps({"ok": not found, "findings": found, **facts}) + "\n")
    else:
        sys.stdout.write("\n".join([*lines(facts), *(f"look: {one}" for one in found)]) + "\n")
    return FINDING if found else OK


def findings(facts: dict[str, Any]) -> Iterator[str]:
    """Yield what a technician should look at before leaving."""
    uplink, outbox, clock = facts["uplink"], facts["outbox"], facts["clock"]
    if not uplink["connected"]:
        yield "no connection to the broker: check [broker], the link and its SIM"
    elif outbox["unsettled"] and (uplink["last_ack_s"] is None or uplink["last_ack_s"] > _LATE_S):
        yield "the centre acknowledges nothing: nothing is lost, but it is not there yet"
    if clock["source"] == "none":
        yield "no time is known: readings wait until the centre answers, or set the clock"
    if facts["maintenance"]:
        yield "maintenance is on: readings raise no alarm; `egret-gateway maintenance off` ends it"
    if shed := facts.get("battery", {}).get("shed"):
        yield f"the battery is low, not read are: {', '.join(shed)}"
    for name, bus in facts["buses"].items():
        yield from _bus_findings(name, bus)


def _bus_findings(name: str, bus: dict[str, Any]) -> Iterator[str]:
    if bus["fault"]:
        yield f"{name}: {bus['port']}: {bus['fault']}"
    for rank, stride in bus.get("strides", {}).items():
        yield (
            f"{name}: polls take {bus['load']:.0%} of the line's time: {rank} channels are read "
            f"only every {stride}. time; `egret-gateway plan` says what to change"
        )
    for unit, health in bus["units"].items():
        if health["open"]:
            yield f"{name}: unit {unit} does not answer: try `egret-gateway read --unit {unit}`"
        for word in health.get("suggestions", ()):
            what = "its profile lacks\n" if word.startswith("[[") else ""
            yield f"{name}: unit {unit}: {what}{word}"


def lines(facts: dict[str, Any]) -> Iterator[str]:
    """Yield what is so, a line each."""
    uplink, outbox, clock = facts["uplink"], facts["outbox"], facts["clock"]
    last = uplink["last_ack_s"]
    acked = "no ack yet" if last is None else f"last ack {last:.0f} s ago"
    link = "connected" if uplink["connected"] else "not connected"
    yield f"gateway  {facts['gateway']}, up {facts['up_s']:.0f} s"
    yield f"uplink   {link}, {acked}, {uplink['in_flight']} in flight, {uplink['ack_ms']} ms an ack"
    yield f"outbox   {outbox['unsettled']} batches wait, {outbox['bytes'] / 1e6:.1f} MB"
    yield f"clock    {clock['source']}, {clock['offset_ms']} ms to walk off"
    for station, state in facts.get("pace", {}).items():
        if state != "normal":
            yield f"pace     {station}: {state}"
    for name, bus in facts["buses"].items():
        units = ", ".join(
            f"unit {unit} {health['ok']} good" for unit, health in bus["units"].items()
        )
        yield f"{name:<8} {bus['port']}: {units}"
