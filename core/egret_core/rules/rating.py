"""Rating curve: the discharge that belongs to a stage, by a table (detector D8).

    Q = C (h + shift - offset)^b  between two points of the table: a line in
    log(h + shift - offset), log Q, as USGS tables marked RATING EXPANSION="logarithmic"

h, shift and offset are in m, Q in m3/s; the table may be in other units. At a stage outside the
table (after the shift) there is no discharge: the standing is invalid, never a guess, and above
its top a level on the stage itself must warn. Source: USGS rating tables (Kennedy 1984, TWRI
3-A10, not read). State: the table. Cost: O(log points) a reading.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import partial
from math import exp, log
from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules.index import Standing
from egret_core.rules.model import IndexLaw
from egret_core.rules.packs import number, refuse_unknown, rows
from egret_core.rules.rungs import ladder_of, rungs, within_reach
from egret_core.units import UnitError, convert, settle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import ChannelPlace
    from egret_core.rules.rungs import At

STAGE, FLOW = "water_level", "discharge"
POINTS_MIN = 2  # a curve has two ends
POINTS_MAX = 4096  # rows of one table; a printed one has at most some hundreds
_POINT_KEYS = ("stage", "flow")

Points = tuple[tuple[float, float], ...]


class RatingCurve:
    """A table and its shift; one index too, m3/s, that takes a stage in m.

    Args:
        points: (stage m, discharge m3/s), rising; offset_m: stage of no flow in the logarithm.
        shift_m: added to every stage before it is looked up.
    """

    def __init__(self, points: Points, offset_m: float, shift_m: float = 0.0) -> None:
        self._stages = [stage for stage, _ in points]
        self._flows = [flow for _, flow in points]
        self._offset_m = offset_m
        self._shift_m = shift_m
        self._stage_m = 0.0
        self.standing = Standing.WARMING_UP

    def discharge(self, stage_m: float) -> float | None:
        """Return the discharge, m3/s; None outside the table."""
        stage = settle(stage_m + self._shift_m)
        at = bisect_left(self._stages, stage)
        if at == len(self._stages) or stage < self._stages[0]:
            return None
        if stage == self._stages[at]:
            return self._flows[at]
        low, high, here = (
            log(h - self._offset_m) for h in (self._stages[at - 1], self._stages[at], stage)
        )
        left, right = log(self._flows[at - 1]), log(self._flows[at])
        return exp(left + (right - left) * (here - low) / (high - low))

    def take(self, time_ms: int, value: float) -> float | None:  # noqa: ARG002  (a table has no time)
        """Take a stage, m; return its discharge, m3/s."""
        self._stage_m = value
        found = self.discharge(value)
        self.standing = Standing.INVALID if found is None else Standing.OK
        return found

    def evidence(self) -> Mapping[str, Any]:
        """Return the stage, its shift, and what the table is valid for."""
        return {
            "stage_m": self._stage_m,
            "shift_m": self._shift_m,
            "table_from_m": self._stages[0],
            "table_to_m": self._stages[-1],
        }

    def dump(self) -> list[Any]:
        """Return the standing: a table has no other state."""
        return [str(self.standing)]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self.standing = Standing(saved[0])


def law(at: At, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> IndexLaw:
    """Return the law of these parameters; its levels are discharges.

    Raises:
        ConfigError: a channel of another quantity or datum; a table that does not rise.
    """
    file, key = at
    for place in places:
        if place.quantity != STAGE:
            remedy = f"{place.name} measures {place.quantity}: bind a channel of {STAGE}"
            raise ConfigError(file, f"{key}.points", place.quantity, remedy)
        if place.datum != given["datum"]:
            remedy = f"{place.name} is measured from {place.datum!r}: give the table from the same"
            raise ConfigError(file, f"{key}.datum", given["datum"], remedy)
    unit = given["stage_unit"]
    offset_m = _canonical((file, f"{key}.offset"), STAGE, given["offset"], unit)
    shift_m = _canonical((file, f"{key}.shift"), STAGE, given["shift"], unit)
    points = _points(at, given, offset_m)
    span_m = points[-1][0] - points[0][0]
    if abs(shift_m) > span_m:
        remedy = f"write at most what the table spans, {span_m:g} m: no stage would be in it"
        raise ConfigError(file, f"{key}.shift", given["shift"], remedy)
    flows = rungs(at, given, lambda where, x: _canonical(where, FLOW, x, given["flow_unit"]))
    ladder = within_reach(ladder_of(given, flows, "m3/s"), points[0][1])
    for rank, rung in enumerate(ladder.rungs):
        if not points[0][1] <= rung.raise_at <= points[-1][1]:
            remedy = f"write a discharge of the table, {points[0][1]:g} to {points[-1][1]:g} m3/s"
            raise ConfigError(file, f"{key}.levels[{rank}].raise", rung.raise_at, remedy)
    return IndexLaw("discharge", partial(RatingCurve, points, offset_m, shift_m), ladder, span_ms=0)


def _points(at: At, given: Mapping[str, Any], offset_m: float) -> Points:
    file, key = at
    table = rows(file, f"{key}.points", given["points"])
    if not POINTS_MIN <= len(table) <= POINTS_MAX:
        raise ConfigError(
            file, f"{key}.points", len(table), f"list {POINTS_MIN} to {POINTS_MAX} points"
        )
    out: list[tuple[float, float]] = []
    for index, row in enumerate(table):
        where = f"{key}.points[{index}]"
        refuse_unknown(file, where, row, _POINT_KEYS)
        stage = _canonical((file, f"{where}.stage"), STAGE, row.get("stage"), given["stage_unit"])
        flow = _canonical((file, f"{where}.flow"), FLOW, row.get("flow"), given["flow_unit"])
        if stage <= offset_m:
            remedy = "list stages above the offset: a logarithm has no other"
            raise ConfigError(file, f"{where}.stage", row["stage"], remedy)
        if flow <= 0 or (out and not (stage > out[-1][0] and flow > out[-1][1])):
            remedy = "list discharges above 0, stage and flow both rising"
            raise ConfigError(file, f"{where}.flow", row["flow"], remedy)
        out.append((stage, flow))
    return tuple(out)


def _canonical(at: At, quantity: str, value: object, unit: str) -> float:
    file, key = at
    try:
        return convert(quantity, number(file, key, value), unit)
    except UnitError as error:
        raise ConfigError(file, key, unit, str(error)) from None
