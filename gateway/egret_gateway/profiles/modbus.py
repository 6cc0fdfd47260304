"""The Modbus part of a profile: `[modbus]`, and where each item lies."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from egret_core.errors import ConfigError
from egret_gateway.profiles.model import Hole, Item, Modbus, Readable, Register
from egret_gateway.protocols.modbus_pdu import BIT_READS, COUNT_MAX, FUNCTION_CODES
from egret_gateway.protocols.registers import BIT, ORDERS, WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_gateway.table import Table

_REGISTER_MAX = 0xFFFF
_UNSIGNED = ("u16", "u32", "u64")
_COUNTERS = (*_UNSIGNED, "i16", "i32", "i64")
_PAIR = 2


def way(table: Table) -> Modbus:
    """Return how the family may be asked; ConfigError for what cannot be."""
    table.integer("address_base", 0, 0, 0)  # says that addresses are those on the wire
    found = Modbus(
        max_block=table.integer("max_block", 1, COUNT_MAX, COUNT_MAX),
        single_read=table.flag("single_read", default=False),
        min_gap_ms=table.number("min_gap_ms", 0, 5000, 0),
        timeout_min_ms=table.number("timeout_min_ms", 1, 60_000, 50),
        timeout_max_ms=table.number("timeout_max_ms", 1, 60_000, 1000),
        late_window_ms=table.number("late_window_ms", 0, 600_000, 0),
        readable=tuple(_readable(entry) for entry in table.tables("readable")),
        holes=tuple(_hole(entry) for entry in table.tables("holes")),
    )
    if found.timeout_min_ms > found.timeout_max_ms:
        table.fail("timeout_min_ms", "write no more than timeout_max_ms")
    table.done()
    return found


def place(table: Table) -> Register:
    """Return where an item lies."""
    kind = table.text("type", one_of=tuple(WORDS))
    order = table.text("order", "ABCD", ORDERS if WORDS[kind] > 1 else ("ABCD", "BADC"))
    address = table.integer("address", 0, _REGISTER_MAX + 1 - WORDS[kind])
    fc = _fc(table)
    if (kind == BIT) is not (fc in BIT_READS):
        table.fail("fc", 'functions 1 and 2 read type "bit", functions 3 and 4 all others')
    return Register(fc, address, kind, order, _bits(table, kind) if table.has("bits") else None)


def _bits(table: Table, kind: str) -> tuple[int, int]:
    if kind not in _UNSIGNED:
        table.fail("bits", f"bits are taken out of {', '.join(_UNSIGNED)}")
    top = 16 * WORDS[kind] - 1
    found = table.array("bits", int)
    if len(found) != _PAIR or not 0 <= found[0] <= found[1] <= top:
        table.fail("bits", f"write [lowest, highest], within 0 and {top}")
    return found[0], found[1]


def counter_bits(table: Table, at: Register) -> int:
    """Return how wide a counter there is; ConfigError for a type that does not count."""
    if at.kind not in _COUNTERS:
        table.fail("type", f"a counter is {', '.join(_COUNTERS)}")
    if at.bits is not None:
        return at.bits[1] - at.bits[0] + 1
    return 16 * at.words - (at.kind[0] == "i")  # it wraps before its sign


def no_overlap(table: Table, items: Sequence[Item]) -> None:
    """Raise ConfigError where two items share a register, other than by different bits of it."""
    places = [(item.register, item.name) for item in items]
    ordered = sorted(places, key=lambda place: (place[0].fc, place[0].address))
    for (one, name), (two, other) in pairwise(ordered):
        if one.fc != two.fc or two.address > one.last or _beside(one, two):
            continue
        raise ConfigError(
            table.file,
            f"item.{other}.address",
            two.address,
            f"item {name!r} takes registers {one.address} to {one.last}: move one of them",
        )


def _beside(one: Register, two: Register) -> bool:
    if one.bits is None or two.bits is None or one.address != two.address:
        return False
    same = (one.kind, one.order) == (two.kind, two.order)
    return same and (one.bits[1] < two.bits[0] or two.bits[1] < one.bits[0])


def joint(way: Modbus, one: Register, two: Register) -> bool:
    """Tell whether two places can be read in one request, by all that the profile allows."""
    first, last = min(one.address, two.address), max(one.last, two.last)
    if one.fc != two.fc or last - first + 1 > way.max_block or way.single_read:
        return False
    gapless = last - first + 1 <= one.words + two.words
    within = any(a.fc == one.fc and a.first <= first and last <= a.last for a in way.readable)
    holed = any(h.fc == one.fc and h.first <= last and first <= h.last for h in way.holes)
    return (gapless or within) and not holed


def no_item_in_a_hole(table: Table, items: Sequence[Item], holes: Sequence[Hole]) -> None:
    """Raise ConfigError where an item lies in a hole: it could never be read."""
    for hole in holes:
        for item in items:
            at = item.at
            if not isinstance(at, Register):
                continue
            if at.fc == hole.fc and at.address <= hole.last and hole.first <= at.last:
                raise ConfigError(
                    table.file,
                    f"item.{item.name}.address",
                    at.address,
                    f"registers {hole.first} to {hole.last} are a hole (modbus.holes): "
                    "shorten the hole, or move the item",
                )


def _hole(table: Table) -> Hole:
    fc = _fc(table)
    first = table.integer("first", 0, _REGISTER_MAX)
    hole = Hole(fc, first, table.integer("last", first, _REGISTER_MAX))
    table.done()
    return hole


def _readable(table: Table) -> Readable:
    fc = _fc(table)
    first = table.integer("first", 0, _REGISTER_MAX)
    last = table.integer("last", first, _REGISTER_MAX)
    step = table.integer("step", 1, COUNT_MAX, 1)
    table.done()
    return Readable(fc, first, last, step)


def _fc(table: Table) -> int:
    fc = table.integer("fc", 1, 127)
    if fc not in FUNCTION_CODES:
        table.fail("fc", "write 3 or 4 (holding, input registers), or 1 or 2 (coils, inputs)")
    return fc
