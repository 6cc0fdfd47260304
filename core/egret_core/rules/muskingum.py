"""Flow at the end of a reach from the flow at its head: Muskingum routing.

    O2 = C0 I2 + C1 I1 + C2 O1     C0 = (dt - 2KX) / D     C1 = (dt + 2KX) / D
    C2 = (2K(1-X) - dt) / D        D = 2K(1-X) + dt        C0 + C1 + C2 = 1

I, O: flow in and out, m3/s; K: travel time, h; X: 0 (storage) to 0.5 (no attenuation); dt: h, the
real time between two readings. The reach is cut into n equal ones, each with K/n. No C is negative
while 2KX/n <= dt <= 2K(1-X)/n: a reading sooner than that is passed over, a later one is a gap and
begins anew, as if the flow had long been steady; until `WARM_TRAVELS` x K after it that may be
wrong, and it warms up. With a lead it goes on from now with the inflow held, and says what flows
out then. Source: USACE, HEC-ResSim User's Manual, Muskingum Routing. State: n + 1 flows, two
instants. Cost: O(n), with a lead O(n lead / dt), at most `AHEAD_MAX` steps.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core.errors import ConfigError
from egret_core.rules.index import Standing
from egret_core.rules.level_place import in_canonical
from egret_core.rules.model import IndexLaw
from egret_core.rules.rungs import ladder_of, ms, rungs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import ChannelPlace
    from egret_core.rules.rungs import At

MS_PER_H = 3_600_000
WARM_TRAVELS = 5  # of K: less than e^-5 of what it began with is left
FLOW_MAX = 1e7  # m3/s: no river has so much
AHEAD_MAX = 256  # steps of one look ahead
DECIMALS = 6  # of m3/s in what it tells
DISCHARGE = "discharge"


class Reach(NamedTuple):
    """A river between two places.

    Attributes:
        travel_h: K; weight: X; parts: into how many equal reaches it is cut.
        lead_ms: how far ahead it looks, 0 for now; name: of the reach, in evidence.
    """

    travel_h: float
    weight: float
    parts: int
    lead_ms: int = 0
    name: str = ""

    def coefficients(self, dt_h: float) -> tuple[float, float, float]:
        """Return C0, C1, C2 of one part for a step in hours."""
        travel_h = self.travel_h / self.parts
        inflow_h, outflow_h = 2 * travel_h * self.weight, 2 * travel_h * (1 - self.weight)
        whole = outflow_h + dt_h
        return (dt_h - inflow_h) / whole, (dt_h + inflow_h) / whole, (outflow_h - dt_h) / whole

    @property
    def steps_ms(self) -> tuple[float, float]:
        """The shortest and the longest step that it can take, ms."""
        most = 2 * self.travel_h / self.parts * MS_PER_H
        return most * self.weight, most * (1 - self.weight)


def routed(
    flows: Sequence[float], inflow: float, coefficients: tuple[float, float, float]
) -> list[float]:
    """Return the flows after a step: at the head, and out of each part."""
    c0, c1, c2 = coefficients
    out = [inflow]
    for before_in, before_out in pairwise(flows):
        out.append(c0 * out[-1] + c1 * before_in + c2 * before_out)
    return out


class Routing:
    """The state of one reach; takes the flow at its head, m3/s."""

    __slots__ = ("_ahead_ms", "_flows", "_last_ms", "_reach", "_since_ms", "standing")

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._flows: list[float] = []  # at the head, then out of each part
        self._last_ms = self._since_ms = 0
        self._ahead_ms = 0
        self.standing = Standing.WARMING_UP

    def take(self, time_ms: int, value: float) -> float | None:
        """Take the flow in; return the flow out, m3/s, None while it warms up or between steps."""
        if abs(value) > FLOW_MAX:
            self._flows = []
            self.standing = Standing.INVALID
            return None
        step_ms = time_ms - self._last_ms
        least_ms, most_ms = self._reach.steps_ms
        if not self._flows or step_ms > most_ms:
            self._flows = [value] * (self._reach.parts + 1)
            self._last_ms = self._since_ms = time_ms
            self.standing = Standing.WARMING_UP
            return None
        if step_ms < least_ms or not step_ms:
            return None
        coefficients = self._reach.coefficients(step_ms / MS_PER_H)
        self._flows, self._last_ms = routed(self._flows, value, coefficients), time_ms
        warm_ms = WARM_TRAVELS * self._reach.travel_h * MS_PER_H
        if time_ms - self._since_ms < warm_ms:
            return None
        self.standing = Standing.OK
        ahead = self._flows
        steps = min(ceil(self._reach.lead_ms / step_ms), AHEAD_MAX)
        for _ in range(steps):
            ahead = routed(ahead, value, coefficients)
        self._ahead_ms = steps * step_ms
        return round(ahead[-1], DECIMALS)

    def evidence(self) -> Mapping[str, Any]:
        """Return the reach, the flow at its head and at its end now; for when it was said."""
        reach = self._reach
        body: dict[str, Any] = {
            "reach": reach.name,
            "travel_h": reach.travel_h,
            "weight": reach.weight,
            "inflow_m3_s": self._flows[0],
            "outflow_m3_s": round(self._flows[-1], DECIMALS),
        }
        if reach.lead_ms:
            body["basis"] = "forecast"
            body["lead_s"] = self._ahead_ms / 1000
            body["forecast_for_ms"] = self._last_ms + self._ahead_ms
        return body

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [self._flows, self._last_ms, self._since_ms, str(self.standing)]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        flows, self._last_ms, self._since_ms, standing = saved
        self._flows = list(flows)
        self.standing = Standing(standing)


def law(at: At, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> IndexLaw:
    """Return the law of these parameters.

    Raises:
        ConfigError: a channel that is no discharge; parts that are no whole number.
    """
    file, key = at
    for place in places:
        if place.quantity != DISCHARGE:
            remedy = f"{place.name} measures {place.quantity}: bind a channel of {DISCHARGE}"
            raise ConfigError(file, f"{key}.levels", place.quantity, remedy)
    if given["parts"] % 1:
        raise ConfigError(file, f"{key}.parts", given["parts"], "write a whole number")
    reach = Reach(
        travel_h=given["travel_h"],
        weight=given["weight"],
        parts=int(given["parts"]),
        lead_ms=ms(given["lead_s"]),
        name=given["reach"],
    )
    flows = rungs(
        at, given, lambda where, value: in_canonical(where, DISCHARGE, value, given["unit"])
    )
    ladder = ladder_of(given, flows, places[0].unit)
    span_ms = round((WARM_TRAVELS + 1) * reach.travel_h * MS_PER_H)
    return IndexLaw("routed_flow", partial(Routing, reach), ladder, span_ms)
