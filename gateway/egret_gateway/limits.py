"""What the site says of any channel's values: its datum, its range, and where it is watched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_core.screening.range import ANY, Span
from egret_core.units import UnitError, convert
from egret_gateway import profiles

if TYPE_CHECKING:
    from egret_gateway.table import Table

DATUMED = ("water_level",)  # heights that mean nothing without a datum
TOTALS = ("rain_total", "count")  # they only rise: no height of theirs means anything


def read_datum(table: Table, quantity: str) -> str:
    """Return the name of a level's datum, "" for what has none."""
    datum = table.text("datum", "")
    if quantity in DATUMED and not datum:
        table.fail("datum", f"a {quantity} needs the name of its vertical datum")
    if datum and quantity not in DATUMED:
        table.fail("datum", f"a {quantity} has no vertical datum: leave it out")
    return datum


def read_watch(table: Table, quantity: str, datum: str) -> float | None:
    """Return `watch_at` as a canonical value, None where there is none."""
    if not table.has("watch_at"):
        return None
    watch = table.table("watch_at")
    if quantity in TOTALS:
        table.fail("watch_at", "a total has no threshold of its own: leave it out")
    found = read_threshold(watch, quantity, datum)
    watch.done()
    return found


def read_threshold(own: Table, quantity: str, datum: str) -> float:
    """Return `value`, given in `unit` over `datum`, as a canonical value."""
    value = own.number("value", -1e9, 1e9)
    unit = own.text("unit")
    seen = own.text("datum", "")
    if seen != datum:
        own.fail("datum", f"write the channel's own datum, {datum!r}")
    try:
        return convert(quantity, value, unit)
    except UnitError as error:
        own.fail("unit", str(error))


def read_range(table: Table, quantity: str) -> Span:
    """Return `range` in the canonical unit, boundless where there is none."""
    if not table.has("range"):
        return ANY
    own = table.table("range")
    try:
        span = profiles.span(own, quantity, own.text("unit"))
    except UnitError as error:
        own.fail("unit", str(error))
    own.done()
    return span


def span_fact(span: Span) -> list[float | None]:
    """Return bounds as meta carries them: None for none."""
    return [
        span.low if span.low > ANY.low else None,
        span.high if span.high < ANY.high else None,
    ]
