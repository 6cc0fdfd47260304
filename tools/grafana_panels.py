"""Panels of Grafana's dashboard JSON, as plain values: one cell, a table, a chart, a map."""

from __future__ import annotations

from typing import NamedTuple

from grafana_queries import API, MIXED, Column, Json, rows

# The words of levels and states that Egret's own packs and rows use; others stay uncoloured.
COLOURS = {
    "unknown": "#8e8e8e",
    "none": "green",
    "blue": "blue",
    "yellow": "#fade2a",
    "orange": "orange",
    "red": "red",
    "fault": "purple",
    "current": "green",
    "stale": "red",
    "never": "red",
    "online": "green",
    "offline": "orange",
    "never_heard": "#8e8e8e",
    "clone": "red",
    "true": "green",
    "false": "red",
}
# Ranks of a level: below 0 is unknown, and no rank is green by itself but 0.
RANKS = [(None, "#8e8e8e"), (0, "green"), (1, "blue"), (2, "#fade2a"), (3, "orange"), (4, "red")]


class Place(NamedTuple):
    """Where a panel stands: the board is 24 wide."""

    x: int
    y: int
    w: int
    h: int


def stat(title: str, place: Place, path: str, column: Column, **params: str) -> Json:
    """Return a panel that shows one cell."""
    words = column.type in ("string", "boolean")
    defaults: Json = {"unit": column.unit, "mappings": _mappings() if words else []}
    if column.selector == "rank":
        defaults["thresholds"] = _steps(RANKS)
    return _panel(
        "stat",
        title,
        place,
        API,
        [rows("A", path, [column], **params)],
        fieldConfig={"defaults": defaults, "overrides": []},
        options={
            "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": "/.*/"},
            "colorMode": "background" if words else "value",
            "graphMode": "none",
            "textMode": "value",
        },
    )


def table(title: str, place: Place, path: str, columns: list[Column], **params: str) -> Json:
    """Return a panel that lists rows; words that are levels or states are coloured."""
    units = [
        {
            "matcher": {"id": "byName", "options": column.text},
            "properties": [{"id": "unit", "value": column.unit}],
        }
        for column in columns
        if column.unit
    ]
    coloured = [
        {
            "matcher": {"id": "byName", "options": column.text},
            "properties": [
                {"id": "mappings", "value": _mappings()},
                {"id": "custom.cellOptions", "value": {"type": "color-background"}},
            ],
        }
        for column in columns
        if column.selector in ("level", "state")
    ]
    return _panel(
        "table",
        title,
        place,
        API,
        [rows("A", path, columns, **params)],
        fieldConfig={"defaults": {}, "overrides": [*units, *coloured]},
        options={"showHeader": True, "cellHeight": "sm"},
    )


def chart(
    title: str, place: Place, targets: list[Json], unit: str = "none", style: str = "line"
) -> Json:
    """Return a panel that draws series over time, beside them the lines of thresholds."""
    bars = style == "bars"
    custom = {
        "drawStyle": style,
        "lineWidth": 1,
        "fillOpacity": 80 if bars else 0,
        "showPoints": "never" if bars else "auto",
        "spanNulls": False,
        "stacking": {"mode": "normal" if bars else "none"},
    }
    mixed = len({target["datasource"]["uid"] for target in targets}) > 1
    return _panel(
        "timeseries",
        title,
        place,
        MIXED if mixed else targets[0]["datasource"],
        targets,
        fieldConfig={
            "defaults": {"unit": unit, "custom": custom},
            "overrides": [*_threshold_lines(targets), *_doubtful(targets)],
        },
        options={
            "legend": {
                "displayMode": "table",
                "placement": "bottom",
                "calcs": ["lastNotNull", "max"],
            },
            "tooltip": {"mode": "multi"},
        },
    )


def _threshold_lines(targets: list[Json]) -> list[Json]:
    """Return how lines from the API look: dashed, named and coloured by their level."""
    found = []
    for target in targets:
        if target["datasource"] is not API:
            continue
        look = [
            {"id": "displayName", "value": "${__field.labels.line}"},
            {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [10, 10]}},
            {"id": "custom.showPoints", "value": "never"},
        ]
        found.append(
            {"matcher": {"id": "byFrameRefID", "options": target["refId"]}, "properties": look}
        )
        found += [
            {
                "matcher": {"id": "byRegexp", "options": f"/ {level}$/"},
                "properties": [
                    {"id": "color", "value": {"mode": "fixed", "fixedColor": COLOURS[level]}}
                ],
            }
            for level in ("blue", "yellow", "orange", "red")
        ]
    return found


def _doubtful(targets: list[Json]) -> list[Json]:
    """Return how doubtful values look: points without a line."""
    return [
        {
            "matcher": {"id": "byFrameRefID", "options": target["refId"]},
            "properties": [
                {"id": "custom.drawStyle", "value": "points"},
                {"id": "custom.pointSize", "value": 7},
                {"id": "color", "value": {"mode": "fixed", "fixedColor": "purple"}},
            ],
        }
        for target in targets
        if "doubtful" in target.get("alias", "")
    ]


def chart_map(title: str, place: Place) -> Json:
    """Return a map of the stations, coloured by the rank of their level."""
    columns = [
        Column("name", "name"),
        Column("id", "station"),
        Column("level", "level"),
        Column("rank", "rank", "number"),
        Column("latitude", "latitude", "number"),
        Column("longitude", "longitude", "number"),
    ]
    layer = {
        "type": "markers",
        "name": "stations",
        "location": {"mode": "coords", "latitude": "latitude", "longitude": "longitude"},
        "config": {
            "showLegend": False,
            "style": {
                "color": {"field": "rank"},
                "size": {"fixed": 8},
                "text": {"field": "name", "mode": "field"},
            },
        },
        "tooltip": True,
    }
    return _panel(
        "geomap",
        title,
        place,
        API,
        [rows("A", "stations", columns)],
        fieldConfig={
            "defaults": {"thresholds": _steps(RANKS), "color": {"mode": "thresholds"}},
            "overrides": [],
        },
        options={"view": {"id": "fit"}, "layers": [layer], "basemap": {"type": "default"}},
    )


def _panel(
    kind: str, title: str, place: Place, source: Json, targets: list[Json], **more: Json
) -> Json:
    return {
        "type": kind,
        "title": title,
        "gridPos": place._asdict(),
        "datasource": source,
        "targets": targets,
        **more,
    }


def _mappings() -> list[Json]:
    options = {
        word: {"color": colour, "index": at} for at, (word, colour) in enumerate(COLOURS.items())
    }
    return [{"type": "value", "options": options}]


def _steps(ranks: list[tuple[int | None, str]]) -> Json:
    return {
        "mode": "absolute",
        "steps": [{"value": value, "color": colour} for value, colour in ranks],
    }
