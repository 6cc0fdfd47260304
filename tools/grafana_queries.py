"""What Grafana's panels ask, as plain values.

Series are asked of InfluxDB by InfluxQL; tables and annotations of the API by Infinity, with its
backend parser, since the others fail in shared dashboards.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Json = dict[str, Any]

INFLUX = {"type": "influxdb", "uid": "egret-influx"}
API = {"type": "yesoreyeram-infinity-datasource", "uid": "egret-api"}
MIXED = {"type": "datasource", "uid": "-- Mixed --"}
BUILT_IN = {"type": "grafana", "uid": "-- Grafana --"}


class Column(NamedTuple):
    """A column of a table: the row's key, its heading, its Infinity type and its unit."""

    selector: str
    text: str
    type: str = "string"
    unit: str = ""


def select(what: str, *where: str, by: str = "") -> str:
    """Return InfluxQL over the readings of the time shown, by interval and tags."""
    conditions = " AND ".join((*where, "$timeFilter"))
    groups = ", ".join(("time($__interval)", *([by] if by else ())))
    return f'SELECT {what} FROM "reading" WHERE {conditions} GROUP BY {groups} fill(none)'  # noqa: S608  (the boards' own words)


def series(ref: str, query: str, alias: str = "") -> Json:
    """Return an InfluxQL target that gives time series."""
    return {
        "refId": ref,
        "datasource": INFLUX,
        "query": query,
        "rawQuery": True,
        "resultFormat": "time_series",
        "alias": alias,
    }


def rows(ref: str, path: str, columns: list[Column], **params: str) -> Json:
    """Return a target that gives rows of `/api/v1/grafana/PATH`."""
    return _infinity(ref, path, columns, "table", params)


def lines(ref: str, path: str, columns: list[Column], **params: str) -> Json:
    """Return a target that gives time series out of such rows."""
    return _infinity(ref, path, columns, "timeseries", params)


def _infinity(
    ref: str, path: str, columns: list[Column], form: str, params: dict[str, str]
) -> Json:
    return {
        "refId": ref,
        "datasource": API,
        "type": "json",
        "parser": "backend",
        "source": "url",
        "format": form,
        "url": f"/api/v1/grafana/{path}",
        "url_options": {
            "method": "GET",
            "data": "",
            # `from` is a word of Python: the caller writes `from_`.
            "params": [{"key": key.rstrip("_"), "value": text} for key, text in params.items()],
        },
        "root_selector": "",
        "columns": [
            {"selector": column.selector, "text": column.text, "type": column.type}
            for column in columns
        ],
        "filters": [],
    }
