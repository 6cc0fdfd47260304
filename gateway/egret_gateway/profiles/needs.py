"""Items that mean nothing without another one: decimals, unit, sign, readiness in a register.

| key | meaning |
|---|---|
| `scale_from = "ITEM"` | the number n of ITEM makes this one x 10^-n |
| `unit_from = { item = "ITEM", units = { "1" = "cm", "2" = "mm" } }` | ITEM tells the unit |
| `sign_from = { item = "ITEM", equals = 1 }` | minus where ITEM is 1 |
| `ready = { item = "ITEM", equals = 0 }` | a number only where ITEM is 0; `equals` may be a list |

The other item is read with every read of this one: in the same request where the profile lets
them be read together (`ready` insists on it), else in a request just before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from egret_core.errors import ConfigError
from egret_core.units import UnitError, factor
from egret_gateway.profiles import modbus
from egret_gateway.profiles.model import UnitFrom, When

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_gateway.profiles.model import Item, Modbus
    from egret_gateway.table import Table

UNITS_MAX = 32  # codes of one register; the longest list seen has 17
NUMBERS_MAX = 16  # in one `equals`


class Others(TypedDict, total=False):
    """What an item says of others."""

    scale_from: str
    unit_from: UnitFrom | None
    sign_from: When | None
    ready: When | None


def others(table: Table, quantity: str) -> Others:
    """Return which other items an item needs; ConfigError for what cannot be."""
    return {
        "scale_from": table.text("scale_from", ""),
        "unit_from": unit_from(table, quantity) if table.has("unit_from") else None,
        "sign_from": when(table, "sign_from") if table.has("sign_from") else None,
        "ready": when(table, "ready") if table.has("ready") else None,
    }


def unit_from(table: Table, quantity: str) -> UnitFrom:
    """Return what `unit_from` says; ConfigError for units that cannot measure the quantity."""
    own = table.table("unit_from")
    item = own.text("item")
    listed = own.table("units")
    units: dict[float, str] = {}
    for code in listed.names():
        unit = listed.text(code)
        if not code.isdecimal():
            listed.fail(code, 'write the register\'s number in quotes: "1" = "cm"')
        try:
            factor(quantity, unit)
        except UnitError as error:
            listed.fail(code, f"{error}; leave out what measures something else")
        units[float(code)] = unit
    if not 1 <= len(units) <= UNITS_MAX:
        own.fail("units", f"write 1 to {UNITS_MAX} of the numbers that the register may hold")
    own.done()
    return UnitFrom(item, tuple(units.items()))


def when(table: Table, key: str) -> When:
    """Return what `sign_from` or `ready` says."""
    own = table.table(key)
    item = own.text("item")
    equals = own.numbers("equals")
    if not 1 <= len(equals) <= NUMBERS_MAX:
        own.fail("equals", f"write a number, or a list of 1 to {NUMBERS_MAX}")
    own.done()
    return When(item, equals)


def check(table: Table, way: Modbus, items: Sequence[Item]) -> None:
    """Raise ConfigError where an item needs what is not there, or cannot be read with it."""
    known = {item.name: item for item in items}
    for item in items:
        if item.counter is not None and set(item.needs) - {item.ready.item if item.ready else ""}:
            raise ConfigError(
                table.file,
                f"item.{item.name}.counter",
                item.needs[0],
                "counts are whole numbers: only `ready` goes with a counter",
            )
        for name in item.needs:
            key = next(key for key, other in _named(item) if other == name)
            other = known.get(name)
            if other is None or other is item or other.needs:
                raise ConfigError(
                    table.file,
                    f"item.{item.name}.{key}",
                    name,
                    f"name another item that needs none itself: {_plain(items, item)}",
                )
            if key == "ready" and not modbus.joint(way, item.register, other.register):
                raise ConfigError(
                    table.file,
                    f"item.{item.name}.ready",
                    name,
                    "it must be read in one request with the value: declare the registers "
                    "between as [[modbus.readable]], or raise max_block",
                )


def _named(item: Item) -> list[tuple[str, str]]:
    found = [("scale_from", item.scale_from)]
    others = (("unit_from", item.unit_from), ("sign_from", item.sign_from), ("ready", item.ready))
    return found + [(key, other.item) for key, other in others if other is not None]


def _plain(items: Sequence[Item], own: Item) -> str:
    return ", ".join(item.name for item in items if item is not own and not item.needs) or "(none)"
