"""NMEA 0183: a sentence's name and fields, and what they say; pure.

`$` address, fields between commas, `*` and two hex digits, CR LF; at most 82 characters (NMEA 0183
5.3). The address of a standard sentence is two letters of the talker and three of the sentence;
proprietary ones have names of their own, and their fields are named by a profile.

| derived field of GGA | meaning |
|---|---|
| `height` | metres above the ellipsoid: altitude plus geoid separation |
| `east`, `north`, `up` | metres from the device's base |
"""

from __future__ import annotations

import re
from math import nan
from typing import TYPE_CHECKING, NamedTuple

from egret_gateway.protocols.geodesy import Offset, Position, offset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Values = Mapping[str, float | str]

FIELDS_MAX = 64  # the standard's longest sentence has 22; proprietary ones may be longer
TALKER_CHARS = 2
OFFSETS = Offset._fields
HEIGHT = "height"
FIXED = "GGA"
_SPLIT = re.compile(r"[A-Z][A-Z0-9]{1,11}(,[^,]*+)*+")
_NUMBER = re.compile(r"\s*+[+-]?(\d++(\.\d*+)?|\.\d++)([eE][+-]?\d{1,3})?\s*+", re.ASCII)
_SIDES = {"lat": ("NS", "NS"), "lon": ("EW", "EW")}  # without its side an angle has no sign
_UNITS = {"altUnit": "M", "sepUnit": "M", "depthmu": "M"}
_LATITUDE_MAX, _LONGITUDE_MAX = 90.0, 180.0


class Sentence(NamedTuple):
    """A sentence, its checksum proven: `address` such as ``SDDPT`` or ``LVX``, and its fields."""

    address: str
    fields: tuple[str, ...]

    def is_of(self, name: str, talker: str = "") -> bool:
        """Tell whether it is the sentence `name`, of that talker where one is given.

        A name is the whole address, or three letters behind any talker.
        """
        if self.address == name:
            return not talker or name.startswith(talker)
        return self.address[TALKER_CHARS:] == name and self.address.startswith(talker)


def split(text: str) -> Sentence | None:
    """Return the sentence that stands in a line without `$` and checksum, None for none."""
    if not _SPLIT.fullmatch(text):
        return None
    address, *fields = text.split(",")
    return Sentence(address, tuple(fields)) if len(fields) <= FIELDS_MAX else None


def number(text: str) -> float:
    """Return the number that a field holds, NaN for an empty one or anything else."""
    return float(text) if _NUMBER.fullmatch(text) else nan


def standard(name: str) -> tuple[str, ...]:
    """Return the field names of a standard sentence, () for one that is not known."""
    # Loaded only where a line speaks NMEA: it is 60 modules.
    from pynmeagps import nmeatypes_get  # noqa: PLC0415

    known = nmeatypes_get.NMEA_PAYLOADS_GET.get(name, {})
    found = tuple(field for field, kind in known.items() if isinstance(kind, str))
    return (*found, HEIGHT, *OFFSETS) if name == FIXED and found else found


def read(sentence: Sentence, name: str, base: Position | None) -> Values:
    """Return a standard sentence's values by field name; an empty field is left out.

    Empty as a whole where it does not hold what the standard promises. Latitude and longitude are
    signed degrees.
    """
    from pynmeagps import GET, NMEAMessage, exceptions  # noqa: PLC0415  (see `standard`)

    talker = sentence.address.removesuffix(name)
    payload = list(sentence.fields)
    try:
        message = NMEAMessage(talker, name, GET, validate=0, checksum="", payload=payload)
    except (exceptions.NMEATypeError, exceptions.NMEAMessageError):
        return {}
    values: dict[str, float | str] = {
        field: value
        for field in standard(name)
        if isinstance(value := getattr(message, field, ""), int | float | str) and value != ""
    }
    if not _sided(values) or any(values.get(unit, m) != m for unit, m in _UNITS.items()):
        return {}
    if name == FIXED:
        _locate(values, base)
    return values


def read_named(sentence: Sentence, names: Sequence[str]) -> Values:
    """Return a proprietary sentence's values by the names a profile gives; "" names none."""
    pairs = zip(names, sentence.fields, strict=False)
    return {name: field for name, field in pairs if name and field}


def _sided(values: Values) -> bool:
    return all(
        str(values.get(side, "-")) in letters
        for angle, (side, letters) in _SIDES.items()
        if angle in values
    )


def _locate(values: dict[str, float | str], base: Position | None) -> None:
    """Add height and, where there is a base, the way from it; only where all is known."""
    parts = [values.get(field) for field in ("lat", "lon", "alt", "sep")]
    if not all(isinstance(part, int | float) for part in parts):
        return
    latitude, longitude, altitude, separation = (float(part) for part in parts if part is not None)
    if abs(latitude) > _LATITUDE_MAX or abs(longitude) > _LONGITUDE_MAX:
        return
    values[HEIGHT] = altitude + separation
    if base is not None:
        point = Position(latitude, longitude, altitude + separation)
        values.update(offset(base, point)._asdict())
