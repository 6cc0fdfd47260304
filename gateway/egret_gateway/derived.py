"""Derived channels in the site's file: `[[derived]]`, checked wholly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_core.messages import ChannelMeta
from egret_core.screening.range import ANY
from egret_core.spelling import meant
from egret_core.units import UnitError, canonical, factor
from egret_gateway.calibration import AGE_MAX_S, Source, check_slope, read_constants, too_young
from egret_gateway.convert.derived import DERIVED, DerivedSettings
from egret_gateway.convert.formula import Input
from egret_gateway.limits import TOTALS, read_datum, read_range, read_watch, span_fact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egret_gateway.convert.derived import DerivedFormula
    from egret_gateway.table import Table

DERIVED_MAX = 256  # derived channels of one gateway


def read_derived(top: Table, sources: Mapping[str, Source]) -> tuple[DerivedSettings, ...]:
    """Read and check every `[[derived]]`; each may be made of channels and of those above it."""
    tables = top.tables("derived")
    if len(tables) > DERIVED_MAX:
        top.fail("derived", f"write at most {DERIVED_MAX} of them")
    known = dict(sources)
    found: list[DerivedSettings] = []
    for table in tables:
        one = _derived(table, known)
        known[one.key] = Source(one.quantity, one.period_s)
        found.append(one)
    return tuple(found)


def derived_meta(settings: DerivedSettings, cut_s: float) -> ChannelMeta:
    """Return a derived channel's facts: its law, its numbers, and what it is made of."""
    extra: dict[str, Any] = {
        "of": [one.source for one in settings.of],
        "calibration": {"unit": settings.unit, "input_unit": settings.of[0].unit},
    }
    if settings.operator != ANY:
        extra["range"] = span_fact(settings.operator)
    return ChannelMeta(
        station=settings.station,
        channel=settings.channel,
        quantity=settings.quantity,
        unit=canonical(settings.quantity),
        datum=settings.datum,
        period_s=settings.period_s,
        cut_s=cut_s,
        formula=settings.formula.id,
        constants=dict(settings.constants),
        watch_at=settings.watch_at,
        extra=extra,
    )


def _derived(table: Table, known: Mapping[str, Source]) -> DerivedSettings:
    formula = DERIVED[table.text("formula", one_of=tuple(DERIVED))]
    names = _names(table, formula, known)
    taken = known[names[0]].quantity
    quantity, unit, input_unit = _units(table, formula, taken)
    max_age_s = table.number("max_age_s", 0.05, AGE_MAX_S)
    for name in names:
        if why := too_young(max_age_s, known[name]):
            table.fail("max_age_s", f"{name}: {why}")
    datum = read_datum(table, quantity)
    settings = DerivedSettings(
        station=table.id("station"),
        channel=table.id("channel"),
        quantity=quantity,
        unit=unit,
        formula=formula,
        constants=read_constants(table, formula.constants, []),
        of=tuple(
            Input(str(n), name, known[name].quantity, input_unit, max_age_s)
            for n, name in enumerate(names)
        ),
        period_s=max(known[name].period_s for name in names),
        datum=datum,
        watch_at=read_watch(table, quantity, datum),
        operator=read_range(table, quantity),
    )
    check_slope(table, formula.id, settings.constants)
    if settings.key in known:
        table.fail("channel", f"{settings.key} is there already: give it an id of its own")
    table.done()
    return settings


def _names(table: Table, formula: DerivedFormula, known: Mapping[str, Source]) -> list[str]:
    names = table.array("of", str)
    if not formula.least <= len(names) <= formula.most:
        table.fail("of", f"{formula.id} takes {formula.least} to {formula.most} channels")
    if len(set(names)) < len(names):
        table.fail("of", "name each channel once")
    for name in names:
        if name not in known:
            near = meant(name, known)
            table.fail("of", f"{name!r} is no channel here{near}; there are: {_listed(known)}")
        if known[name].quantity in TOTALS:
            table.fail("of", f"{name!r} is a total: the centre adds it up")
        if known[name].quantity != known[names[0]].quantity:
            table.fail("of", f"{name!r} measures another quantity than {names[0]!r}")
    return names


def _units(table: Table, formula: DerivedFormula, taken: str) -> tuple[str, str, str]:
    """Return the quantity, the unit of the law's result, and the unit of what it takes."""
    if formula.id != "linear":
        return taken, canonical(taken), canonical(taken)
    quantity, unit = table.text("quantity"), table.text("unit")
    if quantity in TOTALS:
        table.fail("quantity", "a total comes from a counter alone")
    input_unit = table.text("input_unit", canonical(taken))
    for key, one, of in (("unit", unit, quantity), ("input_unit", input_unit, taken)):
        try:
            factor(of, one)
        except UnitError as error:
            table.fail(key, str(error))
    return quantity, unit, input_unit


def _listed(known: Mapping[str, Source]) -> str:
    return ", ".join(sorted(known))
