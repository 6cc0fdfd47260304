"""An outage in the night, on a clock that runs twenty times as fast.

The river stands over yellow when the radio link goes down. While nobody hears the box
  - silence becomes a fault of its own, and takes nothing back: yellow stays yellow;
  - the box reads on, loses its power, and starts again; the river passes red.
The link returns. The one reading that passed red comes first, then the fresh ones, then what had
waited since before the power cut. Only good readings end the fault of silence, only a person
closes a warning, and in the end every reading is at the centre once.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from rig.broker import running_broker
from rig.catalogues import level_rule, rung
from rig.console import CENTRE, typed
from rig.gauge import Gauge
from rig.line import Centre, Field, station_toml, until
from rig.proxy import running_proxy
from rig.seat import Seat, ms
from rig.spy import overheard

from egret_core.codec import decode_batch
from egret_core.entries import read_readings
from egret_core.messages import Kind
from egret_core.topics import Leaf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from rig.proxy import Proxy
    from rig.spy import Heard

pytestmark = pytest.mark.system
SCALE = 20
LIMIT_S = 90  # scaled, 4.5 s on the wall: a busy machine's pause is no silence
PERIOD_S = 4.0  # scaled: five readings a second, of which the box keeps 64 at hand
ABOVE_YELLOW, ABOVE_RED, LOW = 320, 530, 120  # hundredths of a foot
LADDER = rung("yellow", 3.0, 2.8), rung("red", 5.0, 4.8)
RULES = f"""{level_rule(*LADDER, channel="st1/wl", unit="ft", datum="gauge")}hold_s = 0
[[rule]]
id = "silent"
pack = "absence"
channels = ["st1/wl", "gateway/gw1"]
[rule.parameters]
limit_s = {LIMIT_S}
alarm_level = ""
"""
WATCH = 'watch_at = { value = 5.0, unit = "ft", datum = "gauge" }\n'


@dataclass
class Night:
    """All that is there that night."""

    centre: Centre
    field: Field
    proxy: Proxy
    gauge: Gauge
    heard: list[Heard]
    seat: Seat

    def readings(self) -> list[tuple[int, float | None]]:
        """Return (time, raw) of all that the box has committed, in the order of its rows."""
        with contextlib.closing(sqlite3.connect(self.field.data / "outbox.db", timeout=30)) as db:
            rows = db.execute(
                "SELECT payload FROM batch WHERE kind = ? ORDER BY id", (Kind.READINGS,)
            ).fetchall()
        found = [one for (body,) in rows for one in read_readings(decode_batch(body)).dated]
        return [(one.time_ms, one.raw) for one in found]


@asynccontextmanager
async def night(folder: Path) -> AsyncIterator[Night]:
    now_ms = round(time.time() * 1000)
    clock = f"[clock.scaled]\nscale = {SCALE}\nfrom_ms = {now_ms}\nto_ms = {now_ms}\n"
    stations = station_toml("st1", {"wl": "water_level"}, "gw1", "gauge")
    async with (
        running_broker(folder / "broker") as broker,
        running_proxy(broker.host, broker.port) as proxy,
        overheard(broker.port, "gw1") as heard,
    ):
        with Gauge(ABOVE_YELLOW) as gauge:
            stations = stations.replace("late_s = 3", "late_s = 20")
            centre = Centre(
                folder / "c", broker.port, embedded=False, stations=stations, rules=RULES
            )
            field = Field(folder / "f", "gw1", proxy.port, gauge.path, period_s=PERIOD_S)
            centre.config.write_text(centre.config.read_text() + clock)
            field.config.write_text(field.config.read_text() + WATCH + clock)
            try:
                await field.start()  # first, so that the centre knows no silence but the outage
                await centre.up()
                yield Night(centre, field, proxy, gauge, heard, Seat(centre))
            finally:
                await field.stop()
                await centre.stop()


async def test_a_night_without_the_link(tmp_path: Path) -> None:
    async with night(tmp_path) as story:
        yellow = await story.seat.warning("river-level", level="yellow", phase="settled")
        await the_link_goes_down(story)
        await silence_is_a_fault_and_no_all_clear(story, yellow["id"])
        trip_ms = await the_river_passes_red_unheard(story)
        await the_link_returns(story, trip_ms)
        await the_warning_is_red_since_the_reading_that_passed(story, yellow, trip_ms)
        await good_readings_end_the_silence(story)
        await a_person_closes_what_the_rule_proposes_to_close(story, yellow["id"])
        await every_reading_is_stored_once(story)
    said = await typed(CENTRE, "audit", "verify", story.centre.config)
    assert (said.code, said.out.split(":")[0]) == (0, "ok")


async def the_link_goes_down(story: Night) -> None:
    await story.proxy.stop()
    story.heard.clear()


async def silence_is_a_fault_and_no_all_clear(story: Night, yellow: str) -> None:
    for subject in ("st1/wl", "gateway/gw1"):
        fault = await story.seat.warning("silent", subject, phase="settled", condition="active")
        assert (fault["level"], fault["state"]) == ("fault", "open")
    (fault,) = await story.seat.warnings("silent", "st1/wl")
    last_ms = story.centre.rows("st1", "wl")[-1][0]
    raised = [line["event"] for line in await story.seat.history(fault["id"])][-1]
    assert ms(raised["time"]) == last_ms + LIMIT_S * 1000, "the last good reading and the limit"
    (river,) = await story.seat.warnings("river-level")
    assert (river["id"], river["level"], river["state"], river["condition"]) == (
        *(yellow, "yellow"),
        *("open", "active"),
    )


async def the_river_passes_red_unheard(story: Night) -> int:
    """Cut the box's power and let the river rise; return the time of the first red reading."""
    await story.field.kill()
    with contextlib.closing(sqlite3.connect(story.field.data / "outbox.db")) as db, db:
        # What another boot cut is backlog; a test cannot turn the machine off.
        assert db.execute("UPDATE batch SET boot = 'before' WHERE state = 0").rowcount > 10
    before = len(story.readings())
    await story.field.start()
    await until(lambda: committed(story, before + 5), "the box reads on after its power cut")
    story.gauge.stage = ABOVE_RED
    await until(lambda: committed_red(story, 5), "the river is read over red")
    assert story.heard == [], "nobody hears it"
    return next(time_ms for time_ms, raw in story.readings() if raw == ABOVE_RED)


