"""The battery and its steps in the site's file: `[battery]`, checked wholly.

Rain and level go last: a step that sheds one of them, or what one is made of, must leave nothing
else being read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egret_core.spelling import meant
from egret_gateway.bus.shed import STEPS_MAX, VOLTS_MAX, BatterySettings, Step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egret_gateway.table import Table

VITAL = ("rain_total", "rain_intensity", "water_level", "water_depth")


class Measured(NamedTuple):
    """What a step must know of a measured channel.

    Attributes:
        quantity: what it measures; corrects: the measured channels that need its value.
        makes: quantities of the derived channels that are made of it.
    """

    quantity: str
    corrects: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()

    @property
    def vital(self) -> bool:
        """Whether rain or a level ends with it."""
        return any(one in VITAL for one in (self.quantity, *self.makes))


def read_battery(top: Table, channels: Mapping[str, Measured]) -> BatterySettings | None:
    """Read and check `[battery]`, None where there is none.

    Args:
        top: the whole file.
        channels: all that are measured, by `station/channel`.
    """
    if not top.has("battery"):
        return None
    table = top.table("battery")
    key = table.text("channel")
    if key not in channels or channels[key].quantity != "voltage":
        known = ", ".join(sorted(k for k, one in channels.items() if one.quantity == "voltage"))
        table.fail("channel", f"name a voltage that is measured here: {known or 'there is none'}")
    tables = table.tables("step")
    if not 1 <= len(tables) <= STEPS_MAX:
        table.fail("step", f"write 1 to {STEPS_MAX} [[battery.step]]")
    shed: set[str] = set()
    steps: list[Step] = []
    for one in tables:
        most_v = steps[-1].below_v if steps else VOLTS_MAX
        step = _step(one, key, channels, most_v)
        shed |= set(step.shed)
        _vital_last(one, shed | {key}, channels)
        steps.append(step)
    table.done()
    return BatterySettings(key, tuple(steps))


def _step(table: Table, battery: str, channels: Mapping[str, Measured], most_v: float) -> Step:
    below_v = table.number("below_v", 0, most_v)
    shed = table.array("shed", str)
    if not shed:
        table.fail("shed", "name the channels that are no longer read")
    for key in shed:
        if key not in channels:
            near = meant(key, channels)
            table.fail("shed", f"{key!r} is not measured{near}; there are: {_listed(channels)}")
        if key == battery:
            table.fail("shed", f"{key!r} is the battery itself: nothing would end the step")
    step = Step(below_v, table.number("back_v", below_v, VOLTS_MAX), tuple(shed))
    if step.back_v == below_v:
        table.fail("back_v", "write more than below_v, or it goes to and fro")
    table.done()
    return step


def _vital_last(table: Table, gone: set[str], channels: Mapping[str, Measured]) -> None:
    left = sorted(channels.keys() - gone)
    vital = sorted(key for key in gone if key in channels and channels[key].vital)
    others = [key for key in left if not channels[key].vital]
    if vital and others:
        table.fail("shed", f"rain and level go last: {others[0]!r} is read after {vital[0]!r}")
    for key in sorted(gone):
        for other in channels[key].corrects:
            if other in left:
                table.fail("shed", f"{other!r} needs {key!r}: shed both, or neither")


def _listed(channels: Mapping[str, Measured]) -> str:
    return ", ".join(sorted(channels))
