"""`audit.verify` finds what somebody changed behind the ledger's back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rig.databases import change, rows, tamper
from rig.events import event
from rig.ledgers import opened

from egret_aggregator.warnings import audit
from egret_aggregator.warnings.acts import Act
from egret_aggregator.warnings.audit import Noted, Wrong
from egret_aggregator.warnings.record import Head, Kind, Record, sealed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
async def path(tmp_path: Path, engine: str) -> Path:
    file = tmp_path / "egret.db"
    async with opened(file) as (ledger, _):
        first = event("raised", 2)
        await ledger.take([first, event("upgraded", 4, 5), event("eased", 1, 9)])
        await ledger.act(Act(Kind.ACKNOWLEDGED, first.id, "officer:li", note="seen"))
        await ledger.act(Act(Kind.LOWERED, first.id, "officer:li", note="fell", level="blue"))
        await ledger.take([event("raised", 1, subject="st0008/wl")])
    return file


async def found(path: Path, noted: Noted | None = None) -> list[tuple[int, Wrong]]:
    async with opened(path) as (_, database):
        report = await audit.verify(database, noted)
    return [(finding.seq, finding.why) for finding in report.findings]


async def test_an_honest_ledger_is_ok(path: Path) -> None:
    async with opened(path) as (ledger, database):
        report = await audit.verify(database, Noted(*ledger.head))
        assert report == audit.Report(6, ledger.head, [])


async def test_one_flipped_byte_is_named_by_its_line(path: Path) -> None:
    tamper(path, "UPDATE ledger SET body = replace(body, '3.4', '3.5') WHERE seq = 2")
    assert (await found(path))[0] == (2, Wrong.HASH)


@pytest.mark.parametrize("column", ["time_ms", "actor", "kind", "warning", "key", "hash"])
async def test_every_column_is_sealed(path: Path, column: str) -> None:
    tamper(path, f"UPDATE ledger SET {column} = '7' WHERE seq = 3")  # noqa: S608
    assert (3, Wrong.HASH) in await found(path)


async def test_a_line_sealed_anew_breaks_the_chain_behind_it(path: Path) -> None:
    line = Record(*rows(path, "SELECT * FROM ledger WHERE seq = 4")[0])
    forged = sealed(
        Head(3, line.prev_hash),
        time_ms=line.time_ms,
        actor="officer:wu",
        kind=Kind(line.kind),
        warning=line.warning,
        key=line.key,
        body=line.content,
    )
    tamper(path, f"UPDATE ledger SET actor = 'officer:wu', hash = '{forged.hash}' WHERE seq = 4")  # noqa: S608
    wrong = await found(path)
    assert (5, Wrong.CHAIN) in wrong
    assert any(why is Wrong.TABLE for _, why in wrong)  # the table still says officer:li


async def test_a_missing_line_is_a_gap(path: Path) -> None:
    tamper(path, "DELETE FROM ledger WHERE seq = 4")
    assert (5, Wrong.GAP) in await found(path)


async def test_a_cut_tail_is_found_by_the_table_and_by_a_noted_line(path: Path) -> None:
    async with opened(path) as (ledger, _):
        head = ledger.head
    tamper(path, "DELETE FROM ledger WHERE seq = 6")
    assert await found(path) == [(6, Wrong.TABLE)]
    change(path, "DELETE FROM warning WHERE opened_seq = 6")
    assert await found(path) == []  # nothing inside can tell: note the head down outside
    assert await found(path, Noted(*head)) == [(6, Wrong.NOTED)]


async def test_a_changed_warning_is_named(path: Path) -> None:
    tamper(path, "UPDATE warning SET state = 'closed' WHERE opened_seq = 1")
    assert await found(path) == [(5, Wrong.TABLE)]


async def test_a_missing_warning_is_named(path: Path) -> None:
    tamper(path, "DELETE FROM warning WHERE opened_seq = 6")
    assert await found(path) == [(6, Wrong.TABLE)]


async def test_a_sealed_line_of_nonsense_is_unreadable_and_not_a_crash(path: Path) -> None:
    ((hash_,),) = rows(path, "SELECT hash FROM ledger WHERE seq = 6")
    line = sealed(
        Head(6, hash_),
        time_ms=1,
        actor="x",
        kind=Kind.EVENT,
        warning="w",
        key=None,
        body={"event": 5},
    )
    told = ", ".join("NULL" if word is None else f"'{word}'" for word in line)
    change(path, f"INSERT INTO ledger VALUES ({told})")  # noqa: S608
    assert await found(path) == [(7, Wrong.UNREADABLE)]


async def test_the_table_is_rebuilt_from_the_ledger(path: Path) -> None:
    tamper(
        path, "DELETE FROM warning", "INSERT INTO warning SELECT 'x',9,9,9,'','','','','','',1,'{}'"
    )
    assert len(await found(path)) == 3
    async with opened(path) as (_, database):
        assert await audit.rebuild(database) == 2
    assert await found(path) == []
