"""The Modbus part of a profile: `[modbus]`, and where each item lies."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from egret_core.errors import ConfigError
from egret_gateway.profiles.model import Item, Modbus, Readable, Register
from egret_gateway.protocols.modbus_pdu import COUNT_MAX, FUNCTION_CODES
from egret_gateway.protocols.registers import ORDERS, WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_gateway.table import Table

_REGISTER_MAX = 0xFFFF


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
    return Register(_fc(table), address, kind, order)


def counter_bits(table: Table, at: Register) -> int:
    """Return how wide a counter there is; ConfigError for a type that does not count."""
    if at.kind not in ("u16", "u32"):
        table.fail("type", "a counter is u16 or u32")
    return 16 * at.words


def no_overlap(table: Table, items: Sequence[Item]) -> None:
    """Raise ConfigError where two items share a register."""
    ordered = sorted(items, key=lambda item: (item.at.fc, item.at.address))
    for one, two in pairwise(ordered):
        if one.at.fc == two.at.fc and two.at.address <= one.at.last:
            raise ConfigError(
                table.file,
                f"item.{two.name}.address",
                two.at.address,
                f"item {one.name!r} takes registers {one.at.address} to {one.at.last}: "
                "move one of them",
            )


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
        table.fail("fc", "write 3 (holding registers) or 4 (input registers)")
    return fc
