"""A calibration sheet in the site's file: checked wholly, with units named.

`[bus.device.channels.ITEM.calibration]` names a formula and gives its constants as the sheet
prints them. An input is another channel: `{ item = "..." }` of the same device, or
`{ channel = "station/channel" }` anywhere on this gateway, with `max_age_s`.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core.errors import ConfigError
from egret_core.spelling import meant
from egret_core.units import CANONICAL, UnitError, canonical, factor
from egret_gateway.convert.formula import Calibration, Formula, Input
from egret_gateway.convert.formulas import FORMULAS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egret_gateway.convert.formula import Constant
    from egret_gateway.profiles import Item
    from egret_gateway.table import Table

AGE_MAX_S = 86_400.0  # weather of yesterday corrects nothing

# Where all of these are 0, or these two the same, the value never changes and never warns.
_SLOPES = {
    "linear": ("scale",),
    "polynomial": ("c1", "c2", "c3", "c4", "c5"),
    "steinhart-hart": ("b", "c"),
    "vw-linear-r1-r0": ("g",),
    "vw-linear-r0-r1": ("g",),
    "vw-polynomial": ("a", "b"),
    "vw-polynomial-hz": ("a", "b"),
}
_ENDS = {"two-point": ("y1", "y2"), "loop-4-20": ("low", "high")}


class Source(NamedTuple):
    """What those who are made of a channel must know of it: its quantity, how often it comes."""

    quantity: str
    period_s: float


def read_calibration(table: Table, item: Item, siblings: Mapping[str, str]) -> Calibration:
    """Read and check one calibration.

    Args:
        table: its table.
        item: what it is applied to.
        siblings: items of the same device that are read, each with its `station/channel`.
    """
    formula = FORMULAS[table.text("formula", one_of=tuple(FORMULAS))]
    _fits(table, formula, item)
    quantity = _quantity(table, formula)
    unit = formula.unit or table.text("unit")
    _measures(table, "unit", quantity, unit)
    input_unit = canonical(item.quantity)
    if not formula.takes:
        input_unit = table.text("input_unit", item.unit)
        _measures(table, "input_unit", item.quantity, input_unit)
    inputs = tuple(
        _input(table.table(name), name, wanted, unit, siblings)
        for name, wanted in formula.inputs.items()
        if table.has(name)
    )
    if any(one.name == "barometer" for one in inputs):
        _measures(table, "unit", "pressure", unit)
    calibration = Calibration(
        formula=formula,
        constants=read_constants(table, formula.constants, [one.name for one in inputs]),
        quantity=quantity,
        unit=unit,
        input_unit=input_unit,
        inputs=inputs,
        sheet=table.text("sheet", ""),
    )
    if formula.id == "two-point" and calibration.constants["x1"] == calibration.constants["x2"]:
        table.fail("x2", "two points on one x are no line: write another than x1")
    check_slope(table, formula.id, calibration.constants)
    table.done()
    return calibration


def read_constants(
    table: Table, constants: tuple[Constant, ...], inputs: list[str]
) -> dict[str, float]:
    """Return the numbers of a formula; those of an input only where it is named."""
    found: dict[str, float] = {}
    for one in constants:
        if one.goes_with and one.goes_with not in inputs:
            if table.has(one.name):
                table.fail(one.name, f"without {one.goes_with} = {{ ... }} it means nothing")
            continue
        if one.default is None and not table.has(one.name):
            table.fail(one.name, f"missing: write {one.name} = ... ({one.unit}) from the sheet")
        default = 0.0 if one.default is None else one.default
        found[one.name] = table.number(one.name, one.low, one.high, default)
    return found


def check_slope(table: Table, formula: str, constants: Mapping[str, float]) -> None:
    """Refuse numbers of a sheet with which a law gives the same value whatever it is given."""
    slopes = _SLOPES.get(formula, ())
    if slopes and not any(constants.get(name) for name in slopes):
        names = " or ".join(name for name in slopes if name in constants)
        table.fail(slopes[0], f"the value would never change: write {names} other than 0")
    one, other = _ENDS.get(formula, ("", ""))
    if one and constants[one] == constants[other]:
        table.fail(other, f"the value would never change: write another than {one}")


def sheet_fact(calibration: Calibration) -> dict[str, Any]:
    """Return the words of a calibration that meta carries beside its numbers."""
    fact: dict[str, Any] = {"unit": calibration.unit, "input_unit": calibration.input_unit}
    if calibration.sheet:
        fact["sheet"] = calibration.sheet
    if calibration.inputs:
        fact["inputs"] = {
            one.name: {"channel": one.source, "unit": one.unit, "max_age_s": one.max_age_s}
            for one in calibration.inputs
        }
    return fact


def check_inputs(
    file: str,
    needs: Mapping[str, tuple[str, tuple[Input, ...]]],
    channels: Mapping[str, Source],
) -> None:
    """Check that every input is a channel of this gateway that fits, and that none needs itself.

    Args:
        file: of the settings.
        needs: by `station/channel` the path of its inputs in the file, and the inputs.
        channels: all that are measured, by `station/channel`.
    """
    for path, inputs in needs.values():
        for one in inputs:
            if remedy := _unfit(one, channels):
                raise ConfigError(file, f"{path}.{one.name}", one.source, remedy)
    graph = {key: {one.source for one in inputs} for key, (_, inputs) in needs.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        around = error.args[1]
        path = next(needs[key][0] for key in around if key in needs)
        raise ConfigError(
            file, path, " needs ".join(reversed(around)), "a channel cannot need itself"
        ) from None


def too_young(max_age_s: float, source: Source) -> str:
    """Return why a channel would always be old, "" where it comes often enough."""
    if max_age_s >= source.period_s:
        return ""
    return f"it comes every {source.period_s:g} s: write a max_age_s of at least that"


def _unfit(one: Input, channels: Mapping[str, Source]) -> str:
    seen = channels.get(one.source)
    if seen is None:
        known = sorted(key for key, source in channels.items() if source.quantity == one.quantity)
        listed = ", ".join(known) or "none"
        near = meant(one.source, known)
        return f"no such channel here{near}; of {one.quantity} there are: {listed}"
    if seen.quantity != one.quantity:
        return f"it measures {seen.quantity}: name a channel that measures {one.quantity}"
    return too_young(one.max_age_s, seen)


def _fits(table: Table, formula: Formula, item: Item) -> None:
    if formula.takes and item.quantity not in formula.takes:
        fitting = ", ".join(one.id for one in FORMULAS.values() if item.quantity in one.takes)
        remedy = f"it starts from {' or '.join(formula.takes)}, the item is a {item.quantity}"
        table.fail("formula", f"{remedy}; for it: {fitting or 'linear, two-point, polynomial'}")
    if formula.counts != (item.counter is not None):
        table.fail("formula", "a counter, and nothing else, takes tipping-bucket")


def _quantity(table: Table, formula: Formula) -> str:
    if len(formula.gives) == 1:
        return formula.gives[0]
    quantity = table.text("quantity", one_of=formula.gives or tuple(CANONICAL))
    if not formula.gives and quantity in ("rain_total", "count"):
        table.fail("quantity", "a total comes from a counter alone")
    return quantity


def _measures(table: Table, key: str, quantity: str, unit: str) -> None:
    try:
        factor(quantity, unit)
    except UnitError as error:
        table.fail(key, str(error))


def _input(table: Table, name: str, quantity: str, unit: str, siblings: Mapping[str, str]) -> Input:
    if table.has("item") == table.has("channel"):
        table.fail("item", 'write item = "..." of this device, or channel = "station/channel"')
    if table.has("item"):
        item = table.text("item", one_of=tuple(siblings))
        source = siblings[item]
    else:
        source = table.text("channel")
    wanted = unit if quantity == "pressure" else canonical(quantity)
    one = Input(name, source, quantity, wanted, table.number("max_age_s", 0.05, AGE_MAX_S))
    table.done()
    return one
