"""Every pack bound at a site of its own, and noise of 2 % that reaches each of its levels.

A new pack of a known family is found by being in the folder; what it leaves to the site is given
in `SITES`, and a new family needs a way for noise to reach it in `rig.noise`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, cast

from rig.packbook import GAUGE, PACKS, RIVER, of_pack

from egret_core.rules.event import Change, ConditionEvent, Phase
from egret_core.rules.index import Standing
from egret_core.rules.joints import JOINTS
from egret_core.rules.model import BoundRule, ChannelPlace, Family, IndexLaw, LadderLaw, RainLaw
from egret_core.rules.step import detectors_of
from egret_core.rules.storm import Storm

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from egret_core.rules.curves import Terms

DAY_MIN = 24 * 60
SHARE = 0.02  # of the threshold, either way
START_MS = 1_500_000_000_000
Rows = list[tuple[int, float]]  # ms, value

FLOW = ChannelPlace("st1", "q", "discharge", "m3/s", "", "GW-1", 30.0)
FORECAST = ChannelPlace("st1", "fc", "rain_forecast", "mm", "", "GW-1", 30.0)
MOVING = ChannelPlace("st1", "d", "displacement", "mm", "", "GW-1", 30.0)
_RAINS = (
    *(Family.RAIN, Family.DAY_SUM, Family.STORM, Family.ANTECEDENT, Family.RECENT_ANTECEDENT),
    *(Family.WETNESS, Family.SOIL_WATER),
)
ON: Mapping[Family, ChannelPlace] = {
    **dict.fromkeys(_RAINS, GAUGE),
    Family.MUSKINGUM: FLOW,
    Family.RAIN_FORECAST: FORECAST,
    Family.VELOCITY: MOVING,
    Family.TANGENT_ANGLE: MOVING,
    Family.SLOPE: MOVING,
}
LEVELS = """levels = [
  { level = "blue", raise = 3.0 }, { level = "yellow", raise = 4.0 },
  { level = "red", raise = 5.0 },
]"""
METRES = f'unit = "m"\ndatum = "Local"\n{LEVELS}'
DEPTHS = LEVELS.replace(".0", "0.0")  # 30, 40, 50 mm or m3/s
WINDOWS = """levels = [
  { level = "blue", window_h = 24, sum = 50 }, { level = "yellow", window_h = 6, sum = 40 },
  { level = "red", window_h = 1, sum = 30 },
]"""
SITES: Mapping[str, str] = {
    "generic-level": METRES,
    "cn-flood-levels": 'unit = "m"\ndatum = "Local"\nwarning = 15\nguaranteed = 16.6\nhighest = 18',
    "generic-rating": f'datum = "Local"\npoints = [{{ stage = 10, flow = 20 }}, '
    f"{{ stage = 20, flow = 200 }}]\n{DEPTHS}",
    "surge-residual": 'datum = "Local"\nepoch = "2017-07-14T00:00:00+00:00"\nmean = 2.0\n'
    'constituents = [{ name = "M2", amplitude = 1.5, speed_deg_per_h = 28.98, phase_deg = 0 }]\n'
    f"{LEVELS}",
    "muskingum-flow": f'reach = "r"\ntravel_h = 0.05\n{DEPTHS}',
    "generic-rain-forecast": f"ahead_s = 3600\n{DEPTHS}",
    "generic-rate-of-rise": f'unit = "m/h"\n{LEVELS}',
    "generic-time-to-level": METRES,
    "river-nowcast": f"{METRES}\nbase = 1.0",
    "generic-rain": WINDOWS,
    "flash-flood-prepare-move": 'levels = [{ level = "prepare", window_h = 1, sum = 30 }, '
    '{ level = "prepare", window_h = 3, sum = 50 }, { level = "move", window_h = 6, sum = 110 }]',
    "fujian-rain-signals": 'place = "coast"\n'
    'levels = [{ level = "blue", window_h = 12, sum = 50 }]',
    "cn-rain-grades": 'starts_at = "08:00"\nutc_offset = "+08:00"',
    "generic-api": f"k_day = 0.85\n{DEPTHS}",
    "jma-effective-rainfall": DEPTHS,
    "jma-soil-water": DEPTHS,
    "generic-intensity-duration": 'source = "a test"\ndmin_h = 1\ndmax_h = 100\ncurves = ['
    '{ level = "blue", a = 6.0, b = 0.5 }, { level = "yellow", a = 9.0, b = 0.4 }]',
    "usgs-seattle-wetness": "utc_offset_h = -8",
    "generic-velocity": "v0_mm_per_day = 10\nsigma_mm = 0.1",
    "xu-tangent-angle": "v_eq_mm_per_day = 2\nsigma_mm = 0.1",
    "inverse-velocity": "v_eq_mm_per_day = 2\nsigma_mm = 0.1",
}
# Silence has no value that could move by 2 %, and no reading a minute comes near its limit; joint
# rules hear of levels only, and have tests of their own.
APART = frozenset({Family.ABSENCE, *JOINTS})
JUDGING = sorted(name for name, pack in PACKS.items() if pack.family not in APART)


def rule_of(pack: str, more: str = "") -> BoundRule:
    """Return the rule of a pack with its defaults, at the site of these tests."""
    on = ON.get(PACKS[pack].family, RIVER)
    return of_pack(pack, on, f"{SITES.get(pack, '')}\n{more}")


def ladder_of(rule: BoundRule) -> LadderLaw | None:
    """Return the ladder of a rule, None where it has sums over windows."""
    if isinstance(rule.law, IndexLaw):
        return rule.law.ladder
    return rule.law if isinstance(rule.law, LadderLaw) else None


def with_ladder(rule: BoundRule, ladder: LadderLaw) -> BoundRule:
    """Return the rule with another ladder."""
    law = replace(rule.law, ladder=ladder) if isinstance(rule.law, IndexLaw) else ladder
    return replace(rule, law=law)


def level(ladder: LadderLaw) -> LadderLaw:
    """Return a ladder without any distance between raise and clear."""
    rungs = tuple(replace(one, clear_at=one.raise_at) for one in ladder.rungs)
    return replace(ladder, rungs=rungs)


def bare(rule: BoundRule) -> BoundRule:
    """Return the rule without persistence, hold, flaps, distance: what protects it from noise."""
    if isinstance(rule.law, RainLaw):
        return replace(rule, law=replace(rule.law, dry_ms=0))
    ladder = ladder_of(rule)
    assert ladder is not None
    alone = replace(level(ladder), hold_ms=0, flap_ms=0, persistence_ms=0)
    stripped = with_ladder(rule, alone)
    law = stripped.law
    if rule.family is Family.STORM and isinstance(law, IndexLaw) and law.make is not Probe:
        # Several curves keep their distance in the index itself.
        terms = replace(terms_of(rule), clear_ratio=1.0)
        return replace(stripped, law=replace(law, make=partial(Storm, terms)))
    return stripped


def terms_of(rule: BoundRule) -> Terms:
    """Return the curves of a storm rule."""
    made = cast("IndexLaw", rule.law).make
    return cast("Terms", cast("partial[Storm]", made).args[0])


def ranks_of(rule: BoundRule) -> Sequence[int]:
    """Return the ranks of a rule's levels."""
    ladder = ladder_of(rule)
    if ladder is not None:
        return range(1, len(ladder.rungs) + 1)
    assert isinstance(rule.law, RainLaw)
    return range(1, max(one.rank for one in rule.law.levels) + 1)


