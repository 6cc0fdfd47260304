"""A ledger written before every level had a basis of its own is right, and goes on.

`ledgers_before/NAME/` holds lines (`ledger.jsonl`) and rows (`warnings.jsonl`) as the program of
then wrote them, in the order of their tables' columns; nobody can write them anew. Then, a
warning's basis was that of the newest rise that reached the level holding: in the third line of
the second warning a forecast red is refuted, an observed blue holds, and the line says `forecast`.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rig.events import event, forecast
from rig.ledgers import START_MS, Hands, opened

from egret_aggregator.database.warning_rows import Query
from egret_aggregator.warnings import audit, fold
from egret_aggregator.warnings.acts import Act
from egret_aggregator.warnings.audit import Wrong
from egret_aggregator.warnings.older_basis import basis_after
from egret_aggregator.warnings.record import Head, Kind, Record, sealed
from egret_core.rules.event import ConditionEvent, Phase

FOLDER = Path(__file__).parent / "ledgers_before" / "basis_of_the_newest_rise"
AHEAD = "d7d203e27d98ac79b3f3fbaaaa004030"  # a nowcast: blue, yellow, eased to blue, all forecast
EITHER = "5e6e37c90865c05c28e3c0a51c6e5c8d"  # observed blue, and a forecast red that proved false
MIXED = "9af207a8239439299d5bc52c8bff8617"  # forecast blue, observed yellow, eased to observed blue
PLACES = {AHEAD: "st0007/wl", EITHER: "st0008/wl", MIXED: "st0009/wl"}
LATER_MS = START_MS + 3_600_000


def kept(name: str) -> list[list[Any]]:
    return [json.loads(line) for line in (FOLDER / name).read_text("utf-8").splitlines()]


def put(path: Path, lines: list[list[Any]], rows: list[list[Any]]) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.executemany("INSERT INTO ledger VALUES (?,?,?,?,?,?,?,?,?)", lines)
        db.executemany("INSERT INTO warning VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", rows)


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    file = tmp_path / "egret.db"
    async with opened(file):
        pass
    put(file, kept("ledger.jsonl"), kept("warnings.jsonl"))
    return file


async def found(path: Path) -> list[tuple[int, Wrong]]:
    async with opened(path, Hands(LATER_MS)) as (_, database):
        report = await audit.verify(database)
    return [(finding.seq, finding.why) for finding in report.findings]


def ahead(change: str, rank: int, minute: int, subject: str, rule: str) -> ConditionEvent:
    return replace(forecast(change, rank, minute, subject=subject), rule=rule)


async def test_it_is_right_as_it_was_written(path: Path) -> None:
    assert await found(path) == []


async def test_its_warnings_say_what_they_said(path: Path) -> None:
    async with opened(path) as (ledger, _):
        told = {one.id: one for one in await ledger.find(Query())}
    assert {id_: told[id_].basis for id_ in (AHEAD, EITHER, MIXED)} == {
        AHEAD: "forecast",
        EITHER: "forecast",
        MIXED: "observed",
    }


@pytest.mark.parametrize("warning", PLACES)
@pytest.mark.parametrize("basis", ["observed", "forecast"])
@pytest.mark.parametrize("what", ["upgraded", "eased", "returned", "refuted", "raised again"])
async def test_it_goes_on_and_stays_right(path: Path, warning: str, basis: str, what: str) -> None:
    rule = "river-ahead@5e6f7a8b" if warning == AHEAD else "either@77aa77aa"
    subject = PLACES[warning]

    def said(change: str, rank: int, minute: int) -> ConditionEvent:
        if basis == "forecast":
            return ahead(change, rank, minute, subject, rule)
        return event(change, rank, minute, subject=subject, rule=rule)

    guess = replace(said("upgraded", 3, 40), phase=Phase.PROVISIONAL)
    false = replace(guess, phase=Phase.REFUTED, provisional_id=guess.id)
    events = {
        "upgraded": [said("upgraded", 4, 40)],
        "eased": [said("upgraded", 4, 40), said("eased", 2, 45)],
        "returned": [said("returned", 0, 40)],
        "refuted": [guess, false],
        "raised again": [said("returned", 0, 40), said("raised", 1, 50)],
    }[what]
    async with opened(path, Hands(LATER_MS)) as (ledger, _):
        for one in events:
            await ledger.take([one])
        await ledger.act(Act(Kind.ACKNOWLEDGED, warning, "officer:li", note="", key="a"))
    assert await found(path) == []
    async with opened(path, Hands(LATER_MS)) as (ledger, _):
        state = await ledger.get(warning)
        assert state is not None
        if state.rank > 1:
            lower = Act(Kind.LOWERED, warning, "officer:li", note="fell", level="blue", key="l")
            await ledger.act(replace(lower, despite_condition=True))
        await ledger.act(
            replace(Act(Kind.CLOSED, warning, "officer:li", note="over"), despite_condition=True)
        )
    assert await found(path) == []


@pytest.mark.parametrize("warning", [AHEAD, EITHER])
async def test_an_act_goes_on_from_it_too(path: Path, warning: str) -> None:
    async with opened(path, Hands(LATER_MS)) as (ledger, _):
        act = Act(Kind.LOWERED, warning, "officer:li", note="fell", level="blue")
        lowered = (await ledger.act(act)).state
    assert lowered.basis == lowered.steps[-1].basis
    assert await found(path) == []


@pytest.mark.parametrize(
    ("change", "rank", "phase", "more", "basis"),
    [
        ("upgraded", 3, Phase.SETTLED, {}, "forecast"),
        ("raised", 2, Phase.SETTLED, {}, "forecast"),  # as high as what holds
        ("raised", 1, Phase.SETTLED, {}, "observed"),
        ("upgraded", 3, Phase.REFUTED, {}, "observed"),
        ("upgraded", 3, Phase.SETTLED, {"retrospective": True}, "observed"),
        ("eased", 2, Phase.SETTLED, {}, "observed"),
        ("returned", 0, Phase.SETTLED, {}, "observed"),
    ],
)
def test_only_a_rise_to_what_holds_changed_the_basis_then(
    change: str, rank: int, phase: Phase, more: dict[str, Any], basis: str
) -> None:
    before = fold.opened(event("raised", 2), 1, START_MS)
    said = replace(forecast(change, rank, 5), phase=phase)
    said = replace(said, evidence={**said.evidence, **more})
    line = sealed(
        Head(1, "0" * 64),
        time_ms=START_MS,
        actor="rule:x",
        kind=Kind.EVENT,
        warning=before.id,
        key=None,
        body={"event": fold.event_json(said)},
    )
    assert basis_after("observed", before, line) == basis
    assert basis_after("observed", None, line) == "forecast"
    assert basis_after("x", before, line._replace(kind=Kind.ACKNOWLEDGED)) == "x"


async def test_made_anew_from_its_lines_it_is_right_too(path: Path) -> None:
    async with opened(path) as (ledger, database):
        assert await audit.rebuild(database) == 5
        assert (await audit.verify(database)).findings == []
        either = await ledger.get(EITHER)
    assert either is not None
    assert either.basis == "observed", "which holds, and not the red that proved false"


@pytest.mark.parametrize(
    ("of", "old", "new"),
    [
        (AHEAD, '"basis":"forecast"', '"basis":"observed"'),
        (AHEAD, '"basis":"forecast"', '"basis":"guess"'),
        (MIXED, '"changed_ms"', '"basis":"forecast","changed_ms"'),
        (AHEAD, '"holding_level":"blue"', '"holding_level":"red"'),
        (AHEAD, '"changed_ms"', '"more":1,"changed_ms"'),
        (AHEAD, '"river-ahead@5e6f7a8b"]', '"river-ahead@5e6f7a8b","guess"]'),
        (MIXED, '"either@77aa77aa"]', '"either@77aa77aa","forecast"]'),
        (AHEAD, '"steps"', '"paces"'),
    ],
)
async def test_a_row_that_nobody_wrote_is_found(path: Path, of: str, old: str, new: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        (body,) = db.execute("SELECT body FROM warning WHERE id = ?", [of]).fetchone()
        assert old in body
        db.execute("UPDATE warning SET body = ? WHERE id = ?", [body.replace(old, new), of])
    assert [why for _, why in await found(path)] == [Wrong.TABLE]


@pytest.mark.parametrize(
    ("seq", "after"),
    [
        (6, {"basis": "guess"}),
        (6, {"rank": 2}),
        (1, {"basis": None}),
        (8, {"basis": "forecast"}),
    ],
)
async def test_a_line_that_nobody_would_have_written_is_found(
    tmp_path: Path, seq: int, after: dict[str, Any]
) -> None:
    """Sealed anew with all that follow it: only the fold can tell."""
    lines, head = [], Head(0, "0" * 64)
    for row in kept("ledger.jsonl"):
        line = Record(*row)
        body = dict(line.content)
        if line.seq == seq:
            told = {**body["after"], **after}
            body["after"] = {key: value for key, value in told.items() if value is not None}
        facts = line._asdict()
        for name in ("seq", "body", "prev_hash", "hash"):
            del facts[name]
        again = sealed(head, **facts, body=body)
        head = Head(again.seq, again.hash)
        lines.append(list(again))
    file = tmp_path / "egret.db"
    async with opened(file):
        pass
    put(file, lines, kept("warnings.jsonl"))
    assert await found(file) == [(seq, Wrong.FOLD)]
