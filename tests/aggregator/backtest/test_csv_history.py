"""A CSV file as history: what is in it is judged as if it stood in the store."""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from rig.catalogues import STATIONS
from rig.history import RULES, river
from rig.rulebook import START_MS, at

from egret_aggregator import catalogue
from egret_aggregator.api.times import rfc3339
from egret_aggregator.backtest import Backtest, CsvHistory, Span
from egret_aggregator.backtest import history as module
from egret_aggregator.store import MemoryStore, Note, StoredReading
from egret_core.errors import ConfigError
from egret_core.reading import Reading
from egret_core.rules.event import settled_hash

if TYPE_CHECKING:
    from pathlib import Path

PLACES = catalogue.of_texts(STATIONS, RULES, "f")
UNITS = {"wl": "m,Local", "rn": "mm,"}
HEAD = "station,channel,time,value,unit,datum,flag\n"
SPAN = Span(START_MS, START_MS + 8 * 3_600_000)


def lines(rows: list[Reading]) -> str:
    out = io.StringIO()
    out.write(HEAD)
    for one in rows:
        measure = UNITS[one.channel]
        out.write(f"st1,{one.channel},{rfc3339(one.time_ms)},{one.value},{measure},{one.flag}\n")
    return out.getvalue()


def read(tmp_path: Path, text: str, zone: ZoneInfo | None = None) -> CsvHistory:
    path = tmp_path / "past.csv"
    path.write_text(text, encoding="utf-8")
    return CsvHistory.read(path, PLACES, zone, lambda _rows: None)


async def test_a_file_in_any_order_is_judged_as_the_store_is(tmp_path: Path) -> None:
    rows = river()
    store = MemoryStore()
    imported = int(Note.IMPORTED)
    await store.write([StoredReading(*one, imported, 0) for one in rows])
    random.Random(4).shuffle(rows)
    found = await Backtest(read(tmp_path, lines(rows)), PLACES, SPAN).run()
    stored = await Backtest(store, PLACES, SPAN).run()
    assert len(found.events) > 10
    assert settled_hash(found.events) == settled_hash(stored.events)
    assert found.readings == len(rows)


async def test_bad_lines_are_counted_and_the_first_ones_shown(tmp_path: Path) -> None:
    good = "st1,wl,2026-07-12T08:00:00Z,1.5,m,Local,1\n"
    bad = (
        "st1,wl,noon,1.5,m,Local,1\n"
        "st1,wx,2026-07-12T08:00:00Z,1.5,m,Local,1\n"
        "st1,wl,2026-07-12T08:00:00Z,1.5,kPa,Local,1\n"
    )
    history = read(tmp_path, HEAD + good + bad)
    assert (history.rows, history.bad) == (1, 3)
    assert [text.split(":")[:2] for text in history.shown] == [
        ["line 3", " bad_time"],
        ["line 4", " unknown_channel"],
        ["line 5", " wrong_unit"],
    ]
    many = read(tmp_path, HEAD + bad * 20)
    assert (many.bad, len(many.shown)) == (60, module.SHOWN_MAX)
    told: list[int] = []
    CsvHistory.read(tmp_path / "past.csv", PLACES, None, told.append)
    assert told == [60], "progress is of lines, good or bad"


async def test_of_one_time_the_first_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 1)
    text = HEAD + "".join(
        f"st1,wl,2026-07-12T08:0{minute}:00Z,{value},m,Local,1\n"
        for minute, value in ((1, 1.0), (0, 2.0), (1, 3.0), (0, 4.0))
    )
    history = read(tmp_path, text)
    page = await history.range("st1", "wl", 0, 2**60, 10)
    assert [row.value for row in page.rows] == [2.0, 1.0]
    assert (history.duplicates, page.truncated) == (2, False)


async def test_missing_values_and_doubt_are_kept(tmp_path: Path) -> None:
    text = (
        HEAD + "st1,wl,2026-07-12T08:00:00Z,,m,Local,9\nst1,wl,2026-07-12T08:01:00Z,2,m,Local,3\n"
    )
    page = await read(tmp_path, text).range("st1", "wl", 0, 2**60, 10)
    assert [(row.value, row.flag) for row in page.rows] == [(None, 9), (2.0, 3)]


async def test_pages_are_cut_at_their_limit(tmp_path: Path) -> None:
    rows = [one for one in river(10, silent=(99, 99)) if one.channel == "wl"]
    history = read(tmp_path, lines(rows))
    page = await history.range("st1", "wl", at(60), at(60 * 9), 3)
    assert [row.time_ms for row in page.rows] == [at(60), at(120), at(180)]
    assert page.truncated
    last = await history.range("st1", "wl", at(60 * 7), at(60 * 9), 3)
    assert (len(last.rows), last.truncated) == (2, False)
    assert (await history.range("st1", "zz", 0, 2**60, 3)).rows == []
    assert await history.metas() == []


async def test_a_zone_says_where_its_clock_hung(tmp_path: Path) -> None:
    text = HEAD + "st1,wl,2026-07-12 16:00:00,2,m,Local,1\n"
    history = read(tmp_path, text, ZoneInfo("Asia/Shanghai"))
    page = await history.range("st1", "wl", 0, 2**60, 1)
    assert rfc3339(page.rows[0].time_ms) == "2026-07-12T08:00:00.000Z"


def test_a_file_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CSV_ROWS_MAX", 5)
    with pytest.raises(ConfigError, match="at most 5 readings"):
        read(tmp_path, lines(river(10)))


def test_no_file_and_no_text_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name a readable file"):
        CsvHistory.read(tmp_path / "no.csv", PLACES, None, lambda _rows: None)
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="write UTF-8"):
        CsvHistory.read(tmp_path / "b.csv", PLACES, None, lambda _rows: None)


@pytest.mark.parametrize("order", ["as it was", "newest first", "shuffled", "twice"])
async def test_any_order_is_put_right_part_by_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    monkeypatch.setattr(module, "_SORTED", 7)
    monkeypatch.setattr(module, "_BLOCK", 20)
    rows = [Reading("st1", "wl", START_MS + 60_000 * n, float(n), None) for n in range(40)]
    given = {
        "as it was": rows,
        "newest first": rows[::-1],
        "shuffled": random.Random(3).sample(rows, len(rows)),
        "twice": [*rows, *(one._replace(value=-1.0) for one in rows[::-1])],
    }[order]
    history = read(tmp_path, lines(given))
    page = await history.range("st1", "wl", SPAN.from_ms, SPAN.to_ms, 1000)
    assert [(one.time_ms, one.value) for one in page.rows] == [(r.time_ms, r.value) for r in rows]
    assert history.duplicates == len(given) - len(rows)


def test_a_reading_takes_21_bytes_on_every_machine(tmp_path: Path) -> None:
    (column,) = read(tmp_path, lines(river()[::2])[:2000].rpartition("\n")[0])._columns.values()
    parts = (column.time, column.value, column.flag, column.reasons)
    assert sum(part.itemsize for part in parts) == 21
