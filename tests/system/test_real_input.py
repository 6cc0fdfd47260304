"""The flood of 18 August 2017 through the whole line: a foreign slave, a serial line, a warning.

12:00 of the story: a libmodbus slave plays the recorded stage of Plumtree at 9600 baud, one
sample per whole reply. The gateway polls it, the centre stores and judges. The warning for
3.0 ft stands at the time of the first sample over it; every served sample is stored once; in the
end a foreign master reads the last value from the same slave.
"""

from __future__ import annotations

import csv
import gzip
import re
import subprocess
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rig.broker import Broker
from rig.catalogues import level_rule, rung
from rig.libmodbus import LibmodbusSlave, why_missing
from rig.line import Centre, Field, station_toml, until
from rig.paced import PacedLine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DATA = Path(__file__).parents[3] / "shared/data/stream_plumtree_2016_2017/stage_5min.csv.gz"
BAUD = 9600
FLOOD_FROM, FLOOD_TO = "2017-08-18 20:00", "2017-08-19 06:00"
RULES = (
    level_rule(rung("yellow", 3.0, 2.9), channel="st1/wl", unit="ft", datum="gauge")
    + "hold_s = 0\n"
)

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(why_missing()), reason=why_missing() or "complete"),
    pytest.mark.skipif(not DATA.exists(), reason=f"no recorded flood at {DATA.name}"),
]


def flood() -> list[int]:
    """Return the recorded stage in hundredths of a foot, five minutes apart."""
    with gzip.open(DATA, "rt") as text:
        rows = csv.DictReader(text)
        return [
            round(float(row["stage_ft"]) * 100)
            for row in rows
            if FLOOD_FROM <= row["time_utc"] < FLOOD_TO
        ]


async def test_a_recorded_flood_becomes_a_warning(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    samples = flood()
    assert max(samples) == 502, "the crest of that night was 5.02 ft"
    broker = Broker(tmp_path / "broker")
    await broker.start()
    stations = station_toml("st1", {"wl": "water_level"}, "gw1", "gauge")
    centre = Centre(tmp_path / "c", broker.port, embedded=False, stations=stations, rules=RULES)
    try:
        await centre.up()
        with (
            PacedLine(tmp_path / "bus", 1, BAUD) as bus,
            LibmodbusSlave(tmp_path / "slave", bus.slave(1), 1, BAUD, samples) as slave,
        ):
            field = Field(tmp_path / "f", "gw1", broker.port, bus.master, period_s=0.1, baud=BAUD)
            await field.start()
            await until(lambda: played(slave, len(samples)), "the slave has played the flood")
            code = await field.stop()
            served = [one.value for one in slave.served()]
            await until(lambda: stored(centre, len(served)), "every sample served is stored")
            warning = await until(lambda: first_warning(centre), "the flood is a warning")
            last = poll_with_mbpoll(bus.master)
        rows = centre.rows("st1", "wl")
    finally:
        await centre.stop()
        broker.stop()
    assert code == 0
    assert [raw for _, _, raw in rows] == served, "each once, in the order of the flood"
    over = next(time for time, _, raw in rows if raw is not None and raw >= 300)
    assert warning["level"] == "yellow"
    assert event_time_ms(warning) == over
    assert last == samples[-1]
    totals = f"served={len(served)} stored={len(rows)} warning={warning['level']}"
    record_property("real input", f"{totals} onset={warning['onset']} mbpoll={last}")


async def played(slave: LibmodbusSlave, count: int) -> bool:
    """Whether every sample was served at least once."""
    return len(slave.served()) >= count


async def stored(centre: Centre, count: int) -> bool:
    """Whether the store holds so many values."""
    return sum(raw is not None for _, _, raw in centre.rows("st1", "wl")) >= count


async def first_warning(centre: Centre) -> Any:
    """Return the river's warning once it is settled, None before."""
    page = await centre.get("/warnings")
    found = [one for one in page["items"] if one["rule"] == "river-level"]
    return found[0] if found and found[0]["phase"] == "settled" else None


def event_time_ms(warning: dict[str, Any]) -> int:
    """Return the warning's onset in ms since 1970."""
    return round(datetime.fromisoformat(warning["onset"]).timestamp() * 1000)


def poll_with_mbpoll(master: Path) -> int:
    """Read holding register 0 with a master nobody here wrote."""
    command: Sequence[str] = (
        *("mbpoll", "-m", "rtu", "-a", "1", "-b", str(BAUD), "-P", "none"),
        *("-t", "4", "-r", "1", "-c", "1", "-1", "-o", "2", str(master)),
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    found = re.search(r"^\[1\]:\s+(\d+)", done.stdout, re.MULTILINE)
    assert found is not None, done.stdout
    return int(found[1])
