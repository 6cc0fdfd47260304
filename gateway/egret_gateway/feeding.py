"""How a device is fed, in the site's file: `supply` and `warmup_s`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_gateway.profiles import Supply

if TYPE_CHECKING:
    from egret_gateway.table import Table

COIL_MAX = 0xFFFF
RELAY_UNIT_MAX = 255
WARMUP_MAX_S = 600.0  # radar and multi-parameter probes settle within minutes


def read_supply(table: Table, shortest_s: float) -> tuple[Supply | None, float]:
    """Return a device's relay, None where it is always fed, and its warm-up in seconds.

    Args:
        table: of the device.
        shortest_s: its shortest period: a longer warm-up would never let it be read.
    """
    if not table.has("supply"):
        if table.has("warmup_s"):
            table.fail("warmup_s", "it is counted from the supply: write supply = { unit, coil }")
        return None, 0.0
    own = table.table("supply")
    supply = Supply(own.integer("unit", 1, RELAY_UNIT_MAX), own.integer("coil", 0, COIL_MAX))
    own.done()
    warmup_s = table.number("warmup_s", 0, WARMUP_MAX_S)
    if warmup_s >= shortest_s:
        table.fail("warmup_s", f"it must be shorter than the shortest period, {shortest_s:g} s")
    return supply, warmup_s
