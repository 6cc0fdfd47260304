"""Which plan a bus has: by its protocol. What only some protocols need is loaded with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_gateway.bus.modbus import ModbusPlan
from egret_gateway.profiles import Sdi12

if TYPE_CHECKING:
    from egret_gateway.bus.line import Plan
    from egret_gateway.bus_settings import BusSettings


def plan_of(settings: BusSettings) -> Plan:
    """Return the plan of a bus; its devices' profiles speak the bus's protocol."""
    if isinstance(settings.devices[0].profile.way, Sdi12):
        from egret_gateway.bus.sdi12 import Sdi12Plan  # noqa: PLC0415  (only where it is spoken)

        return Sdi12Plan(settings)
    return ModbusPlan(settings)
