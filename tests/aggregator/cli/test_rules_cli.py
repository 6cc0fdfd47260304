"""`egret-aggregator rules test`, `rules diff` and `backtest`, as a user types them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from rig.catalogues import RIVER, STATIONS
from rig.history import Past, folder_of, lived
from rig.rulebook import START_MS

from egret_aggregator.api.times import rfc3339
from egret_aggregator.cli import main
from egret_core.rules.event import Phase

if TYPE_CHECKING:
    from pathlib import Path

HOUR_MS = 3_600_000
SPAN = ("--from", rfc3339(START_MS + HOUR_MS), "--to", rfc3339(START_MS + 6 * HOUR_MS))
TIMELINE = f"""start 2026-07-12T08:00:00+08:00
stations:
{STATIONS}
end
rules:
{RIVER}
end
st1/wl from 0 every 1m: 2.0x5 3.2x5 2.0x5
expect blue of river at 5m because at_or_above
expect returned at 10m because below_clear
"""
OBSERVED = f"time,station\n{rfc3339(START_MS + 3 * HOUR_MS)},st1\n"
CSV = "station,channel,time,value,unit,datum\n" + "".join(
    f"st1,wl,2026-07-12T00:{minute:02}:00Z,{2 + (minute > 20) * 2},m,Local\n"
    for minute in range(40)
)
DAY = ("--from", "2026-07-12T08:00:00+08:00", "--to", "2026-07-12T10:00:00+08:00")


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    return asyncio.run(lived(tmp_path_factory.mktemp("lived")))


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(word) for word in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any]:
    code, out, _ = said(capsys, *arguments, "--json")
    assert out.count("\n") == 1
    return code, json.loads(out)


def written(folder: Path, text: str, name: str = "a.timeline") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_timeline_that_holds_is_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, TIMELINE)
    assert said(capsys, "rules", "test", path)[:2] == (0, f"{path}: ok, 2 expectations\n")
    code, body = told(capsys, "rules", "test", path)
    (file,) = body["files"]
    assert (code, body["ok"], file["ok"], file["findings"]) == (0, True, True, [])
    assert file["events"][0]["sentence"]["en"].startswith("st1/wl at 2026-07-12T08:05:00+08:00")
    assert file["events"][0]["time"] == "2026-07-12T08:05:00.000+08:00"


def test_a_timeline_that_does_not_is_1_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, TIMELINE.replace("blue of river at 5m", "blue of river at 6m"))
    code, out, _ = said(capsys, "rules", "test", path)
    line = path.read_text().splitlines().index("expect blue of river at 6m because at_or_above")
    assert code == 1
    assert f"{path}:{line + 1}: expected: expect blue of river at 6m" in out
    assert "3.2 m ≥ 3 m" in out
    code, body = told(capsys, "rules", "test", path)
    assert (code, body["ok"], len(body["files"][0]["findings"])) == (1, False, 2)


def test_a_mistake_in_a_timeline_is_1_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, TIMELINE.replace("every 1m", "evry 1m"))
    code, body = told(capsys, "rules", "test", path)
    assert (code, body["error"], body["file"]) == (1, "config", str(path))
    assert body["key"].startswith("line ")
    assert "write: STATION/CHANNEL" in body["remedy"]


def test_a_mistake_in_the_rules_of_a_timeline_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, TIMELINE.replace('unit = "m"', 'unit = "kPa"'))
    code, body = told(capsys, "rules", "test", path)
    assert (code, body["file"], body["key"]) == (1, str(path), "rule[0].parameters.unit")


@pytest.mark.parametrize("name", ["no.timeline", "folder"])
def test_no_timeline_of_that_name_is_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "folder").mkdir()
    code, _, err = said(capsys, "rules", "test", tmp_path / name)
    assert (code, name in err) == (2, True)


def test_a_timeline_that_is_no_text_or_too_long_is_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b.timeline").write_bytes(b"\xff\xfe\x00")
    assert said(capsys, "rules", "test", tmp_path / "b.timeline")[0] == 1
    monkeypatch.setattr("egret_aggregator.cli.rules.FILE_MAX_B", 10)
    code, _, err = said(capsys, "rules", "test", written(tmp_path, TIMELINE))
    assert (code, "at most 10 bytes" in err) == (1, True)


def test_a_catalogue_beside_the_file_and_rules_in_its_stead(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder_of(tmp_path, RIVER.replace("3.0", "9.0").replace("5.0", "9.5"))
    start, rest = "start 2026-07-12T08:00:00+08:00\n", TIMELINE.partition("\nend\nst1")[2]
    plain = f"{start}catalogue catalogue\nst1{rest}"
    assert said(capsys, "rules", "test", written(tmp_path, plain))[0] == 1
    replaced = f"{start}catalogue catalogue\nrules:\n{RIVER}\nend\nst1{rest}"
    assert said(capsys, "rules", "test", written(tmp_path, replaced))[0] == 0


def test_every_event_is_told_where_asked_in_either_language(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, TIMELINE)
    _, out, _ = said(capsys, "rules", "test", "-v", path, "--language", "zh")
    assert "触发蓝色" in out
    assert "建议解除" in out


def test_a_backtest_tells_what_was_lived(past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    code, body = told(capsys, "backtest", past.config, *SPAN)
    settled = [
        one
        for one in past.live.values()
        if one.phase is Phase.SETTLED and START_MS + HOUR_MS <= one.time_ms < START_MS + 6 * HOUR_MS
    ]
    assert code == 0
    assert {event["id"] for event in body["events"]} == {one.id for one in settled}
    assert (body["settled"], body["truncated"]) == (len(settled), False)
    code, out, err = said(capsys, "backtest", past.config, *SPAN)
    assert code == 0
    lines = [line for line in out.splitlines() if "; rule river@" in line]
    assert len([line for line in lines if not line.startswith("standing: ")]) == sum(
        one.hazard == "level" for one in settled
    )
    assert "100% " in err


def test_a_backtest_scores_what_was_observed(
    past: Past, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, OBSERVED, "observed.csv")
    code, body = told(capsys, "backtest", past.config, *SPAN, "--observed", path, "--before", "2h")
    assert code == 0
    rows = {(row["rule"].partition("@")[0], row["level"]): row for row in body["scores"]}
    assert ("river", "blue") in rows
    assert all(row["events"] == 1 for row in rows.values())
    _, out, _ = said(capsys, "backtest", past.config, *SPAN, "--observed", path)
    assert "of 1 events hit" in out
    assert "POD " in out


def test_other_rules_may_be_tried(
    past: Past, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, RIVER, "rules.toml")
    _, body = told(capsys, "backtest", past.config, *SPAN, "--rules", path)
    assert {event["hazard"] for event in body["events"]} == {"level"}
    path = written(tmp_path, RIVER.replace("st1/wl", "st1/wx"), "bad.toml")
    code, body = told(capsys, "backtest", past.config, *SPAN, "--rules", path)
    assert (code, body["file"]) == (1, str(path))


def test_a_csv_in_place_of_the_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = folder_of(tmp_path, RIVER)
    path = written(tmp_path, CSV, "past.csv")
    code, body = told(capsys, "backtest", config, *DAY, "--csv", path)
    assert (code, body["bad_lines"], body["readings"]) == (0, 0, 40)
    assert [event["level"] for event in body["events"]] == ["blue"]
    assert body["events"][0]["time"] == "2026-07-12T08:21:00.000+08:00"
    path = written(tmp_path, CSV + "st1,wl,noon,2,m,Local\n", "bad.csv")
    code, out, _ = said(capsys, "backtest", config, *DAY, "--csv", path)
    assert (code, "line 42: bad_time" in out) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("--from", "noon", "--to", "2026-07-12T10:00:00Z"), "--from"),
        (("--from", "2026-07-12T10:00:00Z", "--to", "2026-07-12T10:00:00Z"), "--to"),
        (("--from", "1926-07-12T10:00:00Z", "--to", "2026-07-12T10:00:00Z"), "--to"),
        ((*DAY, "--before", "long"), "--before"),
        ((*DAY, "--csv", "x.csv", "--zone", "Mars/Olympus"), "--zone"),
    ],
)
def test_wrong_usage_is_2_with_its_argument(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], key: str
) -> None:
    code, body = told(capsys, "backtest", folder_of(tmp_path), *arguments)
    assert (code, body["key"]) == (2, key)


def test_no_series_yet_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = said(capsys, "backtest", folder_of(tmp_path), *DAY)
    assert (code, "let the centre run first" in err) == (1, True)


def test_a_file_of_observed_events_that_cannot_be_read_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = folder_of(tmp_path)
    (tmp_path / "b.csv").write_bytes(b"\xff")
    for name, word in (("no.csv", "readable file"), ("b.csv", "UTF-8")):
        code, _, err = said(capsys, "backtest", config, *DAY, "--observed", tmp_path / name)
        assert (code, word in err) == (1, True)


def test_a_change_shows_its_effect_on_history(
    past: Past, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = written(tmp_path, RIVER, "old.toml")
    new = written(tmp_path, RIVER.replace("raise = 5.0", "raise = 5.4"), "new.toml")
    same = said(capsys, "rules", "diff", old, old, "--config", past.config, *SPAN)
    assert same[0] == 0
    assert "rises are the same\n" in same[1]
    code, body = told(capsys, "rules", "diff", old, new, "--config", past.config, *SPAN)
    assert (code, body["complete"]) == (1, True)
    counts = body["by_rule"]["river"]
    assert counts == {name: len(body[name]) for name in ("appears", "vanishes", "moves")}
    assert counts["vanishes"] + counts["moves"] > 0
    rises = {name: sum(body[name]["rules"].popitem()[1].values()) for name in ("old", "new")}
    assert rises["old"] == body["same"] + counts["vanishes"] + counts["moves"]
    assert rises["new"] == body["same"] + counts["appears"] + counts["moves"]
    code, out, _ = said(capsys, "rules", "diff", old, new, "--config", past.config, *SPAN)
    assert code == 1
    signs = [line[0] for line in out.splitlines() if line[:2] in ("+ ", "- ", "~ ")]
    assert len(signs) == sum(counts.values())


def test_a_new_rule_appears_and_an_old_one_vanishes(
    past: Past, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = written(tmp_path, RIVER, "old.toml")
    new = written(tmp_path, RIVER.replace('"river"', '"brook"'), "new.toml")
    _, body = told(capsys, "rules", "diff", old, new, "--config", past.config, *SPAN)
    assert body["same"] == 0
    assert body["by_rule"]["brook"]["appears"] == body["by_rule"]["river"]["vanishes"] > 0
