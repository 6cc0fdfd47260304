"""Draws docs/operator/img/*.svg: `python tools/sketches.py [FOLDER]`.

Asks every query of the dashboards, over the make-believe city of the tests, of a real influxd
(Debian: influxdb) and a real API, and sketches what they answered.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

from grafana_boards import boards
from grafana_sketch import Answer, sketch

from egret_aggregator.api.times import parsed

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "operator" / "img"
INTERVAL = "30m"  # of a chart: 48 points a day are enough for a sketch

sys.path.insert(0, str(ROOT / "tests"))
from rig import grafana, grafana_ask, grafana_city  # noqa: E402  (the tests' own means)
from rig.api_centre import ApiCentre, api_centre  # noqa: E402  (same)
from rig.influxd import Influxd, running_influxd, why_no_influxd  # noqa: E402  (same)


async def draw(folder: Path) -> list[Path]:
    """Draw every board into a folder that is there; return the files."""
    drawn = []
    with tempfile.TemporaryDirectory() as scratch:
        own = Path(scratch)
        texts = {"stations": grafana_city.STATIONS, "rules": grafana_city.RULES}
        async with running_influxd(own / "influxd") as server, api_centre(own, **texts) as centre:
            grafana_ask.seed(server, "egret", grafana_city.line_protocol())
            await grafana_city.fill(centre)
            for board in boards():
                answers = await _answers(board, server, centre)
                drawn.append(folder / f"{board['uid']}.svg")
                drawn[-1].write_text(sketch(board, answers), encoding="utf-8")
    return drawn


async def _answers(
    board: dict[str, Any], server: Influxd, centre: ApiCentre
) -> dict[tuple[int, str], Answer]:
    found = {}
    for panel in board["panels"]:
        for query in panel["targets"]:
            target = grafana.Target(board["uid"], panel["title"], query)
            found[panel["id"], query["refId"]] = await _answer(target, server, centre)
    return found


async def _answer(target: grafana.Target, server: Influxd, centre: ApiCentre) -> Answer:
    query = target.query
    if query["datasource"]["uid"] == "egret-influx":
        shown = grafana_ask.SHOWN._replace(interval=INTERVAL)
        return Answer([], _named(await asyncio.to_thread(_series, server, target, shown), query))
    rows = await grafana_ask.api(centre, target)
    cells = grafana.cells_of(rows, target)
    lines: dict[str, list[tuple[float, float]]] = {}
    for cell in cells if query["format"] == "timeseries" else []:
        lines.setdefault(cell["line"], []).append((float(parsed(cell["time"])), cell["value"]))
    return Answer(cells, lines)


def _series(server: Influxd, target: grafana.Target, shown: grafana.Shown) -> list[dict[str, Any]]:
    return grafana_ask.influx(server, target, shown=shown)


def _named(
    series: list[dict[str, Any]], query: dict[str, Any]
) -> dict[str, list[tuple[float, float]]]:
    """Return series under the names that Grafana would make of the alias."""
    lines = {}
    for one in series:
        for at, column in enumerate(one["columns"][1:], 1):
            name = query["alias"].replace("$col", column)
            for tag, text in one.get("tags", {}).items():
                name = name.replace(f"$tag_{tag}", text)
            points = [(row[0], row[at]) for row in one["values"] if row[at] is not None]
            lines[name or column] = points
    return lines


def main(argv: list[str]) -> int:
    """Draw; 3 where there is no influxd."""
    if len(argv) > 1:
        print(__doc__, file=sys.stderr)
        return 2
    if why_no_influxd():
        print(why_no_influxd(), file=sys.stderr)
        return 3
    folder = Path(argv[0]) if argv else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for path in asyncio.run(draw(folder)):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
