"""Which plan a bus has: by its protocol. What only some protocols need is loaded with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_gateway.bus.modbus import ModbusPlan
from egret_gateway.profiles import Nmea, Sdi12, Text

if TYPE_CHECKING:
    from egret_gateway.bus.line import Plan
    from egret_gateway.bus_settings import BusSettings


def plan_of(settings: BusSettings) -> Plan:
    """Return the plan of a bus; its devices' profiles speak the bus's protocol."""
    way = settings.devices[0].profile.way
    if isinstance(way, Sdi12):
        from egret_gateway.bus.sdi12 import Sdi12Plan  # noqa: PLC0415  (only where it is spoken)

        return Sdi12Plan(settings)
    if isinstance(way, Nmea | Text):
        from egret_gateway.bus.text import TextPlan  # noqa: PLC0415  (only where it is spoken)

        return TextPlan(settings)
    return ModbusPlan(settings)