async def the_link_returns(story: Night, trip_ms: int) -> None:
    fresh_ms = story.readings()[-1][0]
    await story.proxy.start()
    await until(lambda: heard_from(story, Leaf.BACKLOG), "the backlog comes")
    await until(lambda: settled(story), "all that waited is settled")
    came = [item for item in story.heard if item.batch.kind == Kind.READINGS]
    first = read_readings(came[0].batch).dated
    assert trip_ms in [reading.time_ms for reading in first], "what passed red comes first of all"
    assert came[0].lane is Leaf.DATA
    lanes = [
        item.lane for item in came if item.lane is Leaf.BACKLOG or item.batch.base_ms <= fresh_ms
    ]
    assert lanes == sorted(lanes, key=[Leaf.DATA, Leaf.BACKLOG].index), "fresh before backlog"
    backlog = [item.batch.base_ms for item in came if item.lane is Leaf.BACKLOG]
    assert backlog == sorted(backlog), "the backlog in its own order"


async def the_warning_is_red_since_the_reading_that_passed(
    story: Night, yellow: dict[str, object], trip_ms: int
) -> None:
    red = await story.seat.warning("river-level", level="red", phase="settled")
    assert (red["id"], red["onset"]) == (yellow["id"], yellow["onset"]), "one flood, one warning"
    (step,) = [hold for hold in red["holds"] if hold["level"] == "red"]
    assert ms(step["time"]) == trip_ms


async def good_readings_end_the_silence(story: Night) -> None:
    for subject in ("st1/wl", "gateway/gw1"):
        fault = await story.seat.warning("silent", subject, condition="returned")
        assert (fault["state"], fault["level"]) == ("open", "fault"), "but stays on record"
        events = [
            line["event"] for line in await story.seat.history(fault["id"]) if "event" in line
        ]
        assert [(event["change"], event["phase"]) for event in events[-3:]] == [
            ("raised", "provisional"),
            ("raised", "settled"),
            ("returned", "settled"),
        ]
        assert events[-1]["reason"] == "good_reading_again"


async def a_person_closes_what_the_rule_proposes_to_close(story: Night, river: str) -> None:
    early = await story.seat.act(river, "close", note="the night is over")
    assert early.status_code == 409, "the river still stands over red"
    story.gauge.stage = LOW
    warning = await story.seat.warning("river-level", condition="returned")
    assert (warning["state"], warning["level"]) == ("open", "red")
    closed = await story.seat.act(river, "close", note="the river is back in its bed")
    assert closed.status_code == 200, closed.text
    last = (await story.seat.history(river))[-1]
    assert (last["kind"], last["note"]) == ("closed", "the river is back in its bed")
    assert last["actor"] not in ("", "rule"), "the ledger names the person"


async def every_reading_is_stored_once(story: Night) -> None:
    assert await story.field.stop() == 0
    held = story.readings()
    assert len(held) == len(set(held))

    async def stored() -> bool:
        return [(at, raw) for at, _, raw in story.centre.rows("st1", "wl")] == sorted(held)

    if not await stored():  # an ack was lost in the stop: the next start sends it again
        await story.field.start()
        await until(lambda: includes(story, held), "every reading is stored")
    rows = story.centre.rows("st1", "wl")
    assert len({at for at, _, _ in rows}) == len(rows)


async def includes(story: Night, held: list[tuple[int, float | None]]) -> bool:
    return set(held) <= {(at, raw) for at, _, raw in story.centre.rows("st1", "wl")}


async def committed(story: Night, count: int) -> bool:
    return len(story.readings()) >= count


async def committed_red(story: Night, count: int) -> bool:
    return sum(raw == ABOVE_RED for _, raw in story.readings()) >= count


async def heard_from(story: Night, lane: Leaf) -> bool:
    return any(item.lane is lane for item in story.heard)


async def settled(story: Night) -> bool:
    with contextlib.closing(sqlite3.connect(story.field.data / "outbox.db", timeout=30)) as db:
        (left,) = db.execute("SELECT count(*) FROM batch WHERE boot = 'before' AND state = 0")
    return left == (0,)
