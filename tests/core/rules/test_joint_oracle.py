"""Votes, areas and chains through both stages, against spans of time laid over one another.

Three rivers and a gauge, each at its own pace and with silences of its own, every tenth reading
twice, all shuffled within the lateness. What the first stage said of each channel is cut into
spans; the second stage's levels are where enough of them lie over one another.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from rig.jointbook import PLACES, RAIN, RIVER, rules
from rig.millions import BATCH, COUNTS, IDS, TWICE, times
from rig.rulebook import GATEWAY, LATE_MS, fold_of, place

from egret_core.reading import Reading
from egret_core.rules.event import ConditionEvent, Phase
from egret_core.rules.step import Receipt, step

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from egret_core.rules.model import ChannelPlace

WAITS_MS = (1007, 10_000, 10_301, 60_000, 61_001, 120_003)
GAPS_MS = (900_001, 4_000_003, 20_000_007)
SKEW_MS, AFTER_MS, WITHIN_MS = 400_000, 120_000, 900_000
JOINT = """
[[rule]]
id = "two-of-three"
pack = "generic-vote"
inputs = [{ rule = "river", channels = ["st1/wl", "st2/wl", "st3/wl"] }]
parameters = { need = 2, skew_s = 400, stale_s = 1e9 }
[[rule]]
id = "basin"
pack = "generic-area"
area = "upper"
inputs = [{ rule = "river", channels = ["st1/wl", "st2/wl", "st3/wl"] }]
parameters = { share = 0.5, levels = ["yellow", "red"], skew_s = 100, stale_s = 1e9 }
[[rule]]
id = "cascade"
pack = "generic-chain"
area = "upper"
inputs = [
  { rule = "rain", channels = ["st1/rn"] },
  { rule = "river", channels = ["st1/wl", "st2/wl", "st3/wl"] },
]
[rule.parameters]
stages = [{ input = "rain", level = "yellow" },
          { input = "river", level = "orange", after_s = 120, within_s = 900 },
          { input = "river", level = "red", within_s = 900 }]
