"""The ledger on a real file: once each, in order, durable, and one winner of a race."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
from typing import TYPE_CHECKING

import pytest
from rig.databases import change, rows
from rig.events import bare, event, guess
from rig.ledgers import opened

from egret_aggregator.database.warning_rows import Query
from egret_aggregator.warnings import audit
from egret_aggregator.warnings.acts import Act, ActRefusedError, Refusal
from egret_aggregator.warnings.record import Kind, Record, canonical, is_sealed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("engine")


def act(kind: Kind, warning: str, actor: str = "officer:li", **more: object) -> Act:
    return Act(kind, warning, actor, **more)  # type: ignore[arg-type]


async def test_an_event_is_recorded_once_however_often_it_comes(tmp_path: Path) -> None:
    first, second = event("raised", 1), event("upgraded", 2, 1)
    async with opened(tmp_path / "egret.db") as (ledger, _):
        await ledger.take([first, first])
        await ledger.take([first, second])
        await ledger.take([])
        assert ledger.head.seq == 2
        found = await ledger.find(Query())
        assert [(w.id, w.level) for w in found] == [(first.id, "yellow")]


async def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "egret.db"
    async with opened(path) as (ledger, _):
        await ledger.take([event("raised", 1)])
        head = ledger.head
    async with opened(path) as (ledger, database):
        assert ledger.head == head
        await ledger.take([event("raised", 1), event("upgraded", 2, 1)])
        assert ledger.head.seq == 2
        assert not (await audit.verify(database)).findings


async def test_listeners_hear_committed_lines_in_order(tmp_path: Path) -> None:
    heard: list[int] = []

    def listener(records: Sequence[Record]) -> None:
        heard.extend(record.seq for record in records)

    async with opened(tmp_path / "egret.db") as (ledger, _):
        ledger.listen(listener)
        await asyncio.gather(
            *(ledger.take([event("raised", 1, subject=f"st{n}/wl")]) for n in range(20))
        )
        await ledger.take([event("raised", 1, subject="st3/wl")])
    assert heard == list(range(1, 21))


async def test_of_two_acknowledgements_one_wins_and_the_other_is_told_who(tmp_path: Path) -> None:
    first = event("raised", 3)
    async with opened(tmp_path / "egret.db") as (ledger, _):
        await ledger.take([first])
        seats = [act(Kind.ACKNOWLEDGED, first.id, f"officer:seat{n}") for n in range(8)]
        results = await asyncio.gather(*map(ledger.act, seats), return_exceptions=True)
        refused = [r for r in results if isinstance(r, ActRefusedError)]
        won = [r for r in results if not isinstance(r, BaseException)]
        assert (len(won), len(refused)) == (1, 7)
        winner = won[0].state.acknowledged
        assert winner is not None
        for refusal in refused:
            assert refusal.why is Refusal.ALREADY_ACKNOWLEDGED
            assert winner.by in refusal.detail
        assert ledger.head.seq == 2


async def test_a_repeated_key_gets_the_same_answer_and_no_second_line(tmp_path: Path) -> None:
    first = event("raised", 3)
    async with opened(tmp_path / "egret.db") as (ledger, _):
        await ledger.take([first])
        asked = act(Kind.ACKNOWLEDGED, first.id, note="on my way", key="k1")
        once = await ledger.act(asked)
        await ledger.take([event("upgraded", 4, 5)])
        again = await ledger.act(asked)
        assert (once.repeated, again.repeated) == (False, True)
        assert again.state == once.state
        assert again.record == once.record
        assert ledger.head.seq == 3
        # Another person's key of the same name is another key.
        other = act(Kind.ACKNOWLEDGED, first.id, "officer:wu", key="k1")
        assert not (await ledger.act(other)).repeated


async def test_a_key_used_for_something_else_is_refused(tmp_path: Path) -> None:
    first = event("raised", 3)
    async with opened(tmp_path / "egret.db") as (ledger, _):
        await ledger.take([first])
        await ledger.act(act(Kind.ACKNOWLEDGED, first.id, key="k1"))
        close = act(Kind.CLOSED, first.id, note="x", key="k1", despite_condition=True)
        with pytest.raises(ActRefusedError) as caught:
            await ledger.act(close)
        assert caught.value.why is Refusal.KEY_REUSED
        assert ledger.head.seq == 2


async def test_a_new_episode_is_a_new_warning(tmp_path: Path) -> None:
    first, again = event("raised", 1), event("raised", 1, 60)
    async with opened(tmp_path / "egret.db") as (ledger, _):
        await ledger.take([first, event("returned", 0, 30)])
        await ledger.act(act(Kind.CLOSED, first.id, note="water is down"))
        await ledger.take([again])
        found = await ledger.find(Query())
        assert [(w.id, w.state) for w in found] == [(again.id, "open"), (first.id, "closed")]


async def test_closing_while_the_level_holds_does_not_silence_the_next_rise(tmp_path: Path) -> None:
    first, higher = event("raised", 1), event("upgraded", 4, 9)
    async with opened(tmp_path / "egret.db") as (ledger, _):
        await ledger.take([first])
        await ledger.act(act(Kind.CLOSED, first.id, note="a test", despite_condition=True))
        await ledger.take([event("eased", 1, 5), higher])
        standing = await ledger.find(Query(states=("open",)))
        assert [(w.id, w.level) for w in standing] == [(higher.id, "red")]
        lines = await ledger.after(0, 100)
        assert [line.warning for line in lines] == [first.id, first.id, "", higher.id]


async def test_a_guess_settled_in_a_later_call_finds_its_closed_warning(tmp_path: Path) -> None:
    first = guess("raised", 2)
    async with opened(tmp_path / "egret.db") as (ledger, _):
        await ledger.take([first])
        await ledger.act(act(Kind.CLOSED, first.id, note="x", despite_condition=True))
        await ledger.take([event("raised", 2, names=first)])
        found = await ledger.find(Query())
        assert [(w.state, w.phase) for w in found] == [("closed", "settled")]


async def test_many_subjects_in_one_call(tmp_path: Path) -> None:
    storm = [event("raised", 2, subject=f"st{n:04}/wl") for n in range(1201)]
    async with opened(tmp_path / "egret.db") as (ledger, database):
        await ledger.take(storm)
        await ledger.take([event("upgraded", 4, 3, subject=f"st{n:04}/wl") for n in range(1201)])
        report = await audit.verify(database)
        assert (report.lines, report.findings) == (2402, [])
        assert await ledger.counts() == {("open", "red"): 1201}


async def test_a_number_that_json_cannot_write_stops_no_warning(tmp_path: Path) -> None:
    broken = bare("red", 4, {"value": float("nan"), "sums": (1.0, float("inf"))})
    async with opened(tmp_path / "egret.db") as (ledger, database):
        await ledger.take([broken])
        (line,) = await ledger.history(broken.id)
        assert line.content["event"]["evidence"] == {"value": "nan", "sums": [1.0, "inf"]}
        assert not (await audit.verify(database)).findings


async def test_two_processes_keep_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "egret.db"
    async with opened(path) as (here, database), opened(path) as (there, _):
        for n in range(10):
            await here.take([event("raised", 1, subject=f"a{n}/wl")])
            await there.note("console", Kind.TOKEN_ADDED, {"n": n})
        report = await audit.verify(database)
        assert (report.lines, report.findings) == (20, [])


async def test_the_store_itself_refuses_a_change_of_the_ledger(tmp_path: Path) -> None:
    path = tmp_path / "egret.db"
    async with opened(path) as (ledger, _):
        await ledger.take([event("raised", 1)])
    for statement in ("UPDATE ledger SET actor = 'nobody'", "DELETE FROM ledger"):
        with pytest.raises((sqlite3.IntegrityError, subprocess.CalledProcessError)) as caught:
            change(path, statement)
        said = getattr(caught.value, "stderr", "") or str(caught.value)
        assert "the ledger is append-only" in said
    assert rows(path, "SELECT actor FROM ledger") == [("rule:river-level@1a2b3c4d",)]


async def test_a_page_of_filters(tmp_path: Path) -> None:
    async with opened(tmp_path / "egret.db") as (ledger, _):
        await ledger.take([event("raised", n % 4 + 1, subject=f"st{n}/wl") for n in range(8)])
        assert len(await ledger.find(Query(levels=("red", "blue")))) == 4
        assert len(await ledger.find(Query(stations=("st1",), hazards=("level",)))) == 1
        assert await ledger.find(Query(hazards=("rain",))) == []
        newest = await ledger.find(Query(limit=3))
        assert [w.opened_seq for w in newest] == [8, 7, 6]
        rest = await ledger.find(Query(before_seq=6))
        assert [w.opened_seq for w in rest] == [5, 4, 3, 2, 1]
        assert await ledger.find(Query(since_ms=newest[0].changed_ms + 1)) == []
        assert await ledger.get("nothing") is None


def test_canonical_json_is_one_text_for_one_meaning() -> None:
    assert canonical({"b": 1, "a": [1.5, "水"]}) == '{"a":[1.5,"\\u6c34"],"b":1}'


async def test_a_line_is_sealed_over_everything_it_says(tmp_path: Path) -> None:
    async with opened(tmp_path / "egret.db") as (ledger, _):
        await ledger.take([event("raised", 1)])
        (line,) = await ledger.after(0, 10)
    assert is_sealed(line)
    for other in (
        {"seq": 2},
        {"time_ms": 1},
        {"actor": "x"},
        {"kind": "closed"},
        {"warning": ""},
        {"key": None},
        {"body": "{}"},
        {"prev_hash": "1" * 64},
    ):
        assert not is_sealed(line._replace(**other))
