"""One profile read and checked wholly: what it is, its line, its protocol, its items."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from egret_core.screening.range import ANY, Span
from egret_core.units import CANONICAL, UnitError, convert, factor
from egret_gateway.profiles import modbus, needs, sdi12, text
from egret_gateway.profiles.model import (
    TIERS,
    Counter,
    Item,
    Modbus,
    Place,
    Profile,
    Register,
    Way,
)
from egret_gateway.profiles.sdi12 import Measured, Sdi12
from egret_gateway.protocols.modbus_pdu import UNIT_MAX
from egret_gateway.protocols.sdi12 import ADDRESSES
from egret_gateway.table import Table, read_table

if TYPE_CHECKING:
    from pathlib import Path

PROTOCOLS = ("modbus", "sdi12", "nmea", "text")  # the section a profile has: what it speaks
_NOT_OF_COUNTERS = ("offset", "min", "max")  # a total is the sum of counts, and has no bounds
COUNTED = ("rain_total", "count")  # totals that a counter makes
_HUGE = 1e300  # no bound of ours: the value's own type is


def load(path: Path) -> Profile:
    """Read and check one profile; ConfigError names file, key, value seen and remedy."""
    table = read_table(path)
    about = _about(table.table("profile"), path.stem)
    way = _way(table)
    items = tuple(_item(name, entry, way) for name, entry in table.table("item").named().items())
    if not items:
        table.fail("item", "write at least one [item.NAME]")
    if isinstance(way, Modbus):
        modbus.no_overlap(table, items)
        needs.check(table, way, items)
        modbus.no_item_in_a_hole(table, items, way.holes)
    line = table.table("line")
    profile = Profile(
        name=about[0],
        version=about[1],
        title=about[2],
        tier=about[3],
        items=items,
        way=way,
        file=str(path),
        unit=line.integer("unit", 1, UNIT_MAX, 1),
        baud=line.integer("baud", 300, 1_000_000, 9600),
        parity=line.text("parity", "N", ("N", "E", "O")),
        stop_bits=line.integer("stop_bits", 1, 2, 1),
        address=line.text("address", "0", ADDRESSES),
    )
    for part in (line, table):
        part.done()
    return profile


def _about(table: Table, stem: str) -> tuple[str, int, str, str]:
    name = table.text("name")
    if name != stem:
        table.fail("name", f"write the file's own name, {stem!r}")
    version = table.integer("version", 1, 10_000)
    title = table.text("title")
    tier = table.text("tier", one_of=TIERS)
    try:
        date.fromisoformat(table.text("tier_date"))
    except ValueError:
        table.fail("tier_date", 'write a date as "2026-11-22"')
    if not table.text("evidence", ""):
        table.fail("evidence", "say what the tier rests on")
    table.array("caveats", str)
    if not table.array("sources", str):
        table.fail("sources", "name at least one public page of the register map")
    table.done()
    return name, version, title, tier


def _way(table: Table) -> Way:
    spoken = [name for name in PROTOCOLS if table.has(name)]
    if len(spoken) > 1:
        table.fail(spoken[1], f"a family speaks one protocol: leave [{spoken[0]}] or this one out")
    if spoken == ["sdi12"]:
        return sdi12.way(table.table("sdi12"))
    if spoken == ["nmea"]:
        return text.nmea_way(table.table("nmea"))
    if spoken == ["text"]:
        return text.text_way(table.table("text"))
    return modbus.way(table.table("modbus"))


def _item(name: str, table: Table, way: Way) -> Item:
    if isinstance(way, Modbus):
        at: Place = modbus.place(table)
    else:
        at = sdi12.place(table, way) if isinstance(way, Sdi12) else text.place(table, way)
    quantity = table.text("quantity", one_of=tuple(CANONICAL))
    unit = table.text("unit")
    try:
        factor(quantity, unit)
    except UnitError as error:
        table.fail("unit", str(error))
    item = Item(
        name=name,
        at=at,
        quantity=quantity,
        unit=unit,
        scale=table.number("scale", -1e9, 1e9, 1.0),
        offset=table.number("offset", -1e9, 1e9, 0.0),
        sensor=span(table, quantity, unit),
        sentinels=tuple(float(raw) for raw in table.array("sentinels", float)),
        counter=_counter(table, at) if table.has("counter") else None,
        **(needs.others(table, quantity) if isinstance(at, Register) else {}),
        read_clears=table.flag("read_clears", default=False),
    )
    if item.read_clears and not isinstance(at, Register):
        table.fail("read_clears", "only a register of Modbus is kept from a second read: leave out")
    if item.read_clears and item.ready is not None:
        table.fail("ready", "what is read while it is not ready is cleared unseen: leave it out")
    if item.scale == 0:
        table.fail("scale", "write a number other than 0")
    if (quantity in COUNTED) != (item.counter is not None):
        words = " or ".join(COUNTED)
        table.fail("counter", f"a {words}, and nothing else, has [item.NAME.counter]")
    if item.counter is not None:
        _counts_up(table, item)
    table.done()
    return item


def span(table: Table, quantity: str, unit: str) -> Span:
    """Return the bounds `min` and `max` of a table, given in `unit`, in the canonical unit."""
    low = table.number("min", -_HUGE, _HUGE, -_HUGE)
    high = table.number("max", -_HUGE, _HUGE, _HUGE)
    if low >= high:
        table.fail("min", "write min below max")
    return Span(
        ANY.low if low == -_HUGE else convert(quantity, low, unit),
        ANY.high if high == _HUGE else convert(quantity, high, unit),
    )


def _counts_up(table: Table, item: Item) -> None:
    if item.scale < 0:
        table.fail("scale", "a counter counts up: write a number above 0")
    for key in _NOT_OF_COUNTERS:
        if table.has(key):
            table.fail(key, "leave it out: a counter is whole counts, and scale is one's worth")


def _counter(table: Table, at: Place) -> Counter:
    own = table.table("counter")
    if isinstance(at, Register):
        most = modbus.counter_bits(table, at)
        bits = own.integer("bits", 1, most, most)
    elif isinstance(at, Measured):
        bits = own.integer("bits", 1, sdi12.COUNTER_BITS_MAX, sdi12.COUNTER_BITS_MAX)
    else:
        bits = own.integer("bits", 1, text.COUNTER_BITS_MAX)
    counter = Counter(bits, own.integer("max_step", 1, 2**bits // 2))
    own.done()
    return counter