def shares(seed: int, *, bursts: bool, count: int = DAY_MIN) -> list[float]:
    """Return noise within 2 %, one a minute; in bursts it dwells some minutes on one side."""
    dice, side, out = random.Random(seed), 1, []
    for _ in range(count):
        if bursts and dice.random() < 0.3:
            side = -side
        one = dice.uniform(-SHARE, SHARE)
        out.append(abs(one) * side if bursts else one)
    return out


@dataclass(slots=True)
class Probe:
    """An index that is what is handed in: the ladder alone is tried."""

    standing: Standing = Standing.OK

    def take(self, time_ms: int, value: float) -> float | None:  # noqa: ARG002  (an index's own)
        """Return what is handed in."""
        return value

    def evidence(self) -> dict[str, float]:
        """Return nothing."""
        return {}

    def dump(self) -> list[float]:
        """Return no state."""
        return []

    def restore(self, saved: Sequence[float]) -> None:
        """Take no state."""


def probed(rule: BoundRule) -> BoundRule:
    """Return the rule with its index handed in."""
    if isinstance(rule.law, IndexLaw):
        return replace(rule, law=replace(rule.law, make=Probe, of_total=False))
    return rule


def judge(rule: BoundRule, rows: Iterable[tuple[int, float]]) -> list[ConditionEvent]:
    """Return what the rule's detector says, each reading alerted and settled at once."""
    (detector,) = detectors_of([rule], "st1/x")
    out: list[ConditionEvent] = []
    for time_ms, value in rows:
        if value >= detector.alert_at:
            said = detector.alert(time_ms, value)
            out += [said] if said else []
        detector.settle(time_ms, value, out)
    return out


def crossings(events: Sequence[ConditionEvent], rank: int) -> tuple[int, int]:
    """Return how often a rank was settled to be reached, and how often to be left."""
    assert not [one for one in events if one.phase is Phase.REFUTED]
    before, up, down, rises = 0, 0, 0, 0
    for one in events:
        if one.phase is Phase.SETTLED:
            rises += one.change in (Change.RAISED, Change.UPGRADED)
            up += before < rank <= one.rank
            down += one.rank < rank <= before
            before = one.rank
    said = sum(one.phase is Phase.PROVISIONAL for one in events)
    assert said <= rises, "nothing is said at once that is not raised"
    return up, down
