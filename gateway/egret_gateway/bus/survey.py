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


def budget_of(config: GatewayConfig, bus: BusSettings, *, fastest: bool = False) -> Budget | None:
    """Return a bus's budget, None where its protocol's wire time is not known beforehand.

    Args:
        config: the whole site's.
        bus: the line.
        fastest: by the periods of an event on all its stations at once.
    """
    plan = plan_of(bus)
    if not isinstance(plan, Priced):
        return None
    costs = plan.costs()
    if fastest:
        periods = {
            device.name: device.event_s or device.watch_s or device.period_s
            for device in bus.devices
        }
        costs = [cost._replace(period_s=min(cost.period_s, periods[cost.unit])) for cost in costs]
    return budget(costs, config.clock.timescale.real_s)


def crowded(config: GatewayConfig, bus: BusSettings) -> list[str]:
    """Return what is to be said of a bus that cannot serve its turns, always or in an event."""
    if word := too_much(bus, budget_of(config, bus)):
        return [word]
    fastest = budget_of(config, bus, fastest=True)
    if fastest is None or fastest.fits:
        return []
    return [
        f"{bus.name}: in an event on all its stations polls take {fastest.share:.0%} of the wire's "
        f"time, {LOAD_MAX:.0%} is the most: what is not urgent is thinned out: make event_s and "
        "watch_s longer, or: " + "; ".join(remedies(fastest))
    ]


def too_much(bus: BusSettings, found: Budget | None) -> str:
    """Return what is to be said of a bus that cannot serve its turns, "" of one that can."""
    if found is None or found.fits:
        return ""
    return (
        f"{bus.name}: polls take {found.share:.0%} of the wire's time, {LOAD_MAX:.0%} is the most: "
        + "; ".join(remedies(found))
    )
