"""`./dev bench rules` in small: the fold and the plain loop reckon the same sums."""

# ruff: noqa: E402  (the bench is found first)
from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

import _rules_plain

from egret_aggregator.catalogue import of_texts
from egret_core.rules.rain import Rain
from egret_core.rules.step import Receipt, Tick

if TYPE_CHECKING:
    from types import ModuleType


def loaded() -> ModuleType:
    """Return the bench under a name that no package of ours has."""
    spec = importlib.util.spec_from_file_location("bench_rules", BENCH / "rules.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bench: Any = loaded()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("STATIONS", 3), ("MINUTES", 600), ("RUNS", 1)):
        monkeypatch.setattr(bench, name, value)
    monkeypatch.setattr(bench, "HISTORY_STATIONS", 2)
    monkeypatch.setattr(bench, "HISTORY_DAYS", 1)


def test_both_have_the_same_sums_at_the_end(small: None) -> None:
    whole = bench.storm(3, 600, wet=0.7)
    # Two hours of the storm are missing: what fell meanwhile comes as one jump.
    gap = range(bench.START_MS + 400 * 60_000, bench.START_MS + 520 * 60_000)
    items = [one for one in whole if not (isinstance(one, Receipt) and one.received_ms in gap)]
    places = of_texts(bench.stations(3), bench.rules(3), "bench")
    fold, said = bench.fold_over(places, items)
    lengths = [hours * 3_600_000 for hours in bench.HOURS]
    gauges = {f"st{n}": _rules_plain.Gauge(lengths, []) for n in range(3)}
    channels: Any = {name: {"rn": (gauge,)} for name, gauge in gauges.items()}
    _rules_plain.Plain(channels, 900_000).run(items)
    for name, gauge in gauges.items():
        channel = fold.channels[name]["rn"]
        (rain,) = (part for part in channel.detectors if isinstance(part, Rain))
        assert rain._windows.sums_nm == gauge.sums
        assert max(gauge.sums) > 0
    assert said > 0


def test_the_stream_is_one_that_a_journal_would_hold(small: None) -> None:
    items = bench.storm(3, 600, wet=0.7)
    times = [one.now_ms if isinstance(one, Tick) else one.received_ms for one in items]
    assert times == sorted(times)
    assert bench.readings_in(items) == 1800
    assert sum(isinstance(one, Receipt) for one in items) == 600 * 3  # a gateway each


def test_a_silence_is_told_once_by_the_plain_loop() -> None:
    gauge = _rules_plain.Ladder([(1.0, 0.5)])
    loop = _rules_plain.Plain({"st0": {"rn": (gauge,)}}, 900_000)
    items = bench.storm(1, 1, wet=1.0)
    receipt = next(one for one in items if isinstance(one, Receipt))
    loop.receive(receipt.readings)
    assert loop.changes == 1  # the ladder's
    for minute in range(60):
        loop.tick(receipt.received_ms + minute * 60_000)
    assert loop.changes == 2


async def test_every_figure_is_there_and_a_number(small: None) -> None:
    figures = {**bench.against_plain(), **bench.by_window(), **await bench.by_history()}
    assert {
        *("us_to_reference_ratio", "cost_ratio_24h_to_1h"),
        *("state_bytes_per_channel", "backtest_readings_per_s"),
    } <= figures.keys()
    assert all(value > 0 for value in figures.values())
