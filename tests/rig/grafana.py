"""What Grafana would do with a dashboard: fill in its variables, ask, and take rows apart.

A query that names a wrong field is answered by InfluxDB with nothing, not with an error: so an
empty answer, and a column without a value, is a failure here.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = ROOT / "docker/grafana/dashboards"
PROVISIONING = ROOT / "docker/grafana/provisioning"


class Target(NamedTuple):
    """One query of a dashboard, and where it stands."""

    board: str
    panel: str
    query: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.board}/{self.panel}/{self.query['refId']}"


class Shown(NamedTuple):
    """What is chosen on a dashboard."""

    from_ms: int
    to_ms: int
    station: str
    channels: tuple[str, ...]
    interval: str = "10m"

    def influxql(self, text: str) -> str:
        """Fill in as the InfluxDB data source does."""
        span = f"time >= {self.from_ms}ms and time <= {self.to_ms}ms"
        text = text.replace("$timeFilter", span).replace("$__interval", self.interval)
        text = text.replace("$station", self.station)
        return self._done(text.replace("$channel", f"({'|'.join(self.channels)})"))

    def url(self, text: str) -> str:
        """Fill in as Infinity does."""
        text = text.replace("${__from}", str(self.from_ms)).replace("${__to}", str(self.to_ms))
        text = text.replace("${channel:csv}", ",".join(self.channels))
        return self._done(text.replace("$station", self.station))

    @staticmethod
    def _done(text: str) -> str:
        left = re.findall(r"\$\{?\w+", re.sub(r"\$/", "", text))
        assert not left, f"unknown variables {left} in {text}"
        return text


def boards() -> dict[str, dict[str, Any]]:
    """Return the committed dashboards by uid."""
    found = [json.loads(path.read_text("utf-8")) for path in sorted(DASHBOARDS.glob("*.json"))]
    return {board["uid"]: board for board in found}


def targets() -> Iterator[Target]:
    """Yield every query: of panels, of annotations, of variables."""
    for uid, board in boards().items():
        for panel in board["panels"]:
            for target in panel["targets"]:
                yield Target(uid, panel["title"], target)
        for note in board["annotations"]["list"]:
            if not note.get("builtIn"):
                yield Target(uid, f"annotation {note['name']}", note["target"])
        for variable in board["templating"]["list"]:
            query = variable["query"]
            if isinstance(query, dict):
                yield Target(uid, f"variable {variable['name']}", query["infinityQuery"])
            else:
                asked = {"refId": "variable", "datasource": variable["datasource"], "query": query}
                yield Target(uid, f"variable {variable['name']}", asked)


def series_of(answer: dict[str, Any], query: str, alias: str = "") -> list[dict[str, Any]]:
    """Return the series of an InfluxQL answer; what Grafana would show as nothing fails."""
    assert "error" not in answer, answer
    (result,) = answer["results"]
    assert "error" not in result, f"{result['error']}: {query}"
    found: list[dict[str, Any]] = result.get("series", [])
    assert found, f"no series: {query}"
    if query.startswith("SELECT"):
        for at, column in enumerate(found[0]["columns"]):
            cells = [row[at] for one in found for row in one["values"]]
            assert any(cell is not None for cell in cells), f"nothing in {column}: {query}"
    for tag in re.findall(r"\$tag_(\w+)", alias):
        assert all(one["tags"][tag] for one in found), f"no tag {tag} for {alias}: {query}"
    return found


def cells_of(answer: list[dict[str, Any]], target: Target) -> list[dict[str, Any]]:
    """Return an Infinity answer's rows under their headings; a column nobody fills fails."""
    columns = target.query["columns"]
    assert answer, f"no rows: {target.name}"
    for column in columns:
        selector, kind = column["selector"], column["type"]
        assert all(selector in row for row in answer), f"no {selector}: {target.name}"
        cells = [row[selector] for row in answer if row[selector] is not None]
        assert cells, f"nothing in {selector}: {target.name}"
        assert all(_is(cell, kind) for cell in cells), f"{selector} is no {kind}: {target.name}"
    return [{column["text"]: row[column["selector"]] for column in columns} for row in answer]


def _is(cell: Any, kind: str) -> bool:
    if kind == "number":
        return isinstance(cell, int | float) and not isinstance(cell, bool)
    if kind == "boolean":
        return isinstance(cell, bool)
    if kind == "timestamp":
        return re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", cell) is not None
    return isinstance(cell, str)
