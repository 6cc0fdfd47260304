"""A morning of the field technician beside the cabinet, with the commands as they are typed.

09:00  The box is laid. `check` names what is wrong in its file, and is content once it is mended.
09:05  `read` shows every byte of the gauge, and what it means.
09:10  The service starts; the level reaches the centre.
09:20  Maintenance is declared. The float is lifted to flood height, to try the line: the reading
       arrives, bears the word MAINTENANCE, and alarms nobody.
09:25  The maintenance ends by itself while the float still hangs there: now it is a flood for
       all that anybody knows, and the warning comes.
09:30  The float is let down. The rule proposes to close; only a person does.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from rig.broker import running_broker
from rig.catalogues import level_rule, rung
from rig.console import GATEWAY, typed
from rig.gauge import Gauge
from rig.line import Centre, Field, station_toml, until
from rig.seat import Seat, ms

from egret_core.quality import Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.system
LADDER = rung("yellow", 3.0, 2.8), rung("red", 5.0, 4.8)
RULES = level_rule(*LADDER, channel="st1/wl", unit="ft", datum="gauge") + "hold_s = 0\n"
CALM, LIFTED = 120, 610  # hundredths of a foot
CALM_M, LIFTED_M = 1.2 * 0.3048, 6.1 * 0.3048


@asynccontextmanager
async def valley(folder: Path, gauge: Gauge) -> AsyncIterator[tuple[Centre, Field]]:
    """A broker and a centre that run, and a box that is laid but not started."""
    async with running_broker(folder / "broker") as broker:
        stations = station_toml("st1", {"wl": "water_level"}, "gw1", "gauge")
        centre = Centre(folder / "c", broker.port, embedded=False, stations=stations, rules=RULES)
        field = Field(folder / "f", "gw1", broker.port, gauge.path, period_s=0.1)
        try:
            await centre.up()
            yield centre, field
        finally:
            await field.stop()
            await centre.stop()


async def test_a_morning_beside_the_cabinet(tmp_path: Path) -> None:
    with Gauge(CALM) as gauge:
        async with valley(tmp_path, gauge) as (centre, field):
            await nine_o_clock_the_box_is_laid(field)
            await five_past_the_gauge_is_read(field)
            await ten_past_the_service_starts(centre, field)
            await twenty_past_the_float_is_lifted_under_maintenance(centre, field, gauge)
            onset = await twenty_five_past_it_ends_by_itself(centre, field)
            await half_past_the_float_is_let_down(centre, gauge, onset)


async def nine_o_clock_the_box_is_laid(field: Field) -> None:
    right = field.config.read_text()
    field.config.write_text(right.replace('datum = "gauge"\n', ""))
    said = await typed(GATEWAY, "check", field.config)
    assert said.code == 1
    assert (
        f"egret-gateway: {field.config}: bus[0].device[0].channels.stage.datum = None: "
        "a water_level needs the name of its vertical datum"
    ) in said.err
    assert not field.data.exists(), "nothing was opened or made"
    field.config.write_text(right)
    said = await typed(GATEWAY, "check", field.config)
    assert (said.code, said.err) == (0, "")
    assert "ok: gateway gw1, 1 bus, 1 channels" in said.out


async def five_past_the_gauge_is_read(field: Field) -> None:
    said = await typed(GATEWAY, "read", field.config)
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[1:] == [
        "  out 01 03 00 00 00 01 84 0a",
        "  in  01 03 02 00 78 b8 66",
        "  st1/wl stage: raw 120 = 0.36576 m GOOD",
    ]
    said = await typed(GATEWAY, "read", field.config, "--json")
    (value,) = json.loads(said.out)["reads"][0]["values"]
    told = [value[key] for key in ("raw", "unit", "quality", "reasons")]
    assert told == [120, "m", "GOOD", []]


async def ten_past_the_service_starts(centre: Centre, field: Field) -> None:
    await field.start()
    await until(lambda: latest(centre, CALM), "the level is at the centre")
    said = await typed(GATEWAY, "read", field.config)
    assert said.code == 0, "the service has the port: it is asked, and nobody talks over it"
    assert "(asked by the running service)" in said.out
    assert "raw 120 = 0.36576 m GOOD" in said.out


async def twenty_past_the_float_is_lifted_under_maintenance(
    centre: Centre, field: Field, gauge: Gauge
) -> None:
    said = await typed(GATEWAY, "maintenance", "on", "--for", "30m", field.config)
    assert said.code == 0
    assert said.out.endswith("then it ends by itself\n")
    await until(lambda: flagged(centre, CALM), "readings are marked")
    gauge.stage = LIFTED
    reading = await until(lambda: flagged(centre, LIFTED), "the lifted float is read")
    assert reading["value"] == pytest.approx(LIFTED_M), "the true value travels"
    high = [row for row in centre.rows("st1", "wl") if row[2] == LIFTED]
    await until(lambda: judged_after(centre, high[0][0]), "it has been before the judge")
    assert await Seat(centre).warnings("river-level") == [], "and alarmed nobody"


async def twenty_five_past_it_ends_by_itself(centre: Centre, field: Field) -> int:
    said = await typed(GATEWAY, "maintenance", "on", "--for", "2s", field.config)
    assert said.code == 0, "he is done, and lets it run out"
    warning = await Seat(centre).warning("river-level", level="red", phase="settled")
    assert (warning["state"], warning["condition"]) == ("open", "active")
    onset = ms(warning["onset"])
    first = await first_counted(centre)
    assert onset == first, "it begins with the first reading that counts, not with the work"
    said = await typed(GATEWAY, "maintenance", "status", field.config)
    assert said.out == "maintenance is off: readings count\n"
    return onset


async def half_past_the_float_is_let_down(centre: Centre, gauge: Gauge, onset: int) -> None:
    gauge.stage = CALM
    seat = Seat(centre)
    warning = await seat.warning("river-level", condition="returned")
    assert (warning["state"], warning["level"]) == ("open", "red"), "no rule lowers it"
    assert ms(warning["onset"]) == onset
    closed = await seat.act(warning["id"], "close", note="float was lifted for a test")
    assert closed.status_code == 200, closed.text
    assert (await seat.warnings("river-level"))[0]["state"] == "closed"
    assert (await seat.latest("st1", "wl"))["value"] == pytest.approx(CALM_M)


async def latest(centre: Centre, raw: int) -> bool:
    """Whether the newest reading at the centre is good and of this stage."""
    reading = await Seat(centre).latest("st1", "wl")
    return bool(reading) and (reading["raw"], reading["reasons"]) == (raw, [])


async def flagged(centre: Centre, raw: int) -> dict[str, object]:
    """Return the newest reading once it is of this stage and marked as taken during work."""
    reading = await Seat(centre).latest("st1", "wl")
    right = (reading["raw"], reading["reasons"]) == (raw, [Reason.MAINTENANCE.name])
    return reading if right else {}


async def judged_after(centre: Centre, time_ms: int) -> bool:
    """Whether the judge has passed a time by more than the channel's lateness."""
    judged = (await centre.get("/warnings"))["judgement"]["judged_to"]
    return judged is not None and ms(judged) > time_ms + 1000


async def first_counted(centre: Centre) -> int:
    """Return the time of the first high reading that was not taken during work."""
    times = [time for time, _, raw in centre.rows("st1", "wl") if raw == LIFTED]
    span = [
        datetime.fromtimestamp(time / 1000 + add, UTC)
        for time, add in zip((times[0], times[-1]), (0, 1), strict=True)
    ]
    page = await centre.get(
        "/stations/st1/channels/wl/readings",
        **{"from": span[0].isoformat(), "to": span[1].isoformat(), "limit": 1000},
    )
    counted = [one for one in page["items"] if one["raw"] == LIFTED and not one["reasons"]]
    return ms(counted[0]["time"])
