"""The sketches in the docs are drawn from real answers, and are what they say."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from rig import grafana
from rig.influxd import why_no_influxd

if TYPE_CHECKING:
    from pathlib import Path

IMAGES = grafana.ROOT / "docs/operator/img"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(grafana.ROOT / "tools"))
    return importlib.import_module


def words(picture: ET.Element) -> set[str]:
    return {text.text or "" for text in picture.iter(f"{SVG}text")}


def read(path: Path) -> ET.Element:
    return ET.fromstring(path.read_text("utf-8"))  # noqa: S314  (drawn by ourselves)


@pytest.mark.system
@pytest.mark.skipif(bool(why_no_influxd()), reason=why_no_influxd())
def test_they_are_drawn_from_what_the_queries_answer(tool: Any, tmp_path: Path) -> None:
    sketches = tool("sketches")
    assert sketches.main([str(tmp_path)]) == 0
    assert sketches.main(["a", "b"]) == 2
    drawn = {path.stem: read(path) for path in tmp_path.glob("*.svg")}
    assert drawn.keys() == grafana.boards().keys()
    station = drawn["egret-station"]
    assert {"Water", "wl max", "wl doubtful", "wl red"} <= words(station)
    dashed = [line for line in station.iter(f"{SVG}polyline") if "stroke-dasharray" in line.attrib]
    assert len(dashed) == 5, "three levels of water, one of the slope, one of the wall"
    assert {"Luoling bridge: red", "Dam: yellow", "current"} <= words(drawn["egret-overview"])
    # What is committed has the same panels; ages differ from run to run.
    for uid, picture in drawn.items():
        titles = {panel["title"] for panel in grafana.boards()[uid]["panels"]}
        assert words(read(IMAGES / f"{uid}.svg")) & titles == words(picture) & titles


@pytest.mark.parametrize("uid", grafana.boards())
def test_a_sketch_is_small_and_safe(uid: str) -> None:
    path = IMAGES / f"{uid}.svg"
    assert path.stat().st_size < 40_000
    kinds = {node.tag.removeprefix(SVG) for node in read(path).iter()}
    assert kinds <= {"svg", "title", "rect", "text", "circle", "polyline"}


def test_a_word_from_outside_stays_a_word(tool: Any) -> None:
    module = tool("grafana_sketch")
    queries, panels = tool("grafana_queries"), tool("grafana_panels")
    column = queries.Column("level", "level")
    stat = panels.stat("<b>&", panels.Place(0, 0, 4, 4), "service", column)
    board = {"title": "<script>", "panels": [{"id": 1, **stat}]}
    answer = module.Answer([{"level": "<i>red"}], {})
    picture = ET.fromstring(module.sketch(board, {(1, "A"): answer}))  # noqa: S314  (ours)
    assert {"<b>&", "<i>red"} <= words(picture)


def test_cells_are_said_as_people_say_them(tool: Any) -> None:
    shown = tool("grafana_sketch")._shown
    spans = [shown(value, "s") for value in (3, 90, 7200, 200_000)]
    assert spans == ["3 s", "1.5 min", "2.0 h", "2.3 d"]
    assert shown(81_920, "bytes") == "80 KiB"
    words_ = [shown(value, "") for value in (None, True, 3.14159265, "x")]
    assert words_ == ["-", "yes", "3.14159", "x"]
