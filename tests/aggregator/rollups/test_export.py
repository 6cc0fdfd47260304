"""What is exported is what the store and its rollups hold, row by row."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest
from rig.api_centre import catalogue_folder
from rig.rolling import Rolling

from egret_aggregator.api.times import parsed, rfc3339
from egret_aggregator.catalogue import load
from egret_aggregator.charts import Tier
from egret_aggregator.cli.main import main
from egret_aggregator.export import RAW_COLUMNS, Export, Told
from egret_core.buckets import HOUR_MS, TEN_MIN_MS
from egret_core.quality import Reason
from egret_core.reading import Reading

if TYPE_CHECKING:
    from pathlib import Path

T0 = 1_789_948_800_000
DAY_MS = 86_400_000
KEY = ("st0007", "wl")


async def filled(tmp_path: Path) -> Rolling:
    rolling = Rolling(tmp_path)
    await rolling.open()
    rows = [Reading(*KEY, T0 + n * 60_000, n / 8) for n in range(90)]
    rows[5] = Reading(*KEY, T0 + 300_000, None, 32767.0, 9, int(Reason.TIMEOUT | Reason.CRC))
    await rolling.arrive(rows)
    await rolling.arrive([Reading("st0099", "x", T0 + 7, 1.0)])
    await rolling.record()
    await rolling.settle()
    return rolling


async def exported(
    rolling: Rolling, tmp_path: Path, tier: Tier, to_ms: int = T0 + DAY_MS
) -> tuple[list[dict[str, str]], list[Told]]:
    told: list[Told] = []
    file = io.StringIO()
    places = load(catalogue_folder(tmp_path / "catalogue"))
    work = Export(rolling.store, rolling.rollups, places, told.append)
    keys = await work.channels([])
    rows, pending = await work.write(file, keys, tier, T0, to_ms)
    found = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert (rows, pending) == (len(found), 0)
    return found, told


async def test_raw_rows_carry_unit_and_doubt(tmp_path: Path) -> None:
    rolling = await filled(tmp_path)
    rows, told = await exported(rolling, tmp_path, Tier.RAW)
    assert tuple(rows[0]) == RAW_COLUMNS
    known = [row for row in rows if row["station"] == "st0007"]
    stored = (await rolling.store.range(*KEY, 0, 2**52, 999)).rows
    assert [(parsed(r["time"]), r["value"]) for r in known] == [
        (s.time_ms, "" if s.value is None else repr(s.value)) for s in stored
    ]
    assert {row["unit"] for row in known} == {"m"}
    doubtful = known[5]
    assert (doubtful["flag"], doubtful["reasons"], doubtful["raw"]) == (
        "9",
        "TIMEOUT CRC",
        "32767.0",
    )
    stranger = next(row for row in rows if row["station"] == "st0099")
    assert (stranger["unit"], stranger["notes"]) == ("", "UNKNOWN_CHANNEL")
    assert told[-1] == Told(2, 2, 91)
    await rolling.close()


@pytest.mark.parametrize(("tier", "width_ms"), [(Tier.TEN_MIN, TEN_MIN_MS), (Tier.HOUR, HOUR_MS)])
async def test_a_tier_is_its_rollups_with_what_is_not_rolled_yet(
    tmp_path: Path, tier: Tier, width_ms: int
) -> None:
    rolling = await filled(tmp_path)
    await rolling.arrive([Reading(*KEY, T0 + 31_000, 99.0)])
    await rolling.record()
    await rolling.roller.step()
    rows, _ = await exported(rolling, tmp_path, tier)
    known = [row for row in rows if row["station"] == "st0007"]
    assert [row["time"] for row in known] == [
        rfc3339(T0 + n) for n in range(0, 90 * 60_000, width_ms)
    ]
    assert (known[0]["max"], known[0]["max_time"]) == ("99.0", rfc3339(T0 + 31_000))
    assert sum(int(row["count"]) for row in known) == 91
    await rolling.close()


async def test_the_last_hour_is_whole_though_the_span_ends_within_it(tmp_path: Path) -> None:
    """Something came to the end of the hour and is not rolled: the span ends before it."""
    rolling = await filled(tmp_path)
    await rolling.arrive([Reading(*KEY, T0 + 50 * 60_000 + 7, 99.0)])
    await rolling.record()
    await rolling.roller.step()
    rows, _ = await exported(rolling, tmp_path, Tier.HOUR, T0 + 1)
    assert [(row["max"], row["count"]) for row in rows if row["station"] == "st0007"] == [
        ("99.0", "61")
    ]
    await rolling.close()


def said(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, str, str]:
    code = main([str(item) for item in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def centre(tmp_path: Path) -> Path:
    catalogue_folder(tmp_path / "catalogue")
    path = tmp_path / "centre.toml"
    path.write_text('[centre]\ndata = "."\ncatalogue = "catalogue"\n')
    return path


SPAN = ("--from", rfc3339(T0), "--to", rfc3339(T0 + DAY_MS))


def test_the_command_writes_a_whole_file_or_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import asyncio  # noqa: PLC0415  (the command has a loop of its own)

    path, out_file = centre(tmp_path), tmp_path / "out.csv"
    code, _, err = said(capsys, "export", path, *SPAN, "--out", out_file)
    assert (code, "let the centre run first" in err) == (1, True)

    async def fill() -> None:
        await (await filled(tmp_path)).close()

    asyncio.run(fill())
    code, out, err = said(capsys, "export", path, *SPAN, "--out", out_file, "--station", "st0007")
    assert (code, "90 rows of 1 channels" in out, "channel 1 of 1" in err) == (0, True, True)
    assert len(out_file.read_text().splitlines()) == 91
    assert not (tmp_path / "out.csv.part").exists()
    for wrong, remedy in (
        ((*SPAN, "--out", out_file), "not there"),
        ((*SPAN, "--out", tmp_path / "b.csv", "--station", "nowhere"), "has readings"),
        (("--from", "yesterday", "--to", "x", "--out", tmp_path / "b.csv"), "RFC 3339"),
        ((*SPAN[2:], "--from", rfc3339(T0 + 2 * DAY_MS), "--out", tmp_path / "b.csv"), "after"),
    ):
        code, _, err = said(capsys, "export", path, *wrong)
        assert (code, remedy in err) == (2, True), err
    code, out, _ = said(
        capsys, "export", path, *SPAN, "--tier", "1h", "--out", tmp_path / "h.csv", "--json"
    )
    assert (code, '"rows": 3' in out) == (0, True)


def test_a_tier_that_has_not_heard_of_the_newest_readings_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio  # noqa: PLC0415  (the command has a loop of its own)

    monkeypatch.setattr("egret_aggregator.export.LOOK_S", 0.01)
    monkeypatch.setattr(Export.marked, "__defaults__", (0.05,))
    path = centre(tmp_path)

    async def fill() -> None:
        rolling = await filled(tmp_path)
        await rolling.arrive([Reading(*KEY, T0 + 7, 99.0)])
        await rolling.record()  # and the centre is stopped before the rollups look
        await rolling.close()

    asyncio.run(fill())
    code, out, _ = said(capsys, "export", path, *SPAN, "--tier", "1h", "--out", tmp_path / "h.csv")
    assert (code, "what was recorded last may be missing" in out) == (1, True)
    code, out, _ = said(capsys, "export", path, *SPAN, "--tier", "raw", "--out", tmp_path / "r.csv")
    assert (code, "missing" in out) == (0, False)
