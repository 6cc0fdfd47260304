"""Asks a board's queries of an influxd and an API, as Grafana would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
from rig import grafana, grafana_city
from rig.api_centre import NOW_MS, TLS

if TYPE_CHECKING:
    from rig.api_centre import ApiCentre
    from rig.influxd import Influxd

ASK_S = 60.0
CHANNELS = tuple(one.channel for one in grafana_city.CITY if one.station == grafana_city.STATION)
SHOWN = grafana.Shown(
    from_ms=NOW_MS - grafana_city.DAY_MS,
    to_ms=NOW_MS,
    station=grafana_city.STATION,
    channels=CHANNELS,
)


def seed(server: Influxd, database: str, lines: str) -> None:
    """Make a database with these lines."""
    with httpx2.Client(base_url=server.direct, verify=TLS, timeout=ASK_S) as client:
        made = client.post("/query", params={"q": f'CREATE DATABASE "{database}"'})
        assert made.status_code == 200, made.text
        params = {"db": database, "precision": "ms"}
        written = client.post("/write", params=params, content=lines)
        assert written.status_code == 204, written.text


def influx(
    server: Influxd, target: grafana.Target, database: str = "egret", shown: grafana.Shown = SHOWN
) -> list[dict[str, Any]]:
    """Return a query's series, by GET with times in ms."""
    query = shown.influxql(target.query["query"])
    params = {"db": database, "epoch": "ms", "q": query}
    with httpx2.Client(base_url=server.direct, verify=TLS, timeout=ASK_S) as client:
        told = client.get("/query", params=params).json()
    return grafana.series_of(told, query, target.query.get("alias", ""))


def path_of(target: grafana.Target) -> tuple[str, dict[str, str]]:
    """Return what Infinity asks the API: path and parameters."""
    params = target.query["url_options"]["params"]
    return target.query["url"], {one["key"]: SHOWN.url(one["value"]) for one in params}


async def api(centre: ApiCentre, target: grafana.Target) -> list[dict[str, Any]]:
    """Return a query's rows."""
    path, params = path_of(target)
    answer = await centre.get(path, params=params)
    assert answer.status_code == 200, (target.name, answer.text)
    rows: list[dict[str, Any]] = answer.json()
    return rows
