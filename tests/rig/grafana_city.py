"""A small city with a day behind it, in InfluxDB and at the API: something for every panel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from rig.api_centre import NOW_MS
from rig.events import event

from egret_aggregator.api.times import rfc3339
from egret_aggregator.store import StoredReading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rig.api_centre import ApiCentre

DAY_MS = 86_400_000
STEP_MS = 300_000
STATION = "st0007"
STATIONS = """
[[station]]
id = "st0007"
name = "Luoling bridge"
latitude = 24.5
longitude = 118.1
channel = [
  { id = "wl", quantity = "water_level", datum = "Luoling", gateway = "XM-TA-0042" },
  { id = "rain", quantity = "rain_total", gateway = "XM-TA-0042" },
  { id = "pp", quantity = "pore_pressure", gateway = "XM-TA-0042" },
  { id = "crack", quantity = "crack_width", gateway = "XM-TA-0042" },
  { id = "batt", quantity = "voltage", gateway = "XM-TA-0042" },
]
[[station]]
id = "st0008"
name = "Dam"
latitude = 24.6
longitude = 118.2
channel = [{ id = "wl", quantity = "water_level", datum = "Dam", gateway = "XM-TA-0043" }]
"""
RULES = """
[[rule]]
id = "river"
pack = "generic-level"
channels = ["st0007/wl"]
parameters = { unit = "m", datum = "Luoling", levels = [
  { level = "blue", raise = 3.0, clear = 2.8 },
  { level = "yellow", raise = 3.5, clear = 3.3 },
  { level = "red", raise = 4.5, clear = 4.3 },
], hold_s = 0 }
[[rule]]
id = "slope"
pack = "generic-level"
channels = ["st0007/pp"]
parameters = { unit = "kPa", levels = [{ level = "orange", raise = 60.0, clear = 55.0 }] }
[[rule]]
id = "wall"
pack = "generic-level"
channels = ["st0007/crack"]
parameters = { unit = "mm", levels = [{ level = "yellow", raise = 2.0, clear = 1.8 }] }
[[rule]]
id = "storm"
pack = "cn-rain-signals"
channels = ["st0007/rain"]
"""


class Series(NamedTuple):
    """One channel, and how it goes through the day: `share` runs from 0 to 1."""

    station: str
    channel: str
    quantity: str
    base: float
    swing: float

    def value(self, share: float) -> float:
        if self.quantity == "rain_total":
            return round(self.base + self.swing * max(0.0, share - 0.5) ** 2, 1)
        return round(self.base + self.swing * math.sin(math.pi * share) ** 6, 3)


CITY = (
    Series(STATION, "wl", "water_level", 1.6, 3.2),
    Series(STATION, "rain", "rain_total", 812.4, 260.0),
    Series(STATION, "pp", "pore_pressure", 31.0, 34.0),
    Series(STATION, "crack", "crack_width", 0.4, 1.9),
    Series(STATION, "batt", "voltage", 12.9, -0.7),
    Series("st0008", "wl", "water_level", 55.1, 1.2),
)
# Every so often a reading that is not good, of each kind in turn.
ODD_EVERY = 17
ODD = ((3, True), (2, True), (4, True), (9, False))


def readings() -> Iterator[tuple[Series, StoredReading]]:
    """Yield the day up to the present of the API's clock."""
    steps = DAY_MS // STEP_MS
    for series in CITY:
        for step in range(steps):
            flag, whole = ODD[step // ODD_EVERY % 4] if step % ODD_EVERY == 5 else (1, True)
            share = step / steps
            yield (
                series,
                StoredReading(
                    station=series.station,
                    channel=series.channel,
                    time_ms=NOW_MS - DAY_MS + (step + 1) * STEP_MS - 60_000,
                    value=series.value(share) if whole else None,
                    raw=None,
                    flag=flag,
                    reasons=0 if flag == 1 else 1,
                    notes=int(step % 50 == 7),
                    lag_ms=400 + step % 13 * 90,
                ),
            )


def line_protocol(renamed: str = "") -> str:
    """Return the day as line protocol; `renamed` is a field or tag that gets another name."""
    return "\n".join(_line(series, row, renamed) for series, row in readings())


def _line(series: Series, row: StoredReading, renamed: str) -> str:
    def word(name: str) -> str:
        return f"{name}_x" if name == renamed else name

    tags = {"station": row.station, "channel": row.channel, "quantity": series.quantity}
    fields = {} if row.value is None else {"value": repr(row.value)}
    fields |= {
        "q": f"{row.flag}i",
        "f": f"{row.reasons}i",
        "notes": f"{row.notes}i",
        "lag": f"{row.lag_ms}i",
    }
    head = ",".join(["reading", *(f"{word(tag)}={text}" for tag, text in tags.items())])
    body = ",".join(f"{word(name)}={text}" for name, text in fields.items())
    return f"{head} {body} {row.time_ms}"


async def fill(centre: ApiCentre) -> None:
    """Give the API the same day: newest values, warnings, a fleet."""
    await centre.store.write([row for _, row in readings()])
    river = event("raised", 1, -400, rule="river@1")
    await centre.ledger.take(
        [
            river,
            event("upgraded", 4, -300, rule="river@1"),
            event("raised", 3, -200, subject=f"{STATION}/pp", rule="slope@1"),
            event("raised", 2, -100, subject="st0008/wl", rule="dam@1"),
        ]
    )
    answer = await centre.post(f"/api/v1/warnings/{river.id}/acknowledge")
    assert answer.status_code == 200, answer.text
    centre.line.told |= {
        "egret_gateways": 2.0,
        "egret_gateways_online": 1.0,
        "egret_gateways_cloned": 0.0,
        "egret_gateways_missing_batches": 2.0,
        "egret_journal_used_bytes": 41_943_040.0,
        "egret_journal_max_bytes": 8_589_934_592.0,
    }
    for at, gateway in enumerate(("XM-TA-0042", "XM-TA-0043")):
        centre.line.heard[gateway] = {
            "online": at == 0,
            "last_seen": rfc3339(NOW_MS - 4000 - at * 900_000),
            "outbox": {"bytes": 81_920, "unsettled": 1 + 200 * at, "oldest_ms": 700 + at * 900_000},
            "clock": {"source": "ntp", "offset_ms": 3 - 40 * at},
            "buses": {"bus0": {"fault": "silent" if at else ""}},
            "missing_batches": 2 * at,
            "clone": False,
        }
