"""Golden cases of judgement: a folder each, anyone can add one.

stations.toml, rules.toml   a catalogue
timeline.csv                what the centre received, in order:
                            at_s,reading,gateway,station/channel,time_s,value,flag,reasons
                            at_s,ticks,until_s      a tick every 10 s of it
                            at_s,restart            the judge is thrown away and reads its state
expected.json               the events; written by --regold, checked by eye, committed
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from egret_aggregator.catalogue import Catalogue, load
from egret_core.reading import Reading
from egret_core.rules.step import Change, Fold, Item, Receipt, Tick, step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from egret_core.rules.event import ConditionEvent

FOLDER = Path(__file__).parent
CASES = sorted(path.parent.name for path in FOLDER.glob("*/rules.toml"))
COMMAND = ".venv/bin/python -m pytest tests/scenarios --regold"
START_MS = 1_700_000_000_000
RESTART = "restart"


def ms(second: str) -> int:
    return START_MS + round(float(second) * 1000)


def items(case: Path) -> Iterator[Item | str]:
    """Yield what the journal would hold, in order of receipt; ticks stand between readings."""
    rows: list[tuple[int, int, Item | str]] = []
    lines = (case / "timeline.csv").read_text().splitlines()
    for row in csv.reader(line for line in lines if line and not line.startswith("#")):
        now_ms = ms(row[0])
        if row[1] == "ticks":
            rows += [(now, 0, Tick(now)) for now in range(now_ms, ms(row[2]) + 1, 10_000)]
        elif row[1] == RESTART:
            rows.append((now_ms, 2, RESTART))
        else:
            station, _, channel = row[3].partition("/")
            value = float(row[5]) if row[5] else None
            flag, reasons = ([int(word) for word in row[6:8]] + [1, 0])[:2] if row[6:] else (1, 0)
            one = Reading(station, channel, ms(row[4]), value, None, flag, reasons)
            rows.append((now_ms, 1, Receipt(row[2], now_ms, [one])))
    return iter([item for _, _, item in sorted(rows, key=lambda row: row[:2])])


def judged(case: Path, catalogue: Catalogue) -> list[ConditionEvent]:
    fold, disk, out = Fold(), {}, []
    step(fold, Change(catalogue.places(), catalogue.rules, START_MS))
    for item in items(case):
        if isinstance(item, str):
            disk.update(fold.changed())
            fold = Fold()
            step(fold, Change(catalogue.places(), catalogue.rules, 0))
            fold.restore({key: body for key, body in disk.items() if body is not None})
        else:
            out += step(fold, item)[1]
    return out


def evidence_told(evidence: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in evidence.items():
        if key.endswith("_ms") and value is not None:
            out[key] = (value - START_MS) / 1000
        elif isinstance(value, list):
            out[key] = [evidence_told(row) if isinstance(row, dict) else row for row in value]
        else:
            out[key] = value.partition("@")[0] if key == "rule" else value
    return out


def told(event: ConditionEvent) -> dict[str, Any]:
    """Return an event as it stands in a golden file: times from the start, no hashes."""
    return {
        "time_s": (event.time_ms - START_MS) / 1000,
        "rule": event.rule.partition("@")[0],
        "subject": event.subject,
        "change": str(event.change),
        "phase": str(event.phase),
        "level": event.level,
        "reason": event.reason,
        "evidence": evidence_told(event.evidence),
        "names_a_provisional_one": bool(event.provisional_id),
    }


@pytest.mark.parametrize("name", CASES)
def test_a_case_gives_its_expected_events(name: str, request: pytest.FixtureRequest) -> None:
    case = FOLDER / name
    actual = [told(event) for event in judged(case, load(case))]
    golden = case / "expected.json"
    if request.config.getoption("--regold", default=False):
        golden.write_text("[\n" + ",\n".join(f"  {json.dumps(row)}" for row in actual) + "\n]\n")
    expected = json.loads(golden.read_text())
    assert actual == expected, f"{name}: if the new events are right, run: {COMMAND}"


def test_there_are_cases() -> None:
    assert len(CASES) >= 6
