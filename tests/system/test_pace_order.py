"""An officer orders a pace: real broker, centre, gateway and gauge; the sampling itself changes.

The gauge is read every hour. In event it is read five times a second, so what reaches the store
says which pace the gateway really keeps. `st2` stands in the catalogue and is polled by nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from rig.broker import running_broker
from rig.console import CENTRE, typed
from rig.gauge import Gauge
from rig.line import Centre, Field, station_toml, until
from rig.seat import PATIENCE_S, ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.system
HOUR_S = 3600.0
EVENT_S = 0.2
MANY = 10  # readings that an hour's period cannot give within this test


class Desk:
    """The officer's desk: the order of a station's pace, and what is told of it."""

    def __init__(self, centre: Centre, station: str = "st1") -> None:
        self._centre = centre
        self._path = f"/stations/{station}/pace"

    async def order(self, state: str, for_s: int = 600) -> httpx2.Response:
        async with httpx2.AsyncClient() as client:
            return await client.post(
                f"{self._centre.url}/api/v1{self._path}",
                json={"state": state, "for_s": for_s},
                headers={"Authorization": f"Bearer {self._centre.token}"},
                timeout=PATIENCE_S,
            )

    async def told(self) -> dict[str, Any]:
        found: dict[str, Any] = await self._centre.get(self._path)
        return found

    async def until(self, pace: str | None, outcome: str | None) -> dict[str, Any]:
        """Wait until the gateway tells this pace, and the order has this outcome."""

        async def look() -> dict[str, Any] | None:
            told = await self.told()
            (gateway,), order = told["gateways"], told["order"]
            now = (gateway["pace"], None if order is None else order["outcome"])
            return told if now == (pace, outcome) else None

        found = await until(look, f"pace {pace}, order {outcome}")
        assert found is not None
        return found


@asynccontextmanager
async def valley(folder: Path, gauge: Gauge) -> AsyncIterator[tuple[Centre, Field]]:
    async with running_broker(folder / "broker") as broker:
        stations = "".join(
            station_toml(name, {"wl": "water_level"}, "gw1", "gauge") for name in ("st1", "st2")
        )
        centre = Centre(folder / "c", broker.port, embedded=False, stations=stations, rules="")
        field = Field(folder / "f", "gw1", broker.port, gauge.path, period_s=HOUR_S)
        period = f"period_s = {HOUR_S}\n"
        text = field.config.read_text()
        assert period in text
        field.config.write_text(text.replace(period, f"{period}event_s = {EVENT_S}\n"))
        try:
            await centre.up()
            await field.start()
            yield centre, field
        finally:
            await field.stop()
            await centre.stop()


def recorded(centre: Centre) -> list[tuple[str, dict[str, Any]]]:
    """Return who ordered what, from the ledger's own file."""
    with contextlib.closing(sqlite3.connect(centre.data / "egret.db", timeout=30)) as db:
        rows = db.execute("SELECT actor, body FROM ledger WHERE kind = 'pace_ordered' ORDER BY seq")
        return [(actor, json.loads(body)) for actor, body in rows]


async def test_an_order_changes_the_sampling_and_the_status_says_so(tmp_path: Path) -> None:
    with Gauge() as gauge:
        async with valley(tmp_path, gauge) as (centre, field):
            desk = Desk(centre)
            await desk.until("normal", None)
            await it_goes_faster(centre, desk)
            await what_nobody_polls_is_refused(centre)
            await it_goes_slowly_again(desk, gauge)
            await a_gateway_that_is_gone_is_not_ordered(field, desk)
            await after_a_restart_the_order_is_gone_and_the_ledger_has_it(centre, desk)


async def it_goes_faster(centre: Centre, desk: Desk) -> None:
    given = await desk.order("event")
    assert given.status_code == 202, given.text
    told = await desk.until("event", "done")
    assert told["order"]["id"] == given.json()["order"]["id"]
    assert told["order"]["gateways"] == [
        {"id": "gw1", "outcome": "done", "detail": "event for 600 s"}
    ]

    async def many() -> bool:
        return len(centre.rows("st1", "wl")) >= MANY

    await until(many, "the gauge is read as in an event")
    (gateway,) = [one for one in (await centre.get("/gateways"))["items"] if one["id"] == "gw1"]
    assert gateway["status"]["pace"] == {"st1": "event"}


async def what_nobody_polls_is_refused(centre: Centre) -> None:
    desk = Desk(centre, "st2")
    assert (await desk.order("event")).status_code == 202
    told = await desk.until(None, "refused")
    assert "no device of station 'st2'" in told["order"]["gateways"][0]["detail"]


async def it_goes_slowly_again(desk: Desk, gauge: Gauge) -> None:
    assert (await desk.order("normal")).status_code == 202
    await desk.until("normal", "done")
    before = len(gauge.served)
    await asyncio.sleep(10 * EVENT_S)
    assert len(gauge.served) - before <= 1, "one may have been under way"


async def a_gateway_that_is_gone_is_not_ordered(field: Field, desk: Desk) -> None:
    await field.kill()

    async def gone() -> bool:
        return not (await desk.told())["gateways"][0]["online"]

    await until(gone, "its last will")
    refused = await desk.order("event")
    assert (refused.status_code, refused.json()["code"]) == (409, "gateway_offline")
    await desk.until("normal", "done")


async def after_a_restart_the_order_is_gone_and_the_ledger_has_it(
    centre: Centre, desk: Desk
) -> None:
    ordered = (await desk.told())["order"]["ordered_at"]
    await centre.stop()
    await centre.up()
    told = await desk.until("normal", None)
    assert ms(told["orders_since"]) > ms(ordered)
    assert [(actor, said["station"], said["state"]) for actor, said in recorded(centre)] == [
        ("officer:rig", "st1", "event"),
        ("officer:rig", "st2", "event"),
        ("officer:rig", "st1", "normal"),
    ]
    said = await typed(CENTRE, "audit", "verify", centre.config)
    assert (said.code, said.out.split(":")[0]) == (0, "ok")
