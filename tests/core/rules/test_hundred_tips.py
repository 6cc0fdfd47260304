"""A hundred tips poured into a gauge in maintenance: no rule over rain sees a drop of them.

Every pack that judges a rain total is here by being in the folder, with levels that the same water
reaches as rain; and areas, chains, votes and fusions over them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from rig.jointbook import of
from rig.noisy import JUDGING, ON, SITES
from rig.packbook import GAUGE, PACKS, of_pack
from rig.rulebook import Arrival, at, fold_of, place, play, prompt, reading, shuffled, timeline

from egret_core.buckets import TEN_MIN_MS, Point, gather
from egret_core.quality import Reason
from egret_core.rules.binding import bind
from egret_core.rules.index import Graded
from egret_core.rules.joints import JOINTS
from egret_core.rules.model import IndexLaw
from egret_core.rules.rain import Rain

if TYPE_CHECKING:
    from egret_core.reading import Reading
    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.model import BoundRule, ChannelPlace
    from egret_core.rules.step import Fold

TIPS, TIP_MM = 100, 0.5
DRY = 3 * 144  # readings of three days, ten minutes apart
WORK = int(Reason.MAINTENANCE)
RAINY = [pack for pack in JUDGING if ON.get(PACKS[pack].family) is GAUGE]
LOW = 'levels = [{ level = "orange", raise = 20 }]'
# Levels that fifty millimetres within a hundred minutes reach, where the pack's own are higher, or
# hold in another season or for longer storms only.
REACHED = {
    "fujian-rain-signals": 'place = "coast"\n'
    'levels = [{ level = "blue", window_h = 12, sum = 50 }]',
    "generic-api": f"k_day = 0.85\n{LOW}",
    "jma-effective-rainfall": LOW,
    "jma-soil-water": LOW,
    "usgs-seattle-p3-p15": LOW,
    "usgs-seattle-wetness": 'utc_offset_h = -8\nlevels = [{ level = "a", raise = -0.17 }]',
    "usgs-seattle-intensity-duration": 'dmin_h = 1\nlevels = [{ level = "a", raise = 0.3 }]',
}


def rule_of(pack: str) -> BoundRule:
    return of_pack(pack, GAUGE, REACHED.get(pack, SITES.get(pack, "")))


def history(rule: BoundRule, on: ChannelPlace = GAUGE) -> list[Reading]:
    """Return dry hours until the rule is warm, and a day beyond."""
    span_h = rule.law.span_ms // 3_600_000 if isinstance(rule.law, IndexLaw) else 24
    days = 32 if "warm_s" in PACKS[rule.pack.partition("@")[0]].parameters else 1
    first_h = -span_h - 24 * days
    return [reading(3600 * hour, 1000.0, on) for hour in range(first_h, 1)]


def tips(on: ChannelPlace, reasons: int, tip_mm: float, step_s: float) -> list[Reading]:
    """Return a hundred tips, the first a step after the start."""
    return [
        reading(step_s * n, 1000.0 + n * tip_mm, on, reasons=reasons) for n in range(1, TIPS + 1)
    ]


def poured(
    rule: BoundRule,
    reasons: int = WORK,
    on: ChannelPlace = GAUGE,
    *,
    tip_mm: float = TIP_MM,
    step_s: float = 60,
) -> list[Reading]:
    """Return the hundred tips after the history, and three dry days after them."""
    total, start_s = 1000.0 + TIPS * tip_mm, step_s * (TIPS + 1)
    dry = [reading(start_s + 600 * n, total, on) for n in range(DRY)]
    return [*history(rule, on), *tips(on, reasons, tip_mm, step_s), *dry]


def judged(
    rules: tuple[BoundRule, ...], rows: list[Reading], arrivals: list[Arrival] | None = None
) -> tuple[list[ConditionEvent], Fold]:
    """Return what is said, and the fold after it."""
    places = sorted({(one.station, one.channel) for one in rows})
    fold = fold_of(
        [place(channel, "rain_total", name) for name, channel in places], rules, at(-1e7)
    )
    items = timeline(arrivals or prompt(rows), ticks=False)
    return play(fold, items), fold


def sums(fold: Fold) -> list[Any]:
    """Return everything that a rule over rain has added up."""
    (part,) = fold.channels["st1"]["rn"].detectors
    if isinstance(part, Rain):
        return [*part._windows.sums_nm, *part._windows.dump()]
    assert isinstance(part, Graded)
    return part._index.dump()


def dry_twin(rows: list[Reading]) -> list[Reading]:
    """Return the same readings of a gauge into which nobody poured."""
    return [one._replace(value=1000.0) for one in rows]


def test_every_rule_over_rain_is_here() -> None:
    assert len(RAINY) >= 13
    assert {PACKS[pack].family for pack in RAINY} == {
        *("rain", "day_sum", "storm", "antecedent", "recent_antecedent", "wetness", "soil_water")
    }


@pytest.mark.parametrize("pack", RAINY)
def test_a_hundred_tips_in_maintenance_raise_nothing_and_add_nothing(pack: str) -> None:
    rule = rule_of(pack)
    rows = poured(rule)
    said, fold = judged((rule,), rows)
    assert said == []
    _, dry = judged((rule,), dry_twin(rows))
    assert sums(fold) == sums(dry), "0 mm of it in every sum"


@pytest.mark.parametrize("pack", RAINY)
def test_the_same_tips_outside_maintenance_are_rain_and_raise(pack: str) -> None:
    rule = rule_of(pack)
    rows = poured(rule, reasons=0)
    said, fold = judged((rule,), rows[: 2 - DRY])
    assert [str(one.change) for one in said if one.phase == "settled"][:1] == ["raised"]
    _, dry = judged((rule,), dry_twin(rows[: 2 - DRY]))
    assert sums(fold) != sums(dry)


@pytest.mark.parametrize("pack", RAINY)
def test_out_of_order_they_add_nothing_either(pack: str) -> None:
    rule = rule_of(pack)
    rows = poured(rule, step_s=10)
    mixed = shuffled(rows, 5)
    assert [one.reading for one in mixed] != rows
    said, fold = judged((rule,), rows, mixed)
    assert said == []
    assert sums(fold) == sums(judged((rule,), dry_twin(rows))[1])


@pytest.mark.parametrize("pack", RAINY)
def test_rain_after_the_work_is_judged_from_where_it_left_the_total(pack: str) -> None:
    rule = rule_of(pack)
    work = poured(rule, tip_mm=5.0)[: 1 - DRY]  # half a metre: as rain it would be any red
    start_s = 60 * (TIPS + 1)
    more = [reading(start_s + 60 * n, 1500.0 + n * TIP_MM, GAUGE) for n in range(1, TIPS + 1)]
    rain = [*more, *dry_after(more)]
    said, _ = judged((rule,), [*work, *rain])
    plain = [one._replace(value=(one.value or 0.0) - 500.0) for one in rain]
    expected, _ = judged((rule,), [*dry_twin(work), *plain])
    assert said
    assert [key(one) for one in said] == [key(one) for one in expected]


def dry_after(rows: list[Reading]) -> list[Reading]:
    """Return a dry hour after these."""
    last = rows[-1]
    return [last._replace(time_ms=last.time_ms + 600_000 * n) for n in range(1, 7)]


def key(event: ConditionEvent) -> tuple[str, str, str, int]:
    return str(event.change), str(event.phase), event.level, event.time_ms


TWO = "".join(
    f"""
