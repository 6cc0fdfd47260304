"""Importing a file through a centre that runs: checked first, sent once, nothing silent."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from rig.api_centre import ApiCentre, api_centre, catalogue_folder
from rig.rolling import Rolling

from egret_aggregator.catalogue import load
from egret_aggregator.charts import Tier
from egret_aggregator.cli.main import main
from egret_aggregator.export import Export
from egret_aggregator.tokens import Role
from egret_core.reading import Reading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HEAD = "station,channel,time,value,unit,datum\n"
T0_MS = 1_503_014_400_000


def line(second: int, value: object = 1.5, unit: str = "m", datum: str = "Luoling") -> str:
    return f"st0007,wl,2017-08-18T00:{second // 60:02}:{second % 60:02}Z,{value},{unit},{datum}\n"


class Desk:
    """Somebody with a file, a settings file and a token, beside a running centre."""

    def __init__(self, tmp_path: Path, centre: ApiCentre, capsys: Any) -> None:
        self.folder = tmp_path
        self.centre = centre
        self._capsys = capsys
        self.file = tmp_path / "in.csv"
        self._settings = tmp_path / "centre.toml"
        self._settings.write_text('[centre]\ndata = "data"\ncatalogue = "catalogue"\n')

    async def bring(self, *more: Any) -> tuple[int, dict[str, Any], str]:
        words = ["import", self._settings, self.file, "--json", "--url", self.centre.url, *more]
        code = await asyncio.to_thread(main, [str(word) for word in words])
        out, err = self._capsys.readouterr()
        return code, json.loads(out), err

    async def taken(self) -> list[Reading]:
        journal = self.centre.journal
        entries = await journal.read({}, 1000)
        return [r for entry in entries for r in journal.readings(entry).dated]


@asynccontextmanager
async def desk_in(tmp_path: Path, capsys: Any, monkeypatch: Any) -> AsyncIterator[Desk]:
    async with api_centre(tmp_path) as centre:
        monkeypatch.setenv("EGRET_TOKEN", centre.token["admin"])
        yield Desk(tmp_path, centre, capsys)


async def test_a_file_is_brought_in_once_however_often_it_is_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk_in(tmp_path, capsys, monkeypatch) as desk:
        desk.file.write_text(HEAD + "".join(line(n, n) for n in range(1203)))
        code, told, err = await desk.bring()
        assert (code, told["good"], told["sent"], told["known"]) == (0, 1203, 1203, 0)
        assert "line 501, 500 readings" in err
        code, told, _ = await desk.bring()
        assert (code, told["sent"], told["known"]) == (0, 1203, 1203)
        found = await desk.taken()
        assert [r.time_ms for r in found] == [T0_MS + 1000 * n for n in range(1203)]


async def test_a_dry_run_sends_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk_in(tmp_path, capsys, monkeypatch) as desk:
        monkeypatch.delenv("EGRET_TOKEN")
        desk.file.write_text(HEAD + line(0))
        assert (await desk.bring("--dry-run"))[:2] == (
            0,
            {"good": 1, "bad": 0, "sent": 0, "known": 0, "lines": []},
        )
        assert await desk.taken() == []
        code, told, _ = await desk.bring()
        assert (code, told["key"]) == (2, "EGRET_TOKEN")


BAD = (
    (line(1, unit="kPa"), "wrong_unit"),
    (line(2, datum="Sea"), "wrong_datum"),
    (line(3, '"3,42"'), "not_a_number"),
    (line(4, "nan"), "not_a_number"),
    (line(5).replace("Z", ""), "bad_time"),
    (line(6).replace("wl", "nothing"), "unknown_channel"),
    (line(0), "duplicate"),
    (line(0, 7), "conflict"),
)


async def test_one_bad_line_holds_everything_back_until_it_is_set_aside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk_in(tmp_path, capsys, monkeypatch) as desk:
        desk.file.write_text(HEAD + line(0) + "".join(text for text, _ in BAD) + line(9))
        code, told, _ = await desk.bring()
        assert (code, told["good"], told["bad"], told["sent"]) == (1, 2, len(BAD), 0)
        assert [(item["line"], item["why"]) for item in told["lines"]] == [
            (number, why) for number, (_, why) in enumerate(BAD, 3)
        ]
        assert all(item["detail"] for item in told["lines"])
        assert await desk.taken() == []
        aside = tmp_path / "bad.csv"
        code, told, _ = await desk.bring("--set-aside", aside)
        assert (code, told["sent"]) == (1, 2)
        kept = aside.read_text()
        assert all(text in kept for text, _ in BAD)
        assert "# line 3: wrong_unit" in kept
        assert [r.value for r in await desk.taken()] == [1.5, 1.5]
        code, told, _ = await desk.bring("--set-aside", aside)
        assert (code, told["key"]) == (2, "--set-aside")


async def test_bad_lines_without_end_are_counted_and_the_first_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk_in(tmp_path, capsys, monkeypatch) as desk:
        desk.file.write_text(HEAD + line(1, "x") * 1500)
        code, told, _ = await desk.bring()
        assert (code, told["bad"], len(told["lines"])) == (1, 1500, 20)


async def test_what_the_centre_refuses_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk_in(tmp_path, capsys, monkeypatch) as desk:
        desk.file.write_text(HEAD + line(0))
        monkeypatch.setenv("EGRET_TOKEN", desk.centre.token["viewer"])
        code, told, _ = await desk.bring()
        assert (code, told["error"], "role_too_low" in told["detail"]) == (3, "peer", True)
        # A feeder's token brings in its own channels only: this one is a gateway's.
        await desk.centre.admit(Role.FEEDER)
        monkeypatch.setenv("EGRET_TOKEN", desk.centre.token["feeder"])
        code, told, _ = await desk.bring()
        assert (code, "not_yours" in told["detail"]) == (3, True)


async def test_a_centre_that_is_away_is_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egret_aggregator.cli.csv_import.RETRY_S", 0.01)
    monkeypatch.setattr("egret_aggregator.cli.csv_import.TRIES_MAX", 3)
    async with desk_in(tmp_path, capsys, monkeypatch) as desk:
        desk.file.write_text(HEAD + line(0))
        with monkeypatch.context() as patch:
            for name in ("_room_b", "_max_bytes"):
                patch.setattr(desk.centre.journal._desk, name, 1)
            code, told, err = await desk.bring()
        assert (code, "import the file again later" in told["detail"]) == (3, True)
        assert err.count("again in") == 3
        await desk.centre.journal.tick(T0_MS)  # after it the journal looks at its room again
        assert (await desk.bring())[1]["sent"] == 1


@pytest.mark.parametrize(
    ("more", "key"),
    [
        (("--zone", "Mars/Olympus"), "--zone"),
        (("--url", "ftp://x"), "--url"),
    ],
)
async def test_wrong_usage_is_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    more: tuple[str, str],
    key: str,
) -> None:
    async with desk_in(tmp_path, capsys, monkeypatch) as desk:
        desk.file.write_text(HEAD + line(0))
        code, told, _ = await desk.bring(*more)
        assert (code, told["key"]) == (2, key)


async def test_a_file_that_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk_in(tmp_path, capsys, monkeypatch) as desk:
        code, told, _ = await desk.bring()
        assert (code, told["remedy"]) == (1, "name a file that exists")
        desk.file.write_bytes(HEAD.encode() + b"\xff\xfe\n")
        code, told, _ = await desk.bring()
        assert (code, told["remedy"]) == (1, "write UTF-8")


async def test_what_was_exported_can_be_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old").mkdir()
    old = Rolling(tmp_path / "old")
    await old.open()
    sent = [
        Reading("st0007", "wl", T0_MS, 3.25, 3250.0),
        Reading("st0007", "wl", T0_MS + 1000, None, None, 9, 128),
        Reading("st0007", "wl", T0_MS + 2500, -1e-07, None, 3, 65536 | 2),
    ]
    await old.arrive(sent)
    await old.record()
    async with desk_in(tmp_path, capsys, monkeypatch) as desk:
        places = load(catalogue_folder(tmp_path / "catalogue"))
        work = Export(old.store, old.rollups, places, lambda _told: None)
        with desk.file.open("w", newline="") as file:
            await work.write(file, [("st0007", "wl")], Tier.RAW, 0, 2**45)
        assert (await desk.bring())[0] == 0
        assert await desk.taken() == sent
    await old.close()
