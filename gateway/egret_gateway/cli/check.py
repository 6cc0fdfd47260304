"""`egret-gateway check CONFIG.toml`: says what is wrong before any port opens."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from ssl import PEM_cert_to_DER_cert
from typing import TYPE_CHECKING, Any

from egret_gateway import config as settings
from egret_gateway.bus.survey import budget_of, crowded
from egret_gateway.bus_settings import LINES_OF_TEXT, MODBUS_RTU, MODBUS_TCP
from egret_gateway.certificate import validity
from egret_gateway.clock import Clock
from egret_gateway.credentials import logins
from egret_gateway.errors import UplinkError
from egret_gateway.protocols.modbus_pdu import UNIT_USUAL_MAX

if TYPE_CHECKING:
    import argparse

    from egret_gateway.bus_settings import BusSettings
    from egret_gateway.config import GatewayConfig

DAY_MS = 86_400_000
ENDING_DAYS = 30  # a certificate that should have been renewed months ago


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser("check", help="check a configuration and its profiles")
    parser.add_argument("config", type=Path, metavar="CONFIG.toml")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Check and report; 0 when it can run, ConfigError with the finding otherwise."""
    config = settings.load(arguments.config)
    if arguments.json:
        loads = {bus.name: load(config, bus) for bus in config.buses}
        buses = {name: share and round(share, 3) for name, share in loads.items()}
        report: dict[str, Any] = {"ok": True, "gateway": config.gateway, "load": buses}
        _say(json.dumps({**report, "warnings": warnings(config)}))
        return 0
    count = len(config.channels())
    _say(f"{config.file}: ok: gateway {config.gateway}, {len(config.buses)} bus, {count} channels")
    for bus in config.buses:
        line = bus.protocol if bus.protocol == MODBUS_TCP else f"{bus.baud} baud"
        share = load(config, bus)
        taken = "" if share is None else f": {share:.1%} of the wire's time"
        _say(f"  {bus.name} {bus.port} {line}{taken}")
    for warning in warnings(config):
        _say(f"  warning: {warning}")
    return 0


def load(config: GatewayConfig, bus: BusSettings) -> float | None:
    """Return the share of the wire's time that a bus's polls take, None where nobody knows it."""
    found = budget_of(config, bus)
    return None if found is None else found.share


def warnings(config: GatewayConfig) -> list[str]:
    """Return what can run, and yet deserves a look."""
    found = _link(config)
    for bus in config.buses:
        if bus.port.startswith(("/dev/ttyUSB", "/dev/ttyACM")):
            found.append(f"{bus.name}: {bus.port} may be another port after a restart: use by-id")
        found.extend(crowded(config, bus))
        found.extend(
            f"{bus.name}: unit {device.unit} is above {UNIT_USUAL_MAX}: reserved by the standard, "
            "some gateways pass no request on to it"
            for device in bus.devices
            if device.unit > UNIT_USUAL_MAX and device.unit != device.profile.unit
        )
        found.extend(
            f"{bus.name}: profile {device.profile.name} is set for {device.profile.baud} baud "
            f"{device.profile.parity} by its maker, the bus runs {bus.baud} {bus.parity}"
            for device in bus.devices
            if bus.protocol in (MODBUS_RTU, *LINES_OF_TEXT)
            and (device.profile.baud, device.profile.parity) != (bus.baud, bus.parity)
        )
    return found


def _link(config: GatewayConfig) -> list[str]:
    """Return what deserves a look on the way to the broker."""
    broker = config.broker
    if broker.ca_file is None:
        if settings.is_loopback(broker.host):
            return []
        return [f"{broker.host} is reached without TLS: who is on the way reads and forges"]
    try:
        files = [pair[0] for login in logins(broker) if (pair := login.pair)]
    except UplinkError as error:
        return [str(error)]
    now_ms = Clock(config.clock.source).vouched().now_ms
    return [word for file in files[:1] if (word := _ending(file, now_ms))]


def _ending(file: Path, now_ms: int | None) -> str:
    try:
        until_ms = validity(PEM_cert_to_DER_cert(_first(file.read_text()))).until_ms
    except (OSError, ValueError) as error:
        return f"{file}: {error}"
    left_days = None if now_ms is None else (until_ms - now_ms) // DAY_MS
    if left_days is None or left_days >= ENDING_DAYS:
        return ""
    if left_days < 0:
        return f"{file} has expired: the broker refuses it; ask the centre for a new bundle"
    return f"{file} ends in {left_days} days: it is renewed by itself while the centre is reached"


def _first(text: str) -> str:
    """Return the first certificate of a PEM file that may hold its key too."""
    _, mark, rest = text.partition("-----BEGIN CERTIFICATE-----")
    body, end, _ = rest.partition("-----END CERTIFICATE-----")
    return mark + body + end


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
