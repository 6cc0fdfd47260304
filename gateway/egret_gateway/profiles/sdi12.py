"""The `[sdi12]` part of a profile: how a sensor may be asked, and which value of which command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from egret_gateway.protocols.sdi12 import Kind, Measurement, measurement

if TYPE_CHECKING:
    from egret_gateway.table import Table

COUNTER_BITS_MAX = 32  # a total that no sensor wraps is 32 bits of its last decimal
VALUES_MAX = {Kind.MEASURE: 9, Kind.VERIFY: 9, Kind.CONCURRENT: 99, Kind.CONTINUOUS: 37}
DECIMALS_MAX = 6
READY_MAX_S = 999  # three digits
WAIT_MAX_S = 30.0  # for M and V the whole line waits: longer ones are asked by C


@dataclass(frozen=True, slots=True)
class Sdi12:
    """How an SDI-12 family may be asked.

    Attributes:
        crc: it knows the commands with CRC; they are then asked in place of the plain ones.
        timeout_ms: wait behind a transparent adapter, which does the retries.
        ready_max_s: a longer promise is not believed.
    """

    crc: bool = False
    timeout_ms: float = 1500.0
    ready_max_s: float = WAIT_MAX_S


@dataclass(frozen=True, slots=True)
class Measured:
    """Where a value stands in a sensor's data.

    Attributes:
        asked: the measurement; place: of the value in its data, from 1.
        decimals: digits after the point that count: the raw number is then a whole one.
    """

    asked: Measurement
    place: int
    decimals: int = 0


def way(table: Table) -> Sdi12:
    """Return how the family may be asked; ConfigError for what cannot be."""
    found = Sdi12(
        crc=table.flag("crc", default=False),
        timeout_ms=table.number("timeout_ms", 100, 10_000, 1500),
        ready_max_s=table.number("ready_max_s", 1, READY_MAX_S, WAIT_MAX_S),
    )
    table.done()
    return found


def place(table: Table, asked_with: Sdi12) -> Measured:
    """Return which value of which command an item is."""
    text = table.text("command")
    try:
        asked = measurement(text, crc=asked_with.crc)
    except ValueError as error:
        table.fail("command", f"{error}; CRC is for [sdi12] crc = true")
    if asked.kind in (Kind.MEASURE, Kind.VERIFY) and asked_with.ready_max_s > WAIT_MAX_S:
        table.fail("command", f"the line waits for it: ask C, or write ready_max_s <= {WAIT_MAX_S}")
    found = table.integer("value", 1, VALUES_MAX[asked.kind])
    return Measured(asked, found, table.integer("decimals", 0, DECIMALS_MAX, 0))
