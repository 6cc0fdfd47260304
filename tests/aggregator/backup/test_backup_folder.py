"""Whatever is wrong with a backup is named; whoever takes one knows whether it is whole."""

from __future__ import annotations

import dataclasses
import gzip
import json
import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.events import event
from rig.ledgers import opened

from egret_aggregator.backup import folder as place
from egret_aggregator.backup.manifest import FILE, Copy, Manifest, decode, encode, is_inside
from egret_aggregator.database import Database, portable
from egret_aggregator.errors import BackupError
from egret_aggregator.warnings.record import EMPTY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BARE = Manifest(1, "0.1.0", "sqlite", "0001", {"ledger": 2}, *(2, "ab"), *(7, 3), {-1: 5}, False)


def quiet(*_: object) -> None:
    """Progress that nobody looks at."""


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    folder = tmp_path / "backup"
    place.begin(folder)
    (folder / place.DATA / "journal.db").write_bytes(b"entries" * 1000)
    (folder / place.DATA / "empty").touch()
    place.finish(folder, dataclasses.replace(BARE, files=place.copies(folder, quiet)))
    return folder


def test_a_whole_one_is_whole(backup: Path) -> None:
    assert place.checked(backup, quiet).rows == {"ledger": 2}
    assert not (backup / place.MARK).exists()


def flip(backup: Path) -> None:
    path = backup / place.JOURNAL
    body = bytearray(path.read_bytes())
    body[3000] ^= 1
    path.write_bytes(body)


def cut(backup: Path) -> None:
    path = backup / place.JOURNAL
    path.write_bytes(path.read_bytes()[:-1])


def lose(backup: Path) -> None:
    (backup / place.DATA / "empty").unlink()


def unfinished(backup: Path) -> None:
    (backup / FILE).unlink()
    (backup / place.MARK).touch()


def something_else(backup: Path) -> None:
    (backup / FILE).unlink()


def no_json(backup: Path) -> None:
    (backup / FILE).write_text("{")


def other_version(backup: Path) -> None:
    (backup / FILE).write_text((backup / FILE).read_text().replace('"format": 1', '"format": 2'))


def leads_out(backup: Path) -> None:
    text = (backup / FILE).read_text().replace("data/empty", "data/../../x")
    (backup / FILE).write_text(text)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (flip, "journal.db: its bytes have changed"),
        (cut, "journal.db: missing or not 7000 B"),
        (lose, "empty: missing or not 0 B"),
        (unfinished, "was cut short: it has no manifest"),
        (something_else, "is no backup: it has no manifest"),
        (no_json, "manifest.json: Expecting"),
        (other_version, "a manifest of another version"),
        (leads_out, "leads out of the backup"),
    ],
    ids=lambda item: getattr(item, "__name__", ""),
)
def test_harm_is_named(backup: Path, harm: Callable[[Path], None], says: str) -> None:
    harm(backup)
    with pytest.raises(BackupError, match=says):
        place.checked(backup, quiet)


def test_nothing_is_written_over(backup: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "photo").touch()
    for taken in (backup, other):
        with pytest.raises(BackupError, match="is not empty: name a folder"):
            place.begin(taken)
    assert place.checked(backup, quiet)


def test_an_unfinished_one_is_begun_anew(backup: Path) -> None:
    unfinished(backup)
    place.begin(backup)
    assert list((backup / place.DATA).iterdir()) == []
    assert sorted(path.name for path in backup.iterdir()) == [place.MARK, place.DATA]


COPIES = st.builds(
    Copy,
    st.text(st.characters(codec="utf-8"), min_size=1).map(
        lambda name: "data/" + name.replace("/", "_").replace(".", "_").replace("\0", "_")
    ),
    st.integers(0),
    st.text("0123456789abcdef", min_size=64, max_size=64),
)


@given(st.lists(COPIES), st.dictionaries(st.integers(-1, 63), st.integers(0)))
def test_a_manifest_says_what_it_was_told(files: list[Copy], positions: dict[int, int]) -> None:
    told = dataclasses.replace(BARE, files=tuple(files), positions=positions)
    assert decode(encode(told)) == told


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "data", "data/", "data/../x", "x/y", "data//x"]
)
def test_only_places_of_ours_are_inside(path: str) -> None:
    assert not is_inside(path)
    assert is_inside("data/a/b.db")
    assert is_inside("settings.toml")


async def exported(tmp_path: Path) -> Path:
    target = tmp_path / "ledger.jsonl.gz"
    async with opened(tmp_path / "egret.db") as (ledger, database):
        await ledger.take([event("raised", 2), event("upgraded", 4, 5), event("eased", 1, 9)])
        done = await portable.export(database, target, quiet)
        assert (done.head, done.rows["ledger"]) == (ledger.head, 3)
    return target


def rewritten(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    with gzip.open(path, "rt") as source:
        lines = source.readlines()
    with gzip.open(path, "wt") as out:
        out.writelines(change(lines))


def forged(lines: list[str]) -> list[str]:
    return [line.replace("river-level", "river-livel") for line in lines]


def without_a_row(lines: list[str]) -> list[str]:
    return [lines[0], *lines[2:]]


def without_an_end(lines: list[str]) -> list[str]:
    return lines[:-1]


def of_another_time(lines: list[str]) -> list[str]:
    return [json.dumps({**json.loads(lines[0]), "format": 9}) + "\n", *lines[1:]]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (forged, "ledger line 1 does not follow"),
        (without_a_row, "ledger line 2 does not follow"),
        (without_an_end, "it ends too early"),
        (of_another_time, "no export of this version"),
    ],
    ids=lambda item: getattr(item, "__name__", ""),
)
async def test_an_export_that_was_changed_is_refused(
    tmp_path: Path, change: Callable[[list[str]], list[str]], says: str
) -> None:
    path = await exported(tmp_path)
    assert portable.check(path).rows["ledger"] == 3
    rewritten(path, change)
    with pytest.raises(BackupError, match=says):
        portable.check(path)


async def test_an_export_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = await exported(tmp_path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(BackupError):
            portable.check(path)


async def test_an_empty_ledger_comes_back_empty(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl.gz"
    async with opened(tmp_path / "egret.db") as (_, database):
        await portable.export(database, path, quiet)
    assert portable.check(path).head == EMPTY
    shutil.copy(path, tmp_path / "again.gz")
    database = Database(tmp_path / "new.db")
    await portable.load(database, tmp_path / "again.gz", quiet)
    await database.close()
