"""What the buses of a configuration will cost their wires, before any port opens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_gateway.bus.budget import budget, remedies
from egret_gateway.bus.line import Priced
from egret_gateway.bus.load import LOAD_MAX
from egret_gateway.bus.plans import plan_of

if TYPE_CHECKING:
    from egret_gateway.bus.budget import Budget
    from egret_gateway.bus_settings import BusSettings
    from egret_gateway.config import GatewayConfig


def budget_of(config: GatewayConfig, bus: BusSettings) -> Budget | None:
    """Return a bus's budget, None where its protocol's wire time is not known beforehand."""
    plan = plan_of(bus)
    if not isinstance(plan, Priced):
        return None
    return budget(plan.costs(), config.clock.timescale.real_s)


def too_much(bus: BusSettings, found: Budget | None) -> str:
    """Return what is to be said of a bus that cannot serve its turns, "" of one that can."""
    if found is None or found.fits:
        return ""
    return (
        f"{bus.name}: polls take {found.share:.0%} of the wire's time, {LOAD_MAX:.0%} is the most: "
        + "; ".join(remedies(found))
    )
