"""Ledgers kept as they were written: the lines, their bytes and their hashes are a promise.

A case is a folder in `ledgers/`:
- `story.json`: what happened; each step has `at_ms` (the centre's clock) and either `events` or
  an `act`; a warning is named by the id of the event that opened it;
- `ledger.jsonl`: the lines that it makes, one JSON array each: seq, time_ms, actor, kind, warning,
  key, body, prev_hash, hash. The hash is SHA-256 over the array without its last element;
- `warnings.json`: the warnings that stand at the end.
To add one, write `story.json`: the test then fails and says what the other two would hold.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rig.ledgers import Hands, opened

from egret_aggregator.database.warning_rows import Query
from egret_aggregator.warnings import audit, fold
from egret_aggregator.warnings.acts import Act, ActRefusedError
from egret_aggregator.warnings.record import Kind, Record, is_sealed
from egret_aggregator.warnings.state import from_json, to_json

if TYPE_CHECKING:
    from egret_aggregator.warnings import Ledger
    from egret_aggregator.warnings.state import WarningState

FOLDER = Path(__file__).parent / "ledgers"
CASES = sorted(path.parent for path in FOLDER.glob("*/story.json"))
NAMES = [case.name for case in CASES]


class Still(Hands):
    """A clock that stands where the story says."""

    def now_ms(self) -> int:
        return self.at_ms


def read(case: Path, name: str) -> str:
    path = case / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


def kept(case: Path) -> list[Record]:
    return [Record(*json.loads(line)) for line in read(case, "ledger.jsonl").splitlines()]


async def step(ledger: Ledger, told: dict[str, Any]) -> None:
    if "events" in told:
        await ledger.take([fold.event_of(item) for item in told["events"]])
        return
    act = Act(**{**told["act"], "kind": Kind(told["act"]["kind"])})
    if told.get("refused"):
        with pytest.raises(ActRefusedError, match=told["refused"]):
            await ledger.act(act)
    else:
        await ledger.act(act)


async def lived(path: Path, case: Path) -> tuple[list[Record], list[WarningState]]:
    """Write a story into a fresh file; return its lines as the file holds them."""
    hands = Still()
    async with opened(path, hands) as (ledger, database):
        for told in json.loads(read(case, "story.json")):
            hands.at_ms = told["at_ms"]
            await step(ledger, told)
        warnings = (await ledger.find(Query(limit=1000)))[::-1]
        assert (await audit.verify(database)).findings == []
    raw = sqlite3.connect(path)
    lines = [Record(*row) for row in raw.execute("SELECT * FROM ledger ORDER BY seq")]
    raw.close()
    return lines, warnings


@pytest.mark.parametrize("case", CASES, ids=NAMES)
async def test_a_story_makes_the_lines_that_are_kept(tmp_path: Path, case: Path) -> None:
    lines, warnings = await lived(tmp_path / "egret.db", case)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    assert text == read(case, "ledger.jsonl"), f"{case.name}/ledger.jsonl:\n{text}"
    standing = json.dumps([to_json(state) for state in warnings], indent=1, ensure_ascii=False)
    assert standing + "\n" == read(case, "warnings.json"), f"{case.name}/warnings.json:\n{standing}"


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_the_hashes_can_be_checked_with_nothing_of_ours(case: Path) -> None:
    before = "0" * 64
    for number, line in enumerate(read(case, "ledger.jsonl").splitlines(), 1):
        *said, digest = json.loads(line)
        text = json.dumps(said, separators=(",", ":"))
        assert hashlib.sha256(text.encode("ascii")).hexdigest() == digest, number
        assert (said[0], said[-1]) == (number, before)
        body = json.loads(said[6])
        canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
        assert canonical == said[6], "a body has one way to be written"
        before = digest
    assert before != "0" * 64


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_todays_program_reads_and_folds_what_was_kept(case: Path) -> None:
    states: dict[str, WarningState] = {}
    for line in kept(case):
        assert is_sealed(line)
        if line.warning:
            after = fold.after(states.get(line.warning), line)
            assert after is not None
            states[line.warning] = after
    wanted = [from_json(item) for item in json.loads(read(case, "warnings.json"))]
    assert list(states.values()) == wanted


@pytest.mark.parametrize("case", CASES, ids=NAMES)
async def test_a_kept_ledger_opens_and_goes_on(tmp_path: Path, case: Path) -> None:
    """A file of before, with its lines put in as they are kept, is a ledger of today."""
    path = tmp_path / "egret.db"
    async with opened(path):
        pass
    raw = sqlite3.connect(path)
    with raw:
        raw.executemany("INSERT INTO ledger VALUES (?,?,?,?,?,?,?,?,?)", kept(case))
    raw.close()
    lines = kept(case)
    async with opened(path) as (ledger, database):
        assert ledger.head == (lines[-1].seq, lines[-1].hash)
        assert await audit.rebuild(database) == len(json.loads(read(case, "warnings.json")))
        await ledger.note("console", Kind.TOKEN_ADDED, {})
        report = await audit.verify(database, audit.Noted(lines[0].seq, lines[0].hash))
        assert (report.findings, report.lines) == ([], len(lines) + 1)


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_no_byte_of_a_kept_line_can_be_changed_unseen(case: Path) -> None:
    for line in kept(case):
        for name, value in line._asdict().items():
            other: object = value + 1 if isinstance(value, int) else f"{value or ''}."
            assert not is_sealed(line._replace(**{name: other})), (line.seq, name)
        for at in range(0, len(line.body), 7):
            flipped = line.body[:at] + chr(ord(line.body[at]) ^ 1) + line.body[at + 1 :]
            assert not is_sealed(line._replace(body=flipped)), (line.seq, at)


def test_there_are_cases_and_they_cover_every_kind_of_line_about_a_warning() -> None:
    kinds = {line.kind for case in CASES for line in kept(case)}
    assert {Kind.EVENT, Kind.ACKNOWLEDGED, Kind.LOWERED, Kind.CLOSED} <= kinds
    conditions = {
        item["condition"] for case in CASES for item in json.loads(read(case, "warnings.json"))
    }
    assert conditions == {"active", "eased", "returned", "refuted"}
