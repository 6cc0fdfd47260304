"""Run the tests: quick ones, then those with real processes, then those that need quiet.

usage: ./dev test [--long] [PYTEST ARG ...]
       ./dev test --store memory|sqlite|influx [PYTEST ARG ...]

The second form runs the conformance suite of one store; `influx` runs on the server that
EGRET_INFLUX_URL, _TOKEN, _BUCKET and _ORG name, else on an influxd of its own.

The last line printed adds up all runs; the exit code is the worst of them.
"""

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import debian
import npm

ROOT = Path(__file__).resolve().parent.parent
NO_TESTS = 5  # pytest's exit code for "nothing selected"
STUCK_S = 240  # no single test of the ordinary run takes a quarter of this
STUCK_LONG_S = 7200

CONFORMANCE = "tests/aggregator/store/test_store_conformance.py"

WORDS = {"failures": "failed", "errors": "error", "skipped": "skipped"}


def run(args: list[str], *, stuck_s: int, counts: Counter[str]) -> int:
    """Run pytest once, add its counts, and return its exit code."""
    with tempfile.TemporaryDirectory(prefix="egret-test-") as folder:
        report = Path(folder) / "report.xml"
        command = [
            *(sys.executable, "-m", "pytest", f"--junitxml={report}"),
            *("-o", f"faulthandler_timeout={stuck_s}", "-o", "faulthandler_exit_on_timeout=true"),
            *args,
        ]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if report.exists():
            add(report, counts)
    return code


def add(report: Path, counts: Counter[str]) -> None:
    """Add the counts of one JUnit report (our own pytest wrote it); print what drills recorded."""
    root = ET.parse(report).getroot()  # noqa: S314
    for told in root.iter("property"):
        print(f"{told.get('name')}: {told.get('value')}")
    for suite in root.iter("testsuite"):
        seen = {key: int(suite.get(key, "0")) for key in ("tests", *WORDS)}
        for key, word in WORDS.items():
            counts[word] += seen[key]
        counts["passed"] += seen["tests"] - sum(seen[key] for key in WORDS)


def summary(counts: Counter[str], took_s: float) -> str:
    """Return the last line, in pytest's own form."""
    parts = [f"{counts[w]} {w}" for w in ("failed", "error", "passed", "skipped") if counts[w]]
    return f" {', '.join(parts) or 'no tests ran'} in {took_s:.2f}s ".center(80, "=")


def phases(args: list[str], *, long: bool) -> list[list[str]]:
    """Return the pytest arguments of each run; a -m of the caller's own makes it one run."""
    if "--store" in args:
        return [of_store(args)]
    if any(arg == "-m" or arg.startswith("--co") for arg in args):
        return [args]
    slow = "(system or long)" if long else "system and not long"
    return [
        ["-n", "2", "-m", "not system and not long", *args],
        ["-n", "3", "--dist", "worksteal", "-m", f"{slow} and not alone", *args],
        ["-m", f"{slow} and alone", *args],
    ]


def of_store(args: list[str]) -> list[str]:
    """Return the pytest arguments of one store's conformance suite."""
    at = args.index("--store")
    name, rest = "".join(args[at + 1 : at + 2]), args[:at] + args[at + 2 :]
    return [CONFORMANCE, "-k", name or "store", *rest]


def main(argv: list[str]) -> int:
    """Run what was asked; return the worst exit code."""
    started = time.monotonic()
    long = "--long" in argv
    args = [arg for arg in argv if arg != "--long"]
    if long:
        os.environ["EGRET_LONG"] = "1"
    worst = debian.provide("test")
    npm.provide("test")
    counts: Counter[str] = Counter()
    codes = [
        run(phase, stuck_s=STUCK_LONG_S if long else STUCK_S, counts=counts)
        for phase in phases(args, long=long)
    ]
    told = [code for code in codes if code != NO_TESTS] or [NO_TESTS]
    worst = max(worst, *told)
    sys.stderr.flush()
    print(summary(counts, time.monotonic() - started), flush=True)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
