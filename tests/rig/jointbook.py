"""Joint rules for tests: a catalogue in few words, and inputs without a first stage."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING

from rig.rulebook import GATEWAY, at, place, reading

from egret_core.rules.binding import bind
from egret_core.rules.joint import Held, Input
from egret_core.rules.packs import parse_pack
from egret_core.rules.step import Receipt, Tick

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.reading import Reading
    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.joint import Joint
    from egret_core.rules.model import BoundRule, ChannelPlace
    from egret_core.rules.step import Item

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


VOTE = """
[[rule]]
id = "vote"
pack = "generic-vote"
inputs = [{ rule = "river", channels = ["st1/wl", "st2/wl", "st3/wl"] }]
parameters = { need = 2, stale_s = 900 }
"""
NESTED = (
    VOTE
    + """
[[rule]]
id = "top"
pack = "generic-logic"
area = "valley"
hazard = "flood"
inputs = [{ rule = "vote" }, { rule = "rain", name = "storm" }]
[rule.parameters]
levels = [{ level = "act", all = { vote = "orange", storm = "yellow" } }]
"""
)


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


VOTED = rules(VOTE, RIVER)
RIVERS = [place(station=f"st{n}") for n in (1, 2, 3)]


def scene(*rows: tuple[float, int, float], until: float, period: float = 60) -> list[Item]:
    """Return readings every minute and ticks: each row is (from when, station, value)."""
    items: list[tuple[int, int, Item]] = []
    for n, one in enumerate(RIVERS, 1):
        mine = [(start, value) for start, station, value in rows if station == n]
        for k in range(int(until // period)):
            second = k * period
            value = [v for start, v in mine if start <= second][-1:]
            if value and value[0] > 0:  # 0: it says nothing
                row = reading(second, value[0], one)
                items.append((at(second) + 500, 1, Receipt(GATEWAY, at(second) + 500, [row])))
    items += [(at(s), 0, Tick(at(s))) for s in range(10, int(until) + 200, 10)]
    return [item for _, _, item in sorted(items, key=lambda row: row[:2])]


def of(events: Sequence[ConditionEvent], rule: str = "vote") -> list[ConditionEvent]:
    return [event for event in events if event.rule.partition("@")[0] == rule]


QUIET = ((0, 1, 1.0), (0, 2, 1.0), (0, 3, 1.0))
