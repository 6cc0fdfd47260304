"""Surge residual: level of the sea minus the tide that was predicted for it (detector D12).

    residual(t) = level(t) - mean - sum A cos(w t - g)

level, mean, A: m, from the channel's datum; t: hours since the epoch of the table; A, w, g:
amplitude, speed in degrees/h and phase in degrees of each constituent. The table comes from a
harmonic analysis of the gauge's own record with that epoch (offline, e.g. `utide`): equilibrium
argument and nodal corrections are inside A and g, so that it is true near its epoch only, and
`invalid` further away than `valid_d` days. Source: Pugh, Tides, Surges and Mean Sea-Level (1987),
chapter 4 (named, not read). State: none. Cost: a cosine a constituent, at most `CONSTITUENTS_MAX`.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from math import cos, radians
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core.errors import ConfigError
from egret_core.rules.index import Standing
from egret_core.rules.level_place import in_canonical, one_quantity, same_datum
from egret_core.rules.model import IndexLaw
from egret_core.rules.packs import number, refuse_unknown, rows, text_of, word_of
from egret_core.rules.rungs import ladder_of, rungs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import ChannelPlace
    from egret_core.rules.rungs import At

CONSTITUENTS_MAX = 128  # rows; an analysis of a year tells about 60 apart
DECIMALS = 4  # of a metre: below any gauge's noise
MS_PER_H = 3_600_000
MS_PER_D = 86_400_000
TURN_DEG = 360.0
AMPLITUDE_MAX_M = 10.0  # the largest tides on earth range over 16 m, half of it one way
SPEED_MAX_DEG_PER_H = 360.0  # a turn an hour: twice the fastest tide of shallow water
_ROW_KEYS = ("name", "amplitude", "speed_deg_per_h", "phase_deg")


class Constituent(NamedTuple):
    """One cosine of the tide: amplitude in m, speed in degrees/h, phase in degrees."""

    name: str
    amplitude_m: float
    speed_deg_per_h: float
    phase_deg: float


class Tide(NamedTuple):
    """A table of constituents.

    Attributes:
        epoch_ms: where its hours begin; valid_ms: how far from it the table is true.
        mean_m: mean level, from the channel's datum; constituents: its rows.
    """

    epoch_ms: int
    valid_ms: int
    mean_m: float
    constituents: tuple[Constituent, ...]

    def level_m(self, time_ms: int) -> float:
        """Return the predicted level, m."""
        hours = (time_ms - self.epoch_ms) / MS_PER_H
        return self.mean_m + sum(
            one.amplitude_m * cos(radians((one.speed_deg_per_h * hours - one.phase_deg) % TURN_DEG))
            for one in self.constituents
        )


class Surge:
    """The residual at one gauge; takes levels in m."""

    __slots__ = ("_level_m", "_predicted_m", "_tide", "standing")

    def __init__(self, tide: Tide) -> None:
        self._tide = tide
        self._level_m = self._predicted_m = 0.0
        self.standing = Standing.WARMING_UP

    def take(self, time_ms: int, value: float) -> float | None:
        """Take a level; return the residual, m, None where the table is not true."""
        if abs(time_ms - self._tide.epoch_ms) > self._tide.valid_ms:
            self.standing = Standing.INVALID
            return None
        self.standing = Standing.OK
        self._level_m, self._predicted_m = value, self._tide.level_m(time_ms)
        # Cosines differ in their last digit from machine to machine, and events may not.
        return round(value - self._predicted_m, DECIMALS) + 0.0

    def evidence(self) -> Mapping[str, Any]:
        """Return level and prediction, m."""
        return {"level_m": self._level_m, "predicted_m": round(self._predicted_m, DECIMALS)}

    def dump(self) -> list[Any]:
        """Return the standing: there is no other state."""
        return [str(self.standing)]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self.standing = Standing(saved[0])


def law(at: At, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> IndexLaw:
    """Return the law of these parameters.

    Raises:
        ConfigError: a channel that is no level in m, another datum, a table that is none.
    """
    quantity = one_quantity(at, places)
    if places[0].unit != "m":
        remedy = f"{places[0].name} measures {quantity}: bind a level of water"
        raise ConfigError(at[0], f"{at[1]}.levels", quantity, remedy)
    same_datum(at, given, places)

    def metres(where: At, value: object) -> float:
        return in_canonical(where, quantity, value, given["unit"])

    file, key = at
    tide = Tide(
        epoch_ms=_epoch_ms((file, f"{key}.epoch"), given["epoch"]),
        valid_ms=round(given["valid_d"] * MS_PER_D),
        mean_m=metres((file, f"{key}.mean"), given["mean"]),
        constituents=_constituents(at, given["constituents"], given["unit"], quantity),
    )
    # The residual is a difference: the datum is in the mean, and the thresholds have none.
    ladder = ladder_of(given, rungs(at, given, metres), "m")
    return IndexLaw("surge_residual", partial(Surge, tide), ladder, span_ms=0)


def _constituents(at: At, table: object, unit: str, quantity: str) -> tuple[Constituent, ...]:
    file, key = at
    listed = rows(file, f"{key}.constituents", table)
    if not 1 <= len(listed) <= CONSTITUENTS_MAX:
        remedy = f"list 1 to {CONSTITUENTS_MAX} constituents"
        raise ConfigError(file, f"{key}.constituents", len(listed), remedy)
    out: dict[str, Constituent] = {}
    for index, row in enumerate(listed):
        where = f"{key}.constituents[{index}]"
        refuse_unknown(file, where, row, _ROW_KEYS)
        name = word_of(file, f"{where}.name", row.get("name"))
        if name in out:
            raise ConfigError(file, f"{where}.name", name, "name each constituent once")
        amplitude = number(file, f"{where}.amplitude", row.get("amplitude"), 0.0)
        amplitude_m = in_canonical((file, f"{where}.amplitude"), quantity, amplitude, unit)
        if amplitude_m > AMPLITUDE_MAX_M:
            remedy = f"write at most {AMPLITUDE_MAX_M:g} m: no tide is larger"
            raise ConfigError(file, f"{where}.amplitude", amplitude, remedy)
        speed = number(file, f"{where}.speed_deg_per_h", row.get("speed_deg_per_h"), 0.0)
        if speed > SPEED_MAX_DEG_PER_H:
            remedy = f"write at most {SPEED_MAX_DEG_PER_H:g}: degrees an hour, as M2 is 28.98"
            raise ConfigError(file, f"{where}.speed_deg_per_h", speed, remedy)
        phase = number(file, f"{where}.phase_deg", row.get("phase_deg"))
        out[name] = Constituent(name, amplitude_m, speed, phase)
    return tuple(out.values())


def _epoch_ms(at: At, value: object) -> int:
    text = text_of(*at, value)
    try:
        epoch = datetime.fromisoformat(text)
    except ValueError:
        epoch = None
    if epoch is None or epoch.tzinfo is None:
        remedy = 'write date and time with an offset, e.g. "2026-01-01T00:00:00+00:00"'
        raise ConfigError(*at, value, remedy)
    return round(epoch.timestamp() * 1000)
