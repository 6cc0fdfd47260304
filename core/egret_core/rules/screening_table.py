"""`[station.channel.screening]`: a table of `stations.toml` in, the limits of a screening out.

```toml
[station.channel.screening]
unit = "m"                                       # of every value here
range = { fail = [-1.0, 12.0], suspect = [0.0, 8.0] }
seasonal = [{ months = [12, 1, 2], suspect = [0.0, 3.0] }]
utc_offset = "+08:00"                            # of the months
spike = { suspect = 0.3, fail = 1.0 }
rate = { suspect_per_s = 0.001 }
flat_line = { tolerance = 0.002, suspect_s = 10800, fail_s = 21600, movement = ["st0007/rn"] }
neighbours = { channels = ["st0008/wl", "st0009/wl"], off_by = 1.5, least = 2 }
gap_s = 900
```

Every key may be left out. A rate only doubts: a flash flood is fast.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn, TypeGuard

from egret_core.errors import ConfigError
from egret_core.rules.packs import meant, number, refuse_unknown, rows, table, text_of
from egret_core.screening.chain import TOTALS
from egret_core.screening.flat_line import Stillness
from egret_core.screening.law import NeighbourLaw, Pair, ScreeningLaw
from egret_core.screening.range import ANY, Span
from egret_core.screening.seasonal import Season
from egret_core.screening.spike import Limits
from egret_core.screening.trail import LOOK_BACK_MAX_MS
from egret_core.units import UnitError, convert, factor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from egret_core.rules.model import ChannelPlace

    At = tuple[str, str]

_KEYS = (
    *("unit", "range", "seasonal", "utc_offset", "spike", "rate"),
    *("flat_line", "neighbours", "gap_s"),
)
_VALUES = ("range", "seasonal", "spike", "rate", "flat_line", "neighbours")
_MONTHS = 12
_DECIMALS = 12  # of a difference or a rate: below any that is believed
_OFFSET = re.compile(r"([+-])(0\d|1[0-4]):([0-5]\d)")
_SPAN_KEYS = ("fail", "suspect")


def screening_of(file: str, key: str, body: object, quantity: str) -> ScreeningLaw:
    """Return the limits in a table.

    Raises:
        ConfigError: names file, key, value seen and remedy.
    """
    row = table(file, key, body)
    refuse_unknown(file, key, row, _KEYS)
    unit = _unit((file, f"{key}.unit"), row, quantity)
    made = _Made(file, key, row, quantity, unit)
    sensor, operator = made.spans("range", row["range"]) if "range" in row else (ANY, ANY)
    flat, movement = made.flat_line() if "flat_line" in row else (None, ())
    return ScreeningLaw(
        sensor=sensor,
        operator=operator,
        seasons=made.seasons() if "seasonal" in row else (),
        utc_offset_ms=made.utc_offset_ms(),
        spike=made.spike() if "spike" in row else None,
        rate=made.rate() if "rate" in row else None,
        flat=flat,
        movement=movement,
        neighbours=made.neighbours() if "neighbours" in row else None,
        gap_ms=made.duration_ms("gap_s", row["gap_s"]) if "gap_s" in row else None,
    )


def check_company(
    file: str, key: str, place: ChannelPlace, places: Mapping[Pair, ChannelPlace]
) -> None:
    """Refuse a channel that its screening cannot ask.

    Raises:
        ConfigError: unknown, itself, or a neighbour of another quantity or datum.
    """
    law = place.screening
    if law is None:
        return
    beside = law.neighbours.channels if law.neighbours is not None else ()
    asked = [(f"{key}.flat_line.movement", pair) for pair in law.movement]
    for where, pair in (*asked, *((f"{key}.neighbours.channels", pair) for pair in beside)):
        name = "/".join(pair)
        if pair not in places:
            names = ["/".join(known) for known in places]
            raise ConfigError(file, where, name, meant(name, names, "unknown channel"))
        if name == place.name:
            raise ConfigError(file, where, name, "name another channel than its own")
    for pair in beside:
        its = places[pair]
        if (its.quantity, its.datum) != (place.quantity, place.datum):
            remedy = f"name channels of {place.quantity} from datum {place.datum or 'none'!r}"
            raise ConfigError(file, f"{key}.neighbours.channels", its.name, remedy)


def _unit(at: At, row: Mapping[str, Any], quantity: str) -> str:
    """Return the unit of the table's values, "" where it has none."""
    if "unit" not in row and not any(key in row for key in _VALUES):
        return ""
    unit = text_of(*at, row.get("unit"))
    try:
        factor(quantity, unit)
    except UnitError as error:
        raise ConfigError(*at, unit, str(error)) from None
    return unit


