"""One canonical unit per quantity; the wire and the store carry nothing else.

Units that people and devices use are turned into the canonical one at the edges: in a device
profile, in a threshold, in an import. The factor is exact where the unit is defined exactly
(international foot 0.3048 m, inch 25.4 mm; NIST SP 811, appendix B).
"""

from __future__ import annotations

from math import isfinite

from egret_core.spelling import meant

CANONICAL: dict[str, str] = {
    "water_level": "m",
    "water_depth": "m",
    "rain_total": "mm",  # a persisted, never-decreasing total; the centre differences it
    "rain_forecast": "mm",  # expected over a time ahead, from when the forecast was made
    "rain_intensity": "mm/h",
    "discharge": "m3/s",
    "velocity": "m/s",
    "pore_pressure": "kPa",
    "pressure": "kPa",
    "soil_moisture": "%",
    "tilt": "deg",
    "displacement": "mm",
    "settlement": "mm",
    "crack_width": "mm",
    "strain": "ue",
    "frequency": "Hz",
    "period": "us",  # of a vibrating wire
    "wire_reading": "digit",  # of a vibrating wire: f squared / 1000
    "temperature": "degC",
    "humidity": "%",
    "voltage": "V",
    "current": "mA",
    "resistance": "ohm",
    "signal": "dB",
    "state": "1",
    "count": "1",  # a persisted, never-decreasing total of pulses
}

# unit -> (dimension, scale, offset): canonical-of-dimension = number * scale + offset
_UNITS: dict[str, tuple[str, float, float]] = {
    "m": ("length_m", 1.0, 0.0),
    "cm": ("length_m", 0.01, 0.0),
    "mm": ("length_m", 0.001, 0.0),
    "um": ("length_m", 1e-6, 0.0),
    "ft": ("length_m", 0.3048, 0.0),
    "in": ("length_m", 0.0254, 0.0),
    "mm/h": ("rain_rate", 1.0, 0.0),
    "mm/min": ("rain_rate", 60.0, 0.0),
    "in/h": ("rain_rate", 25.4, 0.0),
    "m3/s": ("flow", 1.0, 0.0),
    "l/s": ("flow", 0.001, 0.0),
    "ft3/s": ("flow", 0.028316846592, 0.0),
    "m/s": ("speed", 1.0, 0.0),
    "mm/s": ("speed", 0.001, 0.0),
    "kPa": ("pressure", 1.0, 0.0),
    "Pa": ("pressure", 0.001, 0.0),
    "MPa": ("pressure", 1000.0, 0.0),
    "hPa": ("pressure", 0.1, 0.0),
    "mbar": ("pressure", 0.1, 0.0),
    "bar": ("pressure", 100.0, 0.0),
    "mH2O": ("pressure", 9.80665, 0.0),
    "psi": ("pressure", 6.894757293168, 0.0),
    "inHg": ("pressure", 3.386389, 0.0),
    "%": ("share", 1.0, 0.0),
    "m3/m3": ("share", 100.0, 0.0),
    "deg": ("angle", 1.0, 0.0),
    "rad": ("angle", 57.29577951308232, 0.0),
    "ue": ("strain", 1.0, 0.0),
    "Hz": ("frequency", 1.0, 0.0),
    "us": ("period", 1.0, 0.0),
    "digit": ("wire_reading", 1.0, 0.0),
    "degC": ("temperature", 1.0, 0.0),
    "degF": ("temperature", 5.0 / 9.0, -160.0 / 9.0),
    "K": ("temperature", 1.0, -273.15),
    "V": ("voltage", 1.0, 0.0),
    "mV": ("voltage", 0.001, 0.0),
    "mA": ("current", 1.0, 0.0),
    "ohm": ("resistance", 1.0, 0.0),
    "kohm": ("resistance", 1000.0, 0.0),
    "dB": ("signal", 1.0, 0.0),
    "1": ("none", 1.0, 0.0),
}

# Nine decimals of a canonical unit: below any sensor's noise, above binary fractions' dust, so
# that 300 hundredths of a foot and a threshold of "3.0 ft" are the same number of metres.
_DECIMALS = 9


class UnitError(ValueError):
    """A quantity or unit that is not known, or a unit that cannot measure the quantity."""


def canonical(quantity: str) -> str:
    """Return the canonical unit of a quantity.

    Raises:
        UnitError: the quantity is not known; the message lists those that are.
    """
    try:
        return CANONICAL[quantity]
    except KeyError:
        known = ", ".join(sorted(CANONICAL))
        raise UnitError(
            f"unknown quantity {quantity!r}{meant(quantity, CANONICAL)}; known: {known}"
        ) from None


def factor(quantity: str, unit: str) -> tuple[float, float]:
    """Return (scale, offset) that turn a number in `unit` into the canonical unit.

    Raises:
        UnitError: unknown quantity or unit, or a unit of another dimension.
    """
    home = canonical(quantity)
    if unit not in _UNITS:
        raise UnitError(f"unknown unit {unit!r}{meant(unit, _UNITS)}; known: {', '.join(_UNITS)}")
    dimension, scale, offset = _UNITS[unit]
    home_dimension, home_scale, home_offset = _UNITS[home]
    if dimension != home_dimension:
        fitting = ", ".join(u for u, (d, _, _) in _UNITS.items() if d == home_dimension)
        raise UnitError(f"{unit!r} cannot measure {quantity} (try {fitting})")
    return scale / home_scale, (offset - home_offset) / home_scale


def convert(quantity: str, value: float, unit: str) -> float:
    """Return `value` given in `unit` as the canonical unit, rounded to nine decimals.

    Raises:
        UnitError: as `factor`, and for NaN or infinity.
    """
    scale, offset = factor(quantity, unit)
    if not isfinite(value):
        raise UnitError(f"{value} is not a number of {unit}")
    return settle(value * scale + offset)


def settle(value: float) -> float:
    """Round a canonical value to the nine decimals that every edge uses."""
    return round(value, _DECIMALS)
