"""What stands around the panels of a dashboard: variables, annotations, the board itself."""

from __future__ import annotations

from grafana_queries import API, BUILT_IN, INFLUX, Column, Json, rows


def influx_variable(name: str, label: str, query: str) -> Json:
    """Return a variable whose choices are tag values; several at once, all by default."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": INFLUX,
        "query": query,
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def station_variable() -> Json:
    """Return a variable that offers the stations by name."""
    columns = [Column("name", "__text"), Column("id", "__value")]
    return {
        "name": "station",
        "label": "Station",
        "type": "query",
        "datasource": API,
        "query": {
            "queryType": "infinity",
            "query": "",
            "infinityQuery": rows("variable", "stations", columns),
        },
        "definition": "stations of the catalogue",
        "refresh": 1,
        "sort": 1,
        "multi": False,
        "includeAll": False,
    }


def annotations(**params: str) -> Json:
    """Return the dashboards' annotations: warnings, from their onset until they are closed."""
    columns = [
        Column("time", "time", "timestamp"),
        Column("timeEnd", "timeEnd", "timestamp"),
        Column("text", "text"),
        Column("title", "title"),
        Column("tags", "tags"),
    ]
    target = rows("Warnings", "annotations", columns, from_="${__from}", to="${__to}", **params)
    return {
        "list": [
            {
                "builtIn": 1,
                "datasource": BUILT_IN,
                "enable": True,
                "hide": True,
                "iconColor": "rgba(0, 211, 255, 1)",
                "name": "Annotations & Alerts",
                "type": "dashboard",
            },
            {
                "name": "Warnings",
                "datasource": API,
                "enable": True,
                "iconColor": "red",
                # Tables of warnings would be a second answer to the same question.
                "target": {**target, "format": "dataframe"},
            },
        ]
    }


def board(
    uid: str, title: str, panels: list[Json], *, notes: Json, variables: list[Json] | None = None
) -> Json:
    """Return a whole dashboard; panels are numbered in their order."""
    return {
        "uid": uid,
        "title": title,
        "tags": ["egret"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "timezone": "browser",
        "time": {"from": "now-24h", "to": "now"},
        "refresh": "30s",
        "annotations": notes,
        "templating": {"list": variables or []},
        "links": [
            {
                "type": "dashboards",
                "title": "Egret",
                "tags": ["egret"],
                "asDropdown": True,
                "keepTime": True,
            }
        ],
        "panels": [{"id": number, **panel} for number, panel in enumerate(panels, 1)],
    }
