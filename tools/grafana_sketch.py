"""A sketch of a dashboard as SVG, from the answers that its queries got. Pure.

It shows where what stands and how the answers look, not Grafana's own drawing.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from grafana_panels import COLOURS, RANKS

Json = dict[str, Any]

COLUMN, ROW, GAP = 40, 13, 6  # pixels of a grid step: the board is 24 wide
HEIGHT_MAX = 28  # grid rows shown: the top of a board says enough
ROWS_MAX, CELLS_MAX, CELL_LETTERS = 7, 7, 20  # of a table
SERIES_MAX = 8  # of a chart
INK, PAPER, FRAME, FAINT = "#1f2430", "#ffffff", "#c8ccd4", "#7a8190"
LINES = ("#3274d9", "#e0752d", "#299c46", "#8f3bb8", "#c4162a", "#37872d", "#fa6400", "#1f60c4")
# Grafana's words for colours that SVG knows under the same name or another.
NAMED = {"green": "#73bf69", "blue": "#5794f2", "orange": "#ff9830", "red": "#f2495c"}


class Answer(NamedTuple):
    """What one query got: rows of a table, or series by name as (ms, value)."""

    rows: list[Json]
    series: dict[str, list[tuple[float, float]]]


class Box(NamedTuple):
    """A panel's place in pixels."""

    x: float
    y: float
    w: float
    h: float


def sketch(board: Json, answers: dict[tuple[int, str], Answer]) -> str:
    """Return the SVG of a board; `answers` by panel number and refId."""
    panels = [p for p in board["panels"] if p["gridPos"]["y"] < HEIGHT_MAX]
    height = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in panels) * ROW
    body = "".join(_panel(panel, answers) for panel in panels)
    width = 24 * COLUMN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="11" role="img">'
        f"<title>{escape(board['title'])}</title>"
        f'<rect width="{width}" height="{height}" fill="#f2f3f6"/>{body}</svg>\n'
    )


def _panel(panel: Json, answers: dict[tuple[int, str], Answer]) -> str:
    at = panel["gridPos"]
    box = Box(at["x"] * COLUMN + 2, at["y"] * ROW + 2, at["w"] * COLUMN - 4, at["h"] * ROW - 4)
    got = [answers[panel["id"], target["refId"]] for target in panel["targets"]]
    draw = {"stat": _stat, "table": _table, "geomap": _map, "timeseries": _chart}[panel["type"]]
    frame = (
        f'<rect x="{box.x}" y="{box.y}" width="{box.w}" height="{box.h}" rx="3" '
        f'fill="{PAPER}" stroke="{FRAME}"/>'
    )
    title = _text(box.x + GAP, box.y + 14, panel["title"], weight="bold")
    inner = Box(box.x + GAP, box.y + 20, box.w - 2 * GAP, box.h - 20 - GAP)
    return frame + title + draw(inner, got, panel)


def _stat(box: Box, got: list[Answer], panel: Json) -> str:
    (cell,) = got[0].rows[0].values()
    unit = panel["fieldConfig"]["defaults"]["unit"]
    word = _shown(cell, unit)
    fill = _colour(cell)
    return _text(box.x, box.y + box.h / 2 + 4, word or "none", size=17, fill=fill, weight="bold")


