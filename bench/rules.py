"""What judgement costs a reading, against the plain loop over the same sums in the same run.

A storm over `STATIONS` gauges, two days at one reading a minute; every reading is judged by five
windows of rain (1, 3, 6, 12, 24 h), a ladder of four over the total, and a limit of silence; ticks
every 10 s. `us_to_reference_ratio` is the fold over the plain loop, the quickest of `RUNS` turns
each; `cost_ratio_24h_to_1h` the same fold with one window of 24 h over one of 1 h while it rains at
every reading. `state_bytes_per_channel` is what a save writes at the end of the storm.
`backtest_readings_per_s` is a backtest over a store of SQLite, with its reading of it. Prints one
JSON object, with the figures of the screening beside a foreign implementation.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _rules_plain import Gauge, Ladder, Plain

from egret_aggregator.backtest import Backtest, Span
from egret_aggregator.catalogue import of_texts
from egret_aggregator.store import SqliteStore, StoredReading
from egret_core.reading import Reading
from egret_core.rules.step import Change, Fold, Item, Receipt, Tick, step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from egret_aggregator.catalogue import Catalogue

STATIONS = 40
MINUTES = 2 * 1440
RUNS = 5
START_MS = 1_767_225_600_000  # 2026-01-01
HOURS = (1, 3, 6, 12, 24)
LIMIT_S = 900
RUNGS = ((150.0, 149.0), (250.0, 249.0), (350.0, 349.0), (450.0, 449.0))
SUMS_MM = (40, 70, 100, 130, 180)  # by window: a level each
HISTORY_STATIONS, HISTORY_DAYS, HISTORY_STEP_S = 40, 40, 300
LABELS = ("blue", "yellow", "orange", "red", "purple")


def main() -> int:
    """Measure and print."""
    figures: dict[str, Any] = {}
    figures |= against_plain()
    figures |= by_window()
    figures |= asyncio.run(by_history())
    figures |= beside_qartod()
    print(json.dumps(figures))
    return 0


def stations(count: int) -> str:
    return "".join(
        f'[[station]]\nid = "st{n}"\nname = "P{n}"\nlatitude = 24\nlongitude = 118\n'
        f'[[station.channel]]\nid = "rn"\nquantity = "rain_total"\ngateway = "GW-{n % 4}"\n'
        for n in range(count)
    )


def named(count: int, channel: str) -> str:
    return json.dumps([f"st{n}/{channel}" for n in range(count)])


def rain_rule(count: int, hours: Sequence[int]) -> str:
    levels = ", ".join(
        f'{{ level = "{LABELS[HOURS.index(h)]}", window_h = {h}, sum = {SUMS_MM[HOURS.index(h)]} }}'
        for h in hours
    )
    return (
        f'[[rule]]\nid = "rain"\npack = "generic-rain"\nchannels = {named(count, "rn")}\n'
        f"[rule.parameters]\nlevels = [{levels}]\n"
    )


def rules(count: int) -> str:
    levels = ", ".join(
        f'{{ level = "{label}", raise = {on}, clear = {off} }}'
        for label, (on, off) in zip(LABELS, RUNGS, strict=False)
    )
    both = json.dumps([f"st{n}/*" for n in range(count)])
    return (
        rain_rule(count, HOURS)
        + f'[[rule]]\nid = "total"\npack = "generic-level"\nchannels = {named(count, "rn")}\n'
        f'[rule.parameters]\nunit = "mm"\nlevels = [{levels}]\n'
        f'[[rule]]\nid = "silence"\npack = "absence"\nchannels = {both}\n'
        f"[rule.parameters]\nlimit_s = {LIMIT_S}\n"
    )


def storm(count: int, minutes: int, *, wet: float) -> list[Item]:
    """Return what the journal would hold: a receipt a gateway and minute, ticks between."""
    dice = random.Random(5)  # noqa: S311  (weather)
    totals = [100.0] * count
    out: list[Item] = []
    for minute in range(minutes):
        now_ms = START_MS + minute * 60_000
        out += [Tick(now_ms + 10_000 * n) for n in range(6)]
        raining = wet >= 1 or (minute // 180) % 3 == 1
        by_gateway: dict[str, list[Reading]] = {}
        for n in range(count):
            if raining and dice.random() < wet:
                totals[n] = round(totals[n] + 0.2 * dice.randrange(1, 4), 1)
            rows = by_gateway.setdefault(f"GW-{n % 4}", [])
            rows.append(Reading(f"st{n}", "rn", now_ms, totals[n]))
        # Before the ticks of its minute: they come in the order of receipt.
        at = len(out) - 5
        out[at:at] = [Receipt(name, now_ms + 500, rows) for name, rows in by_gateway.items()]
    return out


def fold_over(places: Catalogue, items: Sequence[Item]) -> tuple[Fold, int]:
    """Return the fold after the items, and how many settled events there were."""
    fold, said = Fold(), 0
    step(fold, Tick(START_MS - 10_000))
    step(fold, Change(places.places(), places.rules, START_MS - 10_000))
    for item in items:
        said += len(step(fold, item)[1])
    return fold, said


def plain_over(items: Sequence[Item]) -> int:
    lengths = [h * 3_600_000 for h in HOURS]
    thresholds = [(at, SUMS_MM[at] * 1_000_000) for at in range(len(HOURS))][::-1]
    channels = {
        f"st{n}": {"rn": (Gauge(lengths, thresholds), Ladder(RUNGS))} for n in range(STATIONS)
    }
    return Plain(channels, LIMIT_S * 1000).run(items)  # type: ignore[arg-type]


def quickest(*works: Callable[[], object]) -> list[float]:
    """Return the quickest of several turns of each work, s; turns alternate."""
    best = [float("inf")] * len(works)
    for _ in range(RUNS):
        for at, work in enumerate(works):
            began = time.process_time()
            work()
            best[at] = min(best[at], time.process_time() - began)
    return best


def readings_in(items: Sequence[Item]) -> int:
    return sum(len(item.readings) for item in items if isinstance(item, Receipt))


def against_plain() -> dict[str, Any]:
    places = of_texts(stations(STATIONS), rules(STATIONS), "bench")
    items = storm(STATIONS, MINUTES, wet=0.7)
    count = readings_in(items)
    fold_s, plain_s = quickest(lambda: fold_over(places, items), lambda: plain_over(items))
    fold, said = fold_over(places, items)
    state = fold.changed()
    saved = [len(body) for key, body in state.items() if key.startswith("channel/") and body]
    assert said > 0
    assert plain_over(items) > 0
    return {
        "readings": count,
        "us_per_reading": round(fold_s / count * 1e6, 3),
        "reference_us_per_reading": round(plain_s / count * 1e6, 3),
        "us_to_reference_ratio": round(fold_s / plain_s, 3),
        "readings_per_s": round(count / fold_s),
        "state_bytes_per_channel": round(sum(saved) / len(saved)),
        "state_bytes_per_channel_max": max(saved),
    }


def by_window() -> dict[str, Any]:
    items = storm(STATIONS, MINUTES, wet=1.0)
    both = [of_texts(stations(STATIONS), rain_rule(STATIONS, (h,)), "bench") for h in (1, 24)]
    short_s, long_s = quickest(*(lambda one=one: fold_over(one, items) for one in both))
    return {"cost_ratio_24h_to_1h": round(long_s / short_s, 3)}


async def by_history() -> dict[str, Any]:
    """Return the rate of a backtest over a store, with and without a rule on silence."""
    places = of_texts(stations(HISTORY_STATIONS), rules(HISTORY_STATIONS), "bench")
    loud = rules(HISTORY_STATIONS).partition('[[rule]]\nid = "silence"')[0]
    with tempfile.TemporaryDirectory(prefix="egret-bench-") as folder:
        store = SqliteStore(Path(folder) / "series.db")
        await store.open()
        try:
            count = await fill(store)
            span = Span(START_MS, START_MS + HISTORY_DAYS * 86_400_000)
            took = []
            for one in (places, of_texts(stations(HISTORY_STATIONS), loud, "bench")):
                began = time.process_time()
                found = await Backtest(store, one, span).run()
                took.append(time.process_time() - began)
                # The newest reading of each channel waits for one that comes after it.
                assert count - HISTORY_STATIONS <= found.readings <= count
        finally:
            await store.close()
    return {
        "backtest_readings": count,
        "backtest_readings_per_s": round(count / took[0]),
        "backtest_readings_per_s_without_absence": round(count / took[1]),
    }


async def fill(store: SqliteStore) -> int:
    dice = random.Random(6)  # noqa: S311  (weather)
    steps = HISTORY_DAYS * 86_400 // HISTORY_STEP_S
    totals = [100.0] * HISTORY_STATIONS
    count = 0
    for first in range(0, steps, 100):
        rows = []
        for at in range(first, min(first + 100, steps)):
            time_ms = START_MS + at * HISTORY_STEP_S * 1000
            for n in range(HISTORY_STATIONS):
                totals[n] = round(totals[n] + dice.choice((0.0, 0.0, 0.0, 0.0, 0.2)), 1)
                rest = (None, 1, 0, 0, 800)
                rows.append(StoredReading(f"st{n}", "rn", time_ms, totals[n], *rest))
        await store.write(rows)
        count += len(rows)
    return count


def beside_qartod() -> dict[str, Any]:
    """Return the figures of `_rules_qartod.py` where that bench stands beside this one."""
    if importlib.util.find_spec("_rules_qartod") is None:
        return {}
    module = importlib.import_module("_rules_qartod")
    found: dict[str, Any] = module.figures()
    return found


if __name__ == "__main__":
    sys.exit(main())
