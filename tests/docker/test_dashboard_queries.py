"""Every query of every dashboard, asked of a real influxd and of a real API."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rig import grafana, grafana_ask, grafana_city
from rig.api_centre import ApiCentre, api_centre
from rig.centre_process import CentreProcess, settings_file
from rig.events import event, forecast
from rig.influxd import Influxd, running_influxd, why_no_influxd

from egret_aggregator.store.influx import InfluxStore
from egret_aggregator.store.model import MetaFact
from egret_aggregator.store.settings import StoreSettings
from egret_core.messages import ChannelMeta
from egret_core.units import canonical

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.system
needs_influxd = pytest.mark.skipif(bool(why_no_influxd()), reason=why_no_influxd())
TARGETS = list(grafana.targets())
INFLUX = [one for one in TARGETS if one.query["datasource"]["uid"] == "egret-influx"]
API = [one for one in TARGETS if one.query["datasource"]["uid"] == "egret-api"]
FIGURES = [one for one in API if one.query["url"].endswith("/figures")]


def name(target: grafana.Target) -> str:
    return target.name


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    folder = tmp_path_factory.mktemp("influxd")
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        running = running_influxd(folder / "server", own_process=True)
        server = runner.run(stack.enter_async_context(running))
        try:
            runner.run(store(server.url, folder / "series.db"))
            yield server
        finally:
            runner.run(stack.aclose())


async def store(url: str, path: Path) -> None:
    """Have the centre's own store write the city: the schema is what it makes of it."""
    series = InfluxStore(StoreSettings("influx", url), path)
    await series.open()
    try:
        metas = [
            MetaFact(
                ChannelMeta(one.station, one.channel, one.quantity, canonical(one.quantity)),
                "gw",
                "v1",
                0,
            )
            for one in grafana_city.CITY
        ]
        await series.write([], metas=metas)
        rows = [row for _, row in grafana_city.readings()]
        receipt = await series.write(rows)
        assert receipt.accepted == len(rows)
    finally:
        await series.close()


@needs_influxd
@pytest.mark.parametrize("target", INFLUX, ids=name)
def test_influxd_answers_with_every_column(influx: Influxd, target: grafana.Target) -> None:
    found = grafana_ask.influx(influx, target)
    if target.panel == "variable channel":
        values = {value for _, value in found[0]["values"]}
        assert values == set(grafana_ask.CHANNELS), "of this station, no other's"


@needs_influxd
@pytest.mark.parametrize("field", ["value", "q", "notes", "lag", "station", "channel", "quantity"])
def test_a_renamed_field_is_seen(influx: Influxd, field: str) -> None:
    """As if the store wrote it under another name: no panel that needs it may pass."""
    database = f"without_{field}"
    grafana_ask.seed(influx, database, grafana_city.line_protocol(renamed=field))
    needing = [one for one in INFLUX if f'"{field}"' in one.query["query"]]
    if field == "quantity":  # without the tag everything is one of the other quantities
        needing = [one for one in needing if "!~" not in one.query["query"]]
    assert needing
    for target in needing:
        with pytest.raises((AssertionError, KeyError)):
            grafana_ask.influx(influx, target, database)


@needs_influxd
def test_the_extremes_and_the_doubt_are_what_was_written(influx: Influxd) -> None:
    water = [one for one in INFLUX if one.panel == "Water"]
    good, doubtful = water
    (levels,) = grafana_ask.influx(influx, good)
    highest = max(row[3] for row in levels["values"] if row[3] is not None)
    rows = [row for series, row in grafana_city.readings() if series.channel == "wl"]
    here = [row for row in rows if row.station == grafana_city.STATION]
    assert highest == max(row.value for row in here if row.value is not None and row.flag <= 2)
    (odd,) = grafana_ask.influx(influx, doubtful)
    assert len(odd["values"]) == sum(row.flag >= 3 and row.value is not None for row in here)


@needs_influxd
def test_rain_sums_up_to_what_fell(influx: Influxd) -> None:
    (target,) = [one for one in INFLUX if one.name == "egret-station/Rain/A"]
    (rain,) = grafana_ask.influx(influx, target)
    totals = [
        row.value
        for series, row in grafana_city.readings()
        if series.channel == "rain" and row.value is not None and row.flag <= 2
    ]
    # What fell within the first interval is before the first difference.
    fell = max(totals) - totals[1]
    assert sum(row[1] for row in rain["values"]) == pytest.approx(fell, abs=0.11)


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[ApiCentre]:
    stations, rules = grafana_city.STATIONS, grafana_city.RULES
    async with api_centre(tmp_path, stations=stations, rules=rules) as centre:
        await grafana_city.fill(centre)
        yield centre


async def test_the_api_fills_every_column_and_a_renamed_one_is_seen(city: ApiCentre) -> None:
    for target in API:
        rows = await grafana_ask.api(city, target)
        grafana.cells_of(rows, target)
        for column in target.query["columns"]:
            name = column["selector"]
            other = [{f"{k}_x" if k == name else k: v for k, v in row.items()} for row in rows]
            with pytest.raises(AssertionError, match=f"no {name}"):
                grafana.cells_of(other, target)


async def test_a_stations_board_is_its_own_with_lines_over_the_whole_chart(city: ApiCentre) -> None:
    for target in API:
        _, params = grafana_ask.path_of(target)
        if target.board != "egret-station" or "variable" in target.panel:
            continue
        assert params.get("station") == grafana_city.STATION, target.name
        for row in await grafana_ask.api(city, target):
            there = row.get("station", row.get("id", grafana_city.STATION))
            assert there == grafana_city.STATION, target.name
    water = next(one for one in API if one.panel == "Water")
    cells = grafana.cells_of(await grafana_ask.api(city, water), water)
    lines = {("wl blue", 3.0), ("wl yellow", 3.5), ("wl red", 4.5)}
    assert {(cell["line"], cell["value"]) for cell in cells} == lines
    assert len({cell["time"] for cell in cells}) == 2


async def test_a_forecast_and_a_find_in_late_readings_are_not_taken_for_a_level_of_now(
    city: ApiCentre,
) -> None:
    past = event("raised", 4, -90_000, rule="found@1")
    gap = {"retrospective": True, "gap_from_ms": past.time_ms, "gap_to_ms": past.time_ms + 60_000}
    await city.ledger.take(
        [
            forecast("raised", 2, -60),
            replace(past, evidence=gap),
        ]
    )
    lists = [one for one in API if one.panel == "Warnings that stand"]
    assert len(lists) == 2
    for target in lists:
        cells = grafana.cells_of(await grafana_ask.api(city, target), target)
        told = {(cell["level"], cell["basis"], cell["of the past"]) for cell in cells}
        assert {
            ("yellow", "forecast", False),
            ("red", "observed", True),
            ("red", "observed", False),
        } <= told


async def test_a_running_centre_has_every_figure(tmp_path: Path) -> None:
    # Their names are the running parts' own: the rig's centre only repeats them.
    assert FIGURES
    async with CentreProcess(settings_file(tmp_path)) as centre:
        for target in FIGURES:
            path, params = grafana_ask.path_of(target)
            query = "&".join(f"{key}={text}" for key, text in params.items())
            grafana.cells_of(await centre.get(f"{path}?{query}"), target)
