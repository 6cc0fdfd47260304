"""Joint rules for tests: a catalogue in few words, and inputs without a first stage."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING

from rig.rulebook import place, reading

from egret_core.rules.binding import bind
from egret_core.rules.joint import Held, Input
from egret_core.rules.packs import parse_pack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.reading import Reading
    from egret_core.rules.joint import Joint
    from egret_core.rules.model import BoundRule, ChannelPlace

FOLDER = Path(__file__).parents[2] / "core" / "egret_core" / "packs"
PACKS = {p.stem: parse_pack(p.read_text(), p.name) for p in sorted(FOLDER.glob("*.toml"))}
COLOURS = ("blue", "yellow", "orange", "red")
STATIONS = ("st1", "st2", "st3", "st4")
PLACES: list[ChannelPlace] = [
    one for name in STATIONS for one in (place(station=name), place("rn", "rain_total", name))
]
LEVELS = "".join(
    f'  {{ level = "{label}", raise = {on}, clear = {off} }},\n'
    for label, on, off in zip(COLOURS, (3.0, 3.5, 4.0, 5.0), (2.8, 3.3, 3.8, 4.8), strict=True)
)
RIVER = f"""
[[rule]]
id = "river"
pack = "generic-level"
channels = ["st1/wl", "st2/wl", "st3/wl", "st4/wl"]
[rule.parameters]
unit = "m"
datum = "Local"
hold_s = 0
levels = [
{LEVELS}]
"""
RAIN = """
[[rule]]
id = "rain"
pack = "generic-rain"
channels = ["st1/rn", "st2/rn"]
[rule.parameters]
levels = [
  { level = "yellow", window_h = 1, sum = 10 },
  { level = "red", window_h = 1, sum = 30 },
]
dry_s = 600
"""


def rules(text: str, first: str = RIVER + RAIN) -> tuple[BoundRule, ...]:
    """Return the rules of a text, behind those of the first stage."""
    places = {(one.station, one.channel): one for one in PLACES}
    return bind(first + text, "rules.toml", PACKS, places)


def held(*ranks: int, missing: Sequence[int] = (), unseen: Sequence[int] = ()) -> list[Held]:
    """Return what inputs say: their ranks, and which of them are missing or were never seen."""
    return [
        Held(rank, 0, n in missing or n in unseen, n not in unseen) for n, rank in enumerate(ranks)
    ]


def inputs(count: int, line: str = "level", levels: Sequence[str] = COLOURS) -> list[Input]:
    """Return inputs of one rule at stations of their own."""
    return [
        Input("river", "river@1", f"st{n}/wl", line, tuple(levels), (f"st{n}", "wl"))
        for n in range(1, count + 1)
    ]


def again(joint: Joint, fresh: Joint) -> Joint:
    """Return a law's state after a restart."""
    fresh.restore(json.loads(json.dumps(joint.dump())))
    return fresh


def rivers_and_rain(
    seed: int,
    steps: int,
    silent: Mapping[str, tuple[int, int]],
    periods: Sequence[int] = (6, 6, 30),
    step_s: int = 10,
) -> list[Reading]:
    """Three rivers that rise and fall together, read at their own pace, and a gauge of rain.

    `silent` gives the steps in which a station says nothing.
    """
    dice, level, total, out = random.Random(seed), 2.9, 100.0, []
    for n in range(steps):
        level = max(
            1.5, level + dice.choice((-0.08, -0.04, 0.0, 0.04, 0.09)) + 0.004 * (3.4 - level)
        )
        for name, period in zip(STATIONS, periods, strict=False):
            start, end = silent.get(name, (0, 0))
            if n % period == 0 and not start <= n < end:
                value = round(level + dice.choice((-0.3, 0.0, 0.2)), 3)
                out.append(reading(step_s * n, value, place(station=name)))
        if n % 6 == 0:
            total = round(total + dice.choice((0.0, 0.0, 0.0, 0.2, 0.8, 2.0)), 3)
            out.append(reading(step_s * n + 3, total, place("rn", "rain_total", "st1")))
    return out
