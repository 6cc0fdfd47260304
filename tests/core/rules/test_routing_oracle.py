"""A routed flow, through the fold, against the storage that the equation stands for.

    S = K (X I + (1-X) O),  S2 - S1 = dt (I1 + I2 - O1 - O2) / 2

A flow with gaps and readings sooner than a step, every tenth reading twice, all shuffled within
the lateness of an hour.
"""

from __future__ import annotations

import random
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING

import pytest
from rig.millions import COUNTS, IDS, LATE_MS, feed, settled, times
from rig.rulebook import GATEWAY, HOUR_MS, bound, fold_of

from egret_core.rules.model import ChannelPlace, Family, IndexLaw, LadderLaw, Rung
from egret_core.rules.muskingum import Reach, Routing

if TYPE_CHECKING:
    from collections.abc import Sequence

HEAD = ChannelPlace("dam", "qq", "discharge", "m3/s", "", GATEWAY, LATE_MS / 1000)
LADDER = LadderLaw((Rung("red", 1e9, 1e9),), "m3/s", "", 0, 0, HOUR_MS)
MIN_MS = 60_000
WAITS_MS = [minutes * MIN_MS for minutes in (3, 15, 15, 15, 20, 25)]
GAPS_MS = [minutes * MIN_MS for minutes in (49, 200, 3000)]
K_H, X, PARTS = 1.5, 0.2, 3  # of each part: K = 0.5 h, a step is 0.2 to 0.8 h


class Noted(Routing):
    """Writes down what it says at every reading."""

    said: list[tuple[int, float | None]]

    def take(self, time_ms: int, value: float) -> float | None:
        found = super().take(time_ms, value)
        self.said.append((time_ms, found))
        return found


def through(flows: Sequence[float], inflow: float, dt_h: float) -> list[float]:
    """Return the flow into and out of each part a step later: what is stored is what stayed."""
    k, out = K_H / PARTS, [inflow]
    for before_in, before_out in pairwise(flows):
        stored = k * (X * before_in + (1 - X) * before_out)
        known = stored + dt_h * (before_in + out[-1] - before_out) / 2 - k * X * out[-1]
        out.append(known / (k * (1 - X) + dt_h / 2))
    return out


def flow(count: int) -> list[tuple[int, float]]:
    dice, inflow, out = random.Random(81), 100.0, []
    for now in times(count, dice, WAITS_MS, GAPS_MS, 0.003):
        inflow = max(5.0, inflow * dice.choice((0.9, 0.97, 1.0, 1.03, 1.12)) + 0.01 * (90 - inflow))
        out.append((now, round(inflow, 2)))
    return out


@pytest.mark.parametrize("count", COUNTS, ids=IDS)
@pytest.mark.parametrize("lead_ms", [0, 5_400_000], ids=["now", "ahead"])
def test_what_flows_out_is_what_came_in_less_what_is_stored(lead_ms: int, count: int) -> None:
    rows = flow(count)
    routing = Noted(Reach(K_H, X, PARTS, lead_ms))
    routing.said = []
    law = IndexLaw("routed", lambda: routing, LADDER, 0)
    feed(fold_of([HEAD], [bound(law, Family.MUSKINGUM, HEAD)]), HEAD, rows, 81)
    assert [ms for ms, _ in routing.said] == [ms for ms, _ in settled(rows, routing.said)]
    flows: list[float] = []
    last = began = told = 0
    for (now, inflow), (_, found) in zip(rows, routing.said, strict=False):
        step_ms = now - last
        if not flows or step_ms > 0.8 * HOUR_MS:
            flows, last, began = [inflow] * (PARTS + 1), now, now
            assert found is None
            continue
        if step_ms < 0.2 * HOUR_MS:
            assert found is None
            continue
        flows, last = through(flows, inflow, step_ms / HOUR_MS), now
        assert (found is None) == (now - began < 5 * K_H * HOUR_MS)
        if found is not None:
            ahead = flows
            for _ in range(ceil(lead_ms / step_ms)):
                ahead = through(ahead, inflow, step_ms / HOUR_MS)
            assert abs(found - ahead[-1]) <= 0.5e-6 + 1e-9, "told in millionths"
            told += 1
    assert told > count // 2