[[rule]]
id = "rain{n}"
pack = "generic-rain"
channels = ["st{n}/rn"]
[rule.parameters]
levels = [
  {{ level = "yellow", window_h = 1, sum = 5 }}, {{ level = "red", window_h = 3, sum = 20 }},
]
"""
    for n in (1, 2)
)
BOTH = '[{ rule = "rain1", name = "rain" }, { rule = "rain2", name = "river" }]'
MORE = {
    "generic-vote": "{ need = 2 }",
    "generic-area": "{ need = 1 }",
    "generic-logic": '{ levels = [{ level = "act", all = { rain = "yellow" } }] }',
    "two-families-red": "{ levels = ['yellow', 'red'] }",
    "generic-chain": '{ levels = ["watch", "act"], stages = [{ input = "rain", level = "yellow" }, '
    '{ input = "river", level = "red", within_s = 7200 }] }',
    "rain-to-flood": '{ stages = [{ input = "rain", level = "yellow" }, '
    '{ input = "river", level = "red", within_s = 7200 }] }',
    "rain-to-slope": '{ levels = ["a", "b"], stages = [{ input = "rain", level = "yellow" }, '
    '{ input = "river", level = "red", within_s = 7200 }] }',
}
JOINT = sorted(name for name, pack in PACKS.items() if pack.family in JOINTS)


@pytest.mark.parametrize("pack", JOINT)
def test_what_stands_on_rain_hears_nothing_of_it(pack: str) -> None:
    gauges = [replace(GAUGE, station=name) for name in ("st1", "st2")]
    joint = f'[[rule]]\nid = "joint"\npack = "{pack}"\narea = "valley"\ninputs = {BOTH}\n'
    places = {(one.station, one.channel): one for one in gauges}
    rules = bind(f"{TWO}\n{joint}parameters = {MORE[pack]}", "rules.toml", PACKS, places)
    first = next(one for one in rules if one.id == "rain1")

    def both(reasons: int) -> list[Reading]:
        rows = [one for gauge in gauges for one in poured(first, reasons, gauge)]
        return sorted(rows, key=lambda one: one.time_ms)

    assert judged(rules, both(WORK))[0] == []
    assert of(judged(rules, both(0))[0], "joint"), "as rain it would be said"


def test_buckets_count_nothing_of_it_and_show_that_it_was_there() -> None:
    rows = poured(rule_of("generic-rain"))
    points = [Point(one.time_ms, one.value, one.flag, one.reasons) for one in rows if one.reasons]
    buckets = gather(points, TEN_MIN_MS)
    assert sum(one.seen for one in buckets) == TIPS
    assert {one.n for one in buckets} == {0}
    assert {one.total for one in buckets} == {None}