levels = ["one", "two", "three"]
stale_s = 1e9
"""
RULES = rules(JOINT, RIVER.replace("hold_s = 0", "hold_s = 0\nflap_s = 0") + RAIN)
Span = tuple[int, int]
Levels = list[tuple[int, int]]  # from when on, which rank
END_MS = 10**14


def river(count: int, dice: random.Random) -> list[tuple[int, float]]:
    level, out = 3.0, []
    for now in times(count, dice, WAITS_MS, GAPS_MS, 0.002):
        level = max(1.5, level + dice.choice((-0.2, -0.08, 0.0, 0.08, 0.2)) + 0.005 * (3.6 - level))
        out.append((now + dice.randrange(997), round(level, 3)))
    return out


def gauge(count: int, dice: random.Random) -> list[tuple[int, float]]:
    total, wet, out = 100.0, False, []
    for now in times(count, dice, WAITS_MS, GAPS_MS, 0.002):
        wet = wet != (dice.random() < (0.03 if wet else 0.006))
        total = round(total + (dice.choice((0.0, 0.4, 1.0)) if wet else 0.0), 1)
        out.append((now + dice.randrange(997), total))
    return out


def fed(series: Sequence[tuple[ChannelPlace, list[tuple[int, float]]]]) -> list[ConditionEvent]:
    dice, fold, out = random.Random(9), fold_of(PLACES, RULES), []
    arrivals = [
        (ms + dice.randrange(LATE_MS - 1000), Reading(one.station, one.channel, ms, value))
        for one, rows in series
        for ms, value in rows
        for _ in range(2 if dice.random() < TWICE else 1)
    ]
    arrivals.sort(key=lambda row: row[0])
    for at in range(0, len(arrivals), BATCH):
        batch = arrivals[at : at + BATCH]
        out += step(fold, Receipt(GATEWAY, batch[-1][0], [one for _, one in batch]))[1]
    assert all(one.late == 0 for here in fold.channels.values() for one in here.values())
    return [event for event in out if event.phase is Phase.SETTLED]


def levels_of(events: Iterable[ConditionEvent], rule: str, subject: str | None = None) -> Levels:
    return [
        (e.time_ms, e.rank)
        for e in events
        if e.rule.partition("@")[0] == rule and subject in (None, e.subject)
    ]


def spans(levels: Levels, least: int, longer_ms: int = 0) -> list[Span]:
    """Return when a level held or had ended no longer ago than that."""
    ends = [*(ms for ms, _ in levels[1:]), END_MS]
    held = [(ms, end) for (ms, rank), end in zip(levels, ends, strict=True) if rank >= least]
    return joined((start, end + longer_ms if end < END_MS else end) for start, end in joined(held))


def joined(parts: Iterable[Span]) -> list[Span]:
    """Return parts in order, those that touch as one."""
    out: list[Span] = []
    for start, end in sorted(parts):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return out


def enough(inputs: Sequence[list[Span]], need: int) -> list[Span]:
    """Return when at least so many inputs hold at once."""
    edges: Counter[int] = Counter()
    for one in inputs:
        for start, end in one:
            edges[start] += 1
            edges[end] -= 1
    out, holding, since = [], 0, None
    for ms in sorted(edges):
        holding += edges[ms]
        if holding >= need and since is None:
            since = ms
        elif holding < need and since is not None:
            out.append((since, ms))
            since = None
    return out if since is None else [*out, (since, END_MS)]


def level_from(by_rank: Sequence[list[Span]]) -> Levels:
    """Return the highest rank that holds, from the spans of each rank, the lowest first."""
    edges = sorted({ms for part in by_rank for span in part for ms in span})
    at, rank, out = [0] * len(by_rank), 0, []
    for ms in edges:
        top = 0
        for k, part in enumerate(by_rank):
            while at[k] < len(part) and part[at[k]][1] <= ms:
                at[k] += 1
            if at[k] < len(part) and part[at[k]][0] <= ms:
                top = k + 1
        if top != rank:
            out.append((ms, top))
            rank = top
    return out


def stage_after(holds: list[Span], run: list[Span], after_ms: int) -> list[Span]:
    """Return when a stage is on that may only begin in a run of the one before it."""
    out, at = [], 0
    for start, end in holds:
        while at < len(run) and run[at][1] <= start:
            at += 1
        for began, over in run[at:]:
            if began >= end:
                break
            opens = max(start, began + after_ms)
            if opens < min(end, over):
                out.append((opens, end))
                break
    return out


def longer(parts: list[Span], by_ms: int) -> list[Span]:
    return joined((start, min(end + by_ms, END_MS)) for start, end in parts)


@pytest.mark.parametrize("count", COUNTS, ids=IDS)
def test_joint_levels_are_spans_laid_over_one_another(count: int) -> None:
    dice = random.Random(71)
    rivers = [(place(station=f"st{n}"), river(count // 4, dice)) for n in (1, 2, 3)]
    rain = (place("rn", "rain_total", "st1"), gauge(count // 4, dice))
    events = fed([*rivers, rain])
    # Judged is what all have passed; the slowest says until when.
    until = min(rows[-1][0] for _, rows in (*rivers, rain)) - 2 * LATE_MS
    three = [levels_of(events, "river", f"st{n}/wl") for n in (1, 2, 3)]
    wet = levels_of(events, "rain", "st1/rn")
    vote = [enough([spans(one, rank, SKEW_MS) for one in three], 2) for rank in range(1, 5)]
    area = [enough([spans(one, rank, 100_000) for one in three], 2) for rank in (2, 4)]
    first = spans(wet, 1)
    any_river = {rank: joined(s for one in three for s in spans(one, rank)) for rank in (3, 4)}
    second = stage_after(any_river[3], longer(first, WITHIN_MS), AFTER_MS)
    third = stage_after(any_river[4], longer(second, WITHIN_MS), 0)
    chain = [longer(first, WITHIN_MS), longer(second, WITHIN_MS), third]
    for rule, by_rank in (("two-of-three", vote), ("basin", area), ("cascade", chain)):
        found = [row for row in levels_of(events, rule) if row[0] <= until]
        assert found == [row for row in level_from(by_rank) if row[0] <= until], rule
        ranks = Counter(rank for _, rank in found)
        assert len(ranks) == len(by_rank) + 1, (rule, ranks)
        assert min(ranks.values()) > count // 5000, (rule, ranks)
