"""Our streaming QARTOD tests beside ioos-qc 3.0.0: agreement per flag, and time per sample.

ioos-qc pulls numpy, pandas, xarray and more, so it lives in a cache folder of its own and answers
in a process of its own; nothing of it is installed with us. Compared are the tests that both
define: gross range, seasonal range, spike (differential), rate of change and flat line, each on a
seeded stream with at least 5 % of every flag that the test can give.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from egret_core.screening.flat_line import FlatLine, Stillness
from egret_core.screening.range import Span, check_range
from egret_core.screening.rate import Rate
from egret_core.screening.seasonal import Season, check_season
from egret_core.screening.spike import Limits, Spike

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HERE = Path(__file__).resolve().parent
VERSION = "3.0.0"
STEP_MS = 300_000
START_MS = 1_451_606_400_000  # 2016-01-01 UTC
SAMPLES = 100_000
SHARE_LEAST = 0.05  # of each flag in its stream
MISSING = 9
WINDOW = 25  # samples; how a stream is tested with a library that takes arrays
WINDOWS = 60

Stream = list[float | None]

# Runs inside the other environment: streams in, flags and times out, as JSON.
ORACLE = """
import json, sys, time
import numpy as np
from ioos_qc import qartod
asked = json.load(sys.stdin)
out = {"flags": {}, "us": {}}
def values(rows): return np.array([np.nan if v is None else v for v in rows])
def times(rows): return asked["start_s"] + asked["step_s"] * np.arange(len(rows))
def months(spans):
    made = qartod.ClimatologyConfig()
    for first, last, suspect, fail in spans:
        made.add(tspan=(first, last), vspan=suspect, fspan=fail, period="month")
    return made
def one(name, rows):
    x, t, p = values(rows), times(rows), asked["limits"][name]
    if name == "range":
        return qartod.gross_range_test(x, fail_span=p["fail"], suspect_span=p["suspect"])
    if name == "season":
        return qartod.climatology_test(months(p["spans"]), x, t, np.zeros(len(x)))
    if name == "spike":
        return qartod.spike_test(x, p["suspect"], p["fail"], method="differential")
    if name == "rate":
        return qartod.rate_of_change_test(x, t, p["suspect"], fail_threshold=p["fail"])
    return qartod.flat_line_test(x, t, p["suspect_s"], p["fail_s"], p["tolerance"])
for name, rows in asked["streams"].items():
    start = time.perf_counter()
    out["flags"][name] = [int(flag) for flag in np.ma.filled(one(name, rows), 9)]
    out["us"][name + "_batch"] = (time.perf_counter() - start) / len(rows) * 1e6
    if name == "season":
        continue
    start = time.perf_counter()
    for at in range(asked["windows"]):
        one(name, rows[at : at + asked["window"]])
    out["us"][name] = (time.perf_counter() - start) / asked["windows"] * 1e6