def _table(box: Box, got: list[Answer], panel: Json) -> str:
    rows = got[0].rows
    columns = list(rows[0])[:CELLS_MAX]
    units = {
        rule["matcher"]["options"]: rule["properties"][0]["value"]
        for rule in panel["fieldConfig"]["overrides"]
        if rule["properties"][0]["id"] == "unit"
    }
    step = box.w / len(columns)
    letters = min(CELL_LETTERS, int(step / 7))
    out = [
        _text(box.x + at * step, box.y + 12, name[:letters], fill=FAINT)
        for at, name in enumerate(columns)
    ]
    fitting = min(ROWS_MAX, int((box.h - 16) // 15))
    for line, row in enumerate(rows[:fitting]):
        y = box.y + 28 + line * 15
        for at, name in enumerate(columns):
            word = _shown(row[name], units.get(name, ""))[:letters]
            out.append(_text(box.x + at * step, y, word, fill=_colour(row[name])))
    return "".join(out)


def _map(box: Box, got: list[Answer], _panel: Json) -> str:
    rows = got[0].rows
    x = _scale([row["longitude"] for row in rows], box.x + 60, box.x + box.w - 120)
    y = _scale([-row["latitude"] for row in rows], box.y + 40, box.y + box.h - 40)
    ranks = {rank: colour for rank, colour in RANKS if rank is not None}
    out = []
    for row in rows:
        at = x(row["longitude"]), y(-row["latitude"])
        fill = ranks.get(row["rank"], COLOURS["unknown"])
        fill = NAMED.get(fill, fill)
        out.append(f'<circle cx="{at[0]:.0f}" cy="{at[1]:.0f}" r="8" fill="{fill}"/>')
        out.append(_text(at[0] + 12, at[1] + 4, f"{row['name']}: {row['level']}"))
    return "".join(out)


def _chart(box: Box, got: list[Answer], panel: Json) -> str:
    named = [item for answer in got for item in answer.series.items()]
    points = [point for _, line in named for point in line]
    bars = panel["fieldConfig"]["defaults"]["custom"]["drawStyle"] == "bars"
    values = [value for _, value in points] + ([0.0] if bars else [])
    plot = Box(box.x + 34, box.y, box.w - 40, box.h - 18)
    x = _scale([ms for ms, _ in points], plot.x, plot.x + plot.w)
    y = _scale([-value for value in values], plot.y + 4, plot.y + plot.h)
    out = [
        _text(box.x, plot.y + 10, f"{max(values):.4g}", fill=FAINT, size=9),
        _text(box.x, plot.y + plot.h, f"{min(values):.4g}", fill=FAINT, size=9),
    ]
    for at, (name, line) in enumerate(named[:SERIES_MAX]):
        level = name.rpartition(" ")[2]
        fill = _colour(level) if level in COLOURS else LINES[at % len(LINES)]
        if bars:
            out += [_bar(x(ms), y(-value), y(0.0), fill) for ms, value in line if value]
        elif name.endswith("doubtful"):
            out += [_dot(x(ms), y(-value)) for ms, value in line]
        else:
            dash = ' stroke-dasharray="6 5"' if level in COLOURS else ""
            path = " ".join(f"{x(ms):.0f},{y(-value):.0f}" for ms, value in line)
            out.append(f'<polyline points="{path}" fill="none" stroke="{fill}"{dash}/>')
        if at * 110 + 100 < box.w:
            out.append(_text(box.x + at * 110, box.y + box.h, name[:18], fill=fill, size=9))
    return "".join(out)


def _bar(x: float, top: float, bottom: float, fill: str) -> str:
    height = max(0.5, bottom - top)
    return f'<rect x="{x - 1.5:.0f}" y="{top:.0f}" width="3" height="{height:.0f}" fill="{fill}"/>'


def _dot(x: float, y: float) -> str:
    return f'<circle cx="{x:.0f}" cy="{y:.0f}" r="2.5" fill="{COLOURS["fault"]}"/>'


def _scale(values: list[float], low: float, high: float) -> Any:  # noqa: ANN401  (a function)
    least, most = min(values), max(values)
    width = (most - least) or 1.0
    return lambda value: low + (value - least) / width * (high - low)


def _text(
    x: float, y: float, word: str, *, fill: str = INK, size: int = 11, weight: str = "normal"
) -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" fill="{fill}" font-size="{size}" '
        f'font-weight="{weight}">{escape(word)}</text>'
    )


def _colour(cell: object) -> str:
    colour = COLOURS.get(str(cell).lower() if isinstance(cell, bool) else str(cell), INK)
    return NAMED.get(colour, "#c9a400" if colour == COLOURS["yellow"] else colour)


def _shown(cell: object, unit: str) -> str:
    """Return a cell as a person reads it; seconds as the greatest fitting unit."""
    if cell is None:
        return "-"
    if unit == "s" and isinstance(cell, int | float):
        for name, size in (("d", 86_400), ("h", 3600), ("min", 60)):
            if cell >= size:
                return f"{cell / size:.1f} {name}"
        return f"{cell:.0f} s"
    if unit == "bytes" and isinstance(cell, int | float):
        return f"{cell / 1024:.0f} KiB"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)
