"""Rules that look back over months warm up too, and take no time from those that need hours."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rig.rulebook import GATEWAY, START_MS, place

import egret_aggregator.warmup as module
from egret_aggregator.store import StoredReading
from egret_aggregator.store.model import Page
from egret_aggregator.warmup import Warmed, warm
from egret_core.reading import Reading
from egret_core.rules.binding import bind
from egret_core.rules.event import Phase
from egret_core.rules.packs import parse_pack
from egret_core.rules.step import Change, Fold, Receipt, Tick, step

if TYPE_CHECKING:
    import pytest

PACKS = Path(__file__).parents[3] / "core/egret_core/packs"
STEP_MS = 300_000
RULES = """
    [[rule]]
    id = "ahead"
    pack = "river-nowcast"
    channels = ["st1/wl"]
    [rule.parameters]
    unit = "m"
    datum = "Local"
    base = 1.0
    levels = [{ level = "yellow", raise = 2.2, clear = 2.0 }]

    [[rule]]
    id = "storm"
    pack = "cn-rain-signals"
    channels = ["st1/rn"]
"""
WAVE = [*(1.0 + 0.06 * n for n in range(24)), *(2.44 - 0.06 * n for n in range(24)), *[1.0] * 12]


class Kept:
    """What was recorded: a river with a wave each 5 h, and rain of 6 mm/h."""

    def __init__(self, steps: int) -> None:
        self.now_ms = START_MS + steps * STEP_MS
        times = [START_MS + n * STEP_MS for n in range(steps)]
        self.rows = {
            "wl": [self._row("wl", ms, WAVE[n % len(WAVE)]) for n, ms in enumerate(times)],
            "rn": [self._row("rn", ms, 100 + 0.5 * n) for n, ms in enumerate(times)],
        }
        self.hangs_at = ""

    @staticmethod
    def _row(channel: str, time_ms: int, value: float) -> StoredReading:
        return StoredReading("st1", channel, time_ms, round(value, 3), None, 1, 0, 0, 500)

    async def recorded(self, entry: int) -> bool:
        return entry > 0

    async def range(self, station: str, channel: str, from_ms: int, to_ms: int, limit: int) -> Page:
        if channel == self.hangs_at:
            await asyncio.Event().wait()
        assert station == "st1"
        rows = [row for row in self.rows[channel] if from_ms <= row.time_ms < to_ms]
        return Page(rows[:limit], len(rows) > limit)

    async def latest(self) -> list[StoredReading]:
        return [rows[-1] for rows in self.rows.values()]

    async def metas(self) -> list[Any]:
        return []


def cold_fold(kept: Kept) -> Fold:
    """Return a fold at the change that binds both rules."""
    packs = {
        name: parse_pack((PACKS / f"{name}.toml").read_text(), name)
        for name in ("river-nowcast", "cn-rain-signals")
    }
    places = {("st1", "wl"): place(), ("st1", "rn"): place("rn", "rain_total")}
    fold = Fold()
    step(fold, Tick(kept.now_ms))
    step(fold, Change(list(places.values()), bind(RULES, "rules.toml", packs, places), kept.now_ms))
    return fold


async def test_a_nowcast_learns_from_months_of_the_store_and_speaks_at_once() -> None:
    kept, counted = Kept(15 * len(WAVE) + 24), Warmed()  # the last wave is at its crest
    fold = cold_fold(kept)
    await warm(fold, kept, (1, kept.now_ms), counted)
    assert counted == Warmed(warm=2, cold=0)
    channel = fold.channels["st1"]["wl"]
    assert channel.standings() == {}
    said = []
    for n in range(3):
        at_ms = kept.now_ms + n * STEP_MS
        one = Reading("st1", "wl", at_ms, round(2.44 - 0.06 * n, 3))
        said += step(fold, Receipt(GATEWAY, at_ms + 500, [one]))[1]
        said += step(fold, Tick(at_ms + 40_000))[1]
    settled = [event for event in said if event.phase is Phase.SETTLED]
    (held,) = [event for event in settled if event.rule.startswith("ahead@")]
    assert (held.level, held.evidence["basis"]) == ("yellow", "forecast")
    assert held.time_ms < held.evidence["in_force_ms"] == kept.now_ms


async def test_the_shortest_history_is_read_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUDGET_S", 0.2)
    kept, counted = Kept(600), Warmed()
    kept.hangs_at = "wl"
    fold = cold_fold(kept)
    assert [warmup.place.channel for warmup in fold.cold] == ["wl", "rn"]
    await warm(fold, kept, (1, kept.now_ms), counted)
    assert counted == Warmed(warm=1, cold=1)
    assert fold.channels["st1"]["wl"].standings() != {}