json.dump(out, sys.stdout)
"""

RANGE = {"fail": [-10.0, 10.0], "suspect": [-5.0, 5.0]}
SPANS = [[1, 3, [-1, 1], [-2, 2]], [4, 6, [-2, 2], [-3, 3]], [7, 9, [-0.5, 0.5], [-1, 1]]]
SPIKE = {"suspect": 0.5, "fail": 1.5}
RATE = {"suspect": 0.002, "fail": 0.006}
FLAT = {"suspect_s": 1800, "fail_s": 3600, "tolerance": 0.015}


def cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "egret" / f"ioos-qc-{VERSION}"


def installed() -> Path | None:
    """Return the Python that has it, None where it was never installed."""
    return cache() / "bin" / "python" if (cache() / "whole").exists() else None


def provide() -> Path:
    """Return the Python that has it, installed at the first call."""
    python = cache() / "bin" / "python"
    if installed() is not None:
        return python
    uv = shutil.which("uv") or str(HERE.parent / ".uv" / "bin" / "uv")
    shutil.rmtree(cache(), ignore_errors=True)
    for words in (
        ("venv", "--quiet", "--python", "3.11", str(cache())),
        ("pip", "install", "--quiet", "--python", str(python), f"ioos-qc=={VERSION}"),
    ):
        subprocess.run([uv, *words], check=True, stdout=sys.stderr)
    (cache() / "whole").touch()  # an install that was broken off is done again
    return python


def streams(seed: int = 7, samples: int = SAMPLES) -> dict[str, Stream]:
    """Return a stream for each test, with enough of every flag."""
    dice = random.Random(seed)  # noqa: S311  (dice for a bench, not for secrets)
    wide = [round(dice.gauss(0, 6), 3) for _ in range(samples)]
    walk: list[float] = []
    level = 0.0
    for _ in range(samples):
        level += dice.choice((-0.9, -0.3, 0.0, 0.0, 0.3, 0.9))
        level *= 0.98
        walk.append(round(level + dice.choice((0, 0, 0, 0, 0, 2.5, -2.5, 0.7)), 3))
    still: list[float] = []
    while len(still) < samples:
        held, length = round(dice.gauss(0, 1), 2), dice.choice((1, 1, 2, 9, 14, 25, 40))
        still += [held + dice.choice((0.0, 0.01)) for _ in range(length)]
    holes: Stream = [None if dice.random() < 0.06 else value for value in wide]
    mild = [round(dice.gauss(0, 1.2), 3) for _ in range(samples)]
    return {
        "range": holes, "season": list(mild), "spike": list(walk), "rate": list(walk),
        "flat": list(still[:samples]),
    }  # fmt: skip


def ours(name: str, rows: Stream) -> list[int]:
    """Return the flags of our streaming test, one value after the other."""
    return [
        MISSING if value is None else flag
        for value, flag in zip(rows, _run(name, rows), strict=True)
    ]


def _run(name: str, rows: Stream) -> list[int]:
    values = [0.0 if value is None else value for value in rows]
    if name == "spike":
        test = Spike(Limits(SPIKE["suspect"], SPIKE["fail"]))
        return [*(before or 0 for _, before in [test.take(v) for v in values][1:]), 2]
    take = _taker(name)
    return [take(START_MS + n * STEP_MS, value) for n, value in enumerate(values)]


def _taker(name: str) -> Callable[[int, float], int]:
    if name == "range":
        sensor, operator = Span(*RANGE["fail"]), Span(*RANGE["suspect"])
        return lambda _, value: check_range(value, sensor, operator).flag
    if name == "season":
        seasons = [
            Season(tuple(range(first, last + 1)), Span(*suspect), Span(*fail))
            for first, last, suspect, fail in SPANS
        ]
        return lambda time_ms, value: check_season(time_ms, value, seasons).flag
    if name == "rate":
        rate = Rate(Limits(RATE["suspect"], RATE["fail"]))
        return lambda time_ms, value: rate.take(time_ms, value).flag
    limits = Stillness(FLAT["tolerance"], FLAT["suspect_s"] * 1000, FLAT["fail_s"] * 1000)
    flat = FlatLine(limits)
    return lambda time_ms, value: flat.take(time_ms, value).flag


def oracle(python: Path, given: dict[str, Stream]) -> dict[str, dict[str, list[int]]]:
    """Return flags and times of ioos-qc on the same streams."""
    limits = {
        "range": RANGE,
        "season": {"spans": SPANS},
        "spike": SPIKE,
        "rate": RATE,
        "flat": FLAT,
    }
    asked = {
        "streams": given, "limits": limits, "start_s": START_MS // 1000,
        "step_s": STEP_MS // 1000, "window": WINDOW, "windows": WINDOWS,
    }  # fmt: skip
    done = subprocess.run(
        [str(python), "-W", "ignore", "-c", ORACLE],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, dict[str, list[int]]] = json.loads(done.stdout)
    return answer


def agreement(mine: Sequence[int], theirs: Sequence[int]) -> dict[int, float]:
    """Return by flag the share of samples, flagged so by either, on which both agree."""
    out = {}
    for flag in sorted(set(mine) | set(theirs)):
        either = [a == b for a, b in zip(mine, theirs, strict=True) if flag in (a, b)]
        out[flag] = sum(either) / len(either)
    return out


def shares(flags: Sequence[int]) -> dict[int, float]:
    """Return by flag its share of the stream."""
    return {flag: flags.count(flag) / len(flags) for flag in sorted(set(flags))}


def figures(python: Path | None = None, samples: int = SAMPLES) -> dict[str, float]:
    """Return agreement per test and flag, us per sample, and the ratio to ioos-qc's."""
    given = streams(samples=samples)
    answer = oracle(python or provide(), given)
    out: dict[str, float] = {}
    total_us = their_us = 0.0
    for name, rows in given.items():
        start = time.perf_counter()
        mine = ours(name, rows)
        us = (time.perf_counter() - start) / len(rows) * 1e6
        theirs = answer["flags"][name]
        for flag, share in agreement(mine, theirs).items():
            if theirs.count(flag) >= SHARE_LEAST * len(theirs):
                out[f"qartod_{name}_flag_{flag}_agreement"] = round(share, 5)
                out[f"qartod_{name}_flag_{flag}_share"] = round(theirs.count(flag) / len(theirs), 4)
        out[f"qartod_{name}_us"] = round(us, 3)
        if name in answer["us"]:
            total_us += us
            their_us += float(answer["us"][name])  # type: ignore[arg-type]
    out["qartod_us_per_sample"] = round(total_us, 3)
    out["qartod_ioos_window_us_per_sample"] = round(their_us, 1)
    out["qartod_ioos_to_ours_ratio"] = round(their_us / total_us, 1)
    out["qartod_agreement_least"] = min(v for k, v in out.items() if k.endswith("_agreement"))
    return out


if __name__ == "__main__":
    print(json.dumps(figures(), indent=1))