class _Made:
    """Reads the keys of one table."""

    def __init__(
        self, file: str, key: str, row: Mapping[str, Any], quantity: str, unit: str
    ) -> None:
        self._file, self._key, self._row = file, key, row
        self._quantity, self._unit = quantity, unit

    def spans(self, name: str, body: object) -> tuple[Span, Span]:
        """Return what fails outside, and what is suspect outside."""
        row = self._table(name, body, _SPAN_KEYS)
        if not row:
            self._refuse(name, body, "write fail = [low, high], suspect = [low, high], or both")
        sensor = self._span(f"{name}.fail", row["fail"]) if "fail" in row else ANY
        operator = self._span(f"{name}.suspect", row["suspect"]) if "suspect" in row else ANY
        if "suspect" in row and not (sensor.holds(operator.low) and sensor.holds(operator.high)):
            self._refuse(f"{name}.suspect", row["suspect"], "keep it within what does not fail")
        return sensor, operator

    def seasons(self) -> tuple[Season, ...]:
        """Return the spans by month; no month twice."""
        out: list[Season] = []
        seen: set[int] = set()
        for at, row in enumerate(rows(self._file, f"{self._key}.seasonal", self._row["seasonal"])):
            name = f"seasonal[{at}]"
            refuse_unknown(self._file, f"{self._key}.{name}", row, ("months", *_SPAN_KEYS))
            months = row.get("months")
            if not _are_months(months) or seen & set(months):
                self._refuse(f"{name}.months", months, "list months, 1 to 12, each of them once")
            seen |= set(months)
            spans = {key: row[key] for key in _SPAN_KEYS if key in row}
            sensor, operator = self.spans(name, spans)
            out.append(Season(tuple(months), operator, sensor))
        if not out:
            self._refuse("seasonal", self._row["seasonal"], "list a season, or leave it out")
        return tuple(out)

    def utc_offset_ms(self) -> int:
        """Return the offset of the months' local time, ms."""
        text = self._row.get("utc_offset")
        if "seasonal" not in self._row and text is None:
            return 0
        found = _OFFSET.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            self._refuse("utc_offset", text, 'write the offset of the months, e.g. "+08:00"')
        sign, hours, minutes = found.groups()
        return (-1 if sign == "-" else 1) * (int(hours) * 60 + int(minutes)) * 60_000

    def spike(self) -> Limits:
        """Return the sizes of a spike."""
        row = self._table("spike", self._row["spike"], ("suspect", "fail"))
        suspect = self._size("spike.suspect", row.get("suspect"))
        if "fail" not in row:
            return Limits(suspect)
        fail = self._size("spike.fail", row["fail"])
        if fail < suspect:
            self._refuse("spike.fail", row["fail"], "write at least what is suspect")
        return Limits(suspect, fail)

    def rate(self) -> Limits:
        """Return the rate that is doubted; none fails."""
        row = self._table("rate", self._row["rate"], ("suspect_per_s",))
        return Limits(self._size("rate.suspect_per_s", row.get("suspect_per_s")))

    def flat_line(self) -> tuple[Stillness, tuple[Pair, ...]]:
        """Return when it is flat, and the reasons to expect movement."""
        keys = ("tolerance", "suspect_s", "fail_s", "movement")
        row = self._table("flat_line", self._row["flat_line"], keys)
        tolerance = self._size("flat_line.tolerance", row.get("tolerance"))
        suspect_ms = self.duration_ms("flat_line.suspect_s", row.get("suspect_s"))
        fail_ms = None
        if "fail_s" in row:
            fail_ms = self.duration_ms("flat_line.fail_s", row["fail_s"])
            if fail_ms < suspect_ms:
                self._refuse("flat_line.fail_s", row["fail_s"], "write at least suspect_s")
        pairs = self._pairs("flat_line.movement", row["movement"]) if "movement" in row else ()
        if not pairs and self._quantity in TOTALS:
            remedy = "name movement: a total is still for as long as nothing comes"
            self._refuse("flat_line", self._row["flat_line"], remedy)
        if pairs and suspect_ms > LOOK_BACK_MAX_MS:
            remedy = f"with movement write at most {LOOK_BACK_MAX_MS // 1000}"
            self._refuse("flat_line.suspect_s", row["suspect_s"], remedy)
        return Stillness(tolerance, suspect_ms, fail_ms), pairs

    def neighbours(self) -> NeighbourLaw:
        """Return how far it may be off its neighbours."""
        keys = ("channels", "off_by", "least")
        row = self._table("neighbours", self._row["neighbours"], keys)
        if self._quantity in TOTALS:
            remedy = "leave it out: totals begin anywhere; compare them by flat_line.movement"
            self._refuse("neighbours", self._row["neighbours"], remedy)
        pairs = self._pairs("neighbours.channels", row.get("channels"))
        least = row.get("least", 1)
        if isinstance(least, bool) or not isinstance(least, int) or not 1 <= least <= len(pairs):
            self._refuse("neighbours.least", least, f"write a whole number, 1 to {len(pairs)}")
        return NeighbourLaw(pairs, self._size("neighbours.off_by", row.get("off_by")), least)

    def duration_ms(self, name: str, value: object) -> int:
        """Return a duration of more than 0 s, ms."""
        found = round(number(self._file, f"{self._key}.{name}", value) * 1000)
        if found <= 0:
            self._refuse(name, value, "write more than 0")
        return found

    def _table(self, name: str, body: object, keys: Sequence[str]) -> Mapping[str, Any]:
        row = table(self._file, f"{self._key}.{name}", body)
        refuse_unknown(self._file, f"{self._key}.{name}", row, keys)
        return row

    def _span(self, name: str, body: object) -> Span:
        if not isinstance(body, list) or len(body) != 2:  # noqa: PLR2004  (low and high)
            self._refuse(name, body, "write [low, high]")
        low, high = (self._converted(name, value, self._canonical) for value in body)
        if not low < high:
            self._refuse(name, body, "write the lower bound first")
        return Span(low, high)

    def _size(self, name: str, value: object) -> float:
        size = self._converted(name, value, self._difference)
        if size <= 0:
            self._refuse(name, value, "write more than 0")
        return size

    def _converted(self, name: str, value: object, to: Callable[[float], float]) -> float:
        return to(number(self._file, f"{self._key}.{name}", value))

    def _canonical(self, value: float) -> float:
        return convert(self._quantity, value, self._unit)

    def _difference(self, value: float) -> float:
        return round(value * factor(self._quantity, self._unit)[0], _DECIMALS)

    def _pairs(self, name: str, body: object) -> tuple[Pair, ...]:
        if not isinstance(body, list) or not body:
            self._refuse(name, body, 'list channels, e.g. ["st0008/wl"]')
        out: dict[Pair, None] = {}
        for at, word in enumerate(body):
            left, slash, right = text_of(self._file, f"{self._key}.{name}[{at}]", word).partition(
                "/"
            )
            if not slash:
                self._refuse(f"{name}[{at}]", word, "write station/channel")
            out[left, right] = None
        return tuple(out)

    def _refuse(self, name: str, seen: object, remedy: str) -> NoReturn:
        raise ConfigError(self._file, f"{self._key}.{name}", seen, remedy)


def _are_months(value: object) -> TypeGuard[list[int]]:
    if not isinstance(value, list) or not value or len(set(map(str, value))) != len(value):
        return False
    return all(type(month) is int and 1 <= month <= _MONTHS for month in value)
