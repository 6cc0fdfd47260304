"""The catalogue: places, names, which gateway owns a channel, and the rules bound to them.

A folder with `stations.toml` and `rules.toml`, read once and checked as a whole.

```toml
[[station]]
id = "st0007"
name = "Luoling bridge"
latitude = 24.5
longitude = 118.1
[[station.channel]]
id = "wl"
quantity = "water_level"
datum = "Luoling"
gateway = "XM-TA-0042"   # or feed = "NAME": a bureau's system hands its readings in by HTTP
# late_s = 31     allowed lateness; left out: 30 s beyond the cut that the gateway tells
# period_s = 60   how often it is read; where the gateway tells it, the gateway's word counts
# [station.channel.screening]   what is believed of its values: egret_core.rules.screening_table
```

The whole catalogue also travels as one journal entry (`payload`, `from_payload`), so that what
was committed before a change is judged by the rules of its time.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules.binding import bind
from egret_core.rules.joining import AREA
from egret_core.rules.model import LATE_MAX_S, ChannelPlace
from egret_core.rules.packs import (
    Pack,
    number,
    parse_pack,
    parse_toml,
    refuse_unknown,
    rows,
    table,
    text_of,
)
from egret_core.rules.screening_table import check_company, screening_of
from egret_core.sources import FEED, GATEWAY
from egret_core.topics import CENTRE, is_id
from egret_core.units import UnitError, canonical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from egret_core.rules.model import BoundRule

__all__ = [
    "Catalogue",
    "ChannelPlace",
    "Station",
    "from_payload",
    "load",
    "of_texts",
    "packaged",
]

STATIONS = "stations.toml"
RULES = "rules.toml"
_NEEDS_DATUM = ("water_level",)  # a depth or a rain total is its own zero
_STATION_KEYS = ("id", "name", "latitude", "longitude", "channel", "extra")
_CHANNEL_KEYS = ("id", "quantity", "datum", "gateway", "feed", "late_s", "period_s", "screening")
_FEED_NAME = re.compile(r"[A-Za-z0-9_.-]{1,48}")  # a token's name
_VERSION_DIGITS = 16
_PERIOD_MAX_S = 31 * 86_400.0  # as on the wire (`egret_core.entries`)


@dataclass(frozen=True, slots=True)
class Station:
    """A place with its channels.

    Attributes:
        id: on the wire; name: for people.
        latitude, longitude: WGS 84 degrees.
        channels: by id; extra: free facts, `[station.extra]`.
    """

    id: str
    name: str
    latitude: float
    longitude: float
    channels: Mapping[str, ChannelPlace]
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A whole, checked catalogue.

    Attributes:
        stations: by id; rules: in the order of the file.
        version: hash of everything it was made from, packs included.
        texts: what it was made from: file name or pack id -> text.
    """

    stations: Mapping[str, Station]
    rules: tuple[BoundRule, ...]
    version: str
    texts: Mapping[str, str]

    def owner(self, station: str, channel: str) -> str | None:
        """Return the gateway that owns a channel, None where the channel is not known."""
        place = self.place(station, channel)
        return None if place is None else place.gateway

    def place(self, station: str, channel: str) -> ChannelPlace | None:
        """Return what is known of a channel, None where nothing is."""
        here = self.stations.get(station)
        return None if here is None else here.channels.get(channel)

    def places(self) -> tuple[ChannelPlace, ...]:
        """Return every channel, station by station."""
        return tuple(
            place for station in self.stations.values() for place in station.channels.values()
        )

    def payload(self) -> bytes:
        """Return the whole catalogue as the body of a journal's change entry."""
        return json.dumps({"catalogue": self.version, "texts": dict(self.texts)}).encode()


def load(folder: Path, rules: Path | None = None) -> Catalogue:
    """Return the catalogue in a folder, with these rules in the stead of its own.

    Raises:
        ConfigError: names file, key, value seen and remedy.
    """
    paths = {STATIONS: folder / STATIONS, RULES: rules or folder / RULES}
    texts: dict[str, str] = {}
    for name, path in paths.items():
        try:
            texts[name] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ConfigError(str(path), "(file)", str(error), "write UTF-8") from None
        except OSError as error:
            remedy = "name a file that is there and may be read"
            raise ConfigError(str(path), "(file)", error.strerror, remedy) from None
    return _made(texts, packaged(), {name: str(path) for name, path in paths.items()})


def of_texts(stations: str, rules: str, file: str) -> Catalogue:
    """Return the catalogue in two texts that stand in one file.

    Raises:
        ConfigError: names file, key, value seen and remedy.
    """
    return _made({STATIONS: stations, RULES: rules}, packaged(), {STATIONS: file, RULES: file})


def from_payload(payload: bytes) -> Catalogue:
    """Return the catalogue in a change entry, judged with the packs of its own time.

    Raises:
        ConfigError: the body is none, or no longer fits this version of the program.
    """
    try:
        texts = {str(key): str(text) for key, text in json.loads(payload)["texts"].items()}
        files_in = {name: texts[name] for name in (STATIONS, RULES)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        remedy = "change entries are written by Catalogue.payload"
        raise ConfigError("(journal)", "change", str(error), remedy) from None
    packs = [parse_pack(text, key) for key, text in texts.items() if key.startswith("pack ")]
    return _made(files_in, packs, {name: f"(journal)/{name}" for name in files_in})


def packaged() -> tuple[Pack, ...]:
    """Return the packs that come with the program."""
    folder = files("egret_core") / "packs"
    found = sorted(folder.iterdir(), key=lambda path: path.name)
    return tuple(
        parse_pack(path.read_text(encoding="utf-8"), path.name)
        for path in found
        if path.name.endswith(".toml")
    )


def _made(
    given: Mapping[str, str], packs: Sequence[Pack], files_of: Mapping[str, str]
) -> Catalogue:
    texts = {STATIONS: given[STATIONS], RULES: given[RULES]}
    stations = _stations(texts[STATIONS], files_of[STATIONS])
    places = {
        (station.id, place.channel): place
        for station in stations.values()
        for place in station.channels.values()
    }
    by_id = {pack.id: pack for pack in packs}
    rules = bind(texts[RULES], files_of[RULES], by_id, places)
    used = {rule.pack.partition("@")[0] for rule in rules}
    texts.update({f"pack {name}": by_id[name].text for name in sorted(used)})
    digest = hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()
    return Catalogue(stations, rules, digest[:_VERSION_DIGITS], texts)


def _stations(text: str, file: str) -> dict[str, Station]:
    body = parse_toml(text, file)
    refuse_unknown(file, "", body, ("station",))
    out: dict[str, Station] = {}
    for at, row in enumerate(rows(file, "station", body.get("station", []))):
        station = _station(file, f"station[{at}]", row)
        if station.id in out:
            remedy = "give every station an id of its own"
            raise ConfigError(file, f"station[{at}].id", station.id, remedy)
        out[station.id] = station
    _check_company(file, out)
    return out


def _check_company(file: str, stations: Mapping[str, Station]) -> None:
    places = {
        (station.id, place.channel): place
        for station in stations.values()
        for place in station.channels.values()
    }
    for n, station in enumerate(stations.values()):
        for m, place in enumerate(station.channels.values()):
            check_company(file, f"station[{n}].channel[{m}].screening", place, places)


def _station(file: str, key: str, row: Mapping[str, Any]) -> Station:
    refuse_unknown(file, key, row, _STATION_KEYS)
    station_id = _id(file, f"{key}.id", row.get("id"), (GATEWAY, CENTRE, AREA))
    channels: dict[str, ChannelPlace] = {}
    for at, body in enumerate(rows(file, f"{key}.channel", row.get("channel", []))):
        where = f"{key}.channel[{at}]"
        place = _channel(file, where, station_id, body)
        if place.channel in channels:
            remedy = "give every channel of a station an id of its own"
            raise ConfigError(file, f"{where}.id", place.channel, remedy)
        channels[place.channel] = place
    return Station(
        id=station_id,
        name=text_of(file, f"{key}.name", row.get("name")),
        latitude=_degrees(file, f"{key}.latitude", row.get("latitude"), 90),
        longitude=_degrees(file, f"{key}.longitude", row.get("longitude"), 180),
        channels=channels,
        extra=table(file, f"{key}.extra", row.get("extra", {})),
    )


def _channel(file: str, key: str, station: str, row: Mapping[str, Any]) -> ChannelPlace:
    refuse_unknown(file, key, row, _CHANNEL_KEYS)
    channel = _id(file, f"{key}.id", row.get("id"))
    quantity = text_of(file, f"{key}.quantity", row.get("quantity"))
    try:
        unit = canonical(quantity)
    except UnitError as error:
        raise ConfigError(file, f"{key}.quantity", quantity, str(error)) from None
    datum = text_of(file, f"{key}.datum", row.get("datum", ""))
    if quantity in _NEEDS_DATUM and not datum:
        remedy = f"name the vertical datum that {quantity} is measured from"
        raise ConfigError(file, f"{key}.datum", datum, remedy)
    late_s = row.get("late_s")
    if late_s is not None:
        late_s = number(file, f"{key}.late_s", late_s, 0)
        if late_s > LATE_MAX_S:
            raise ConfigError(file, f"{key}.late_s", late_s, f"write at most {LATE_MAX_S:g}")
    owner = _owner(file, key, row)
    period_s = _period_s(file, f"{key}.period_s", row.get("period_s"))
    screening = None
    if "screening" in row:
        screening = screening_of(file, f"{key}.screening", row["screening"], quantity)
    return ChannelPlace(station, channel, quantity, unit, datum, owner, late_s, screening, period_s)


def _period_s(file: str, key: str, value: object) -> float:
    """Return how often a channel is read, 0 where nobody says."""
    if value is None:
        return 0.0
    period_s = number(file, key, value)
    if not 0 < period_s <= _PERIOD_MAX_S:
        remedy = f"write seconds, more than 0 and at most {_PERIOD_MAX_S:g}, or leave it out"
        raise ConfigError(file, key, value, remedy)
    return period_s


def _owner(file: str, key: str, row: Mapping[str, Any]) -> str:
    """Return who owns a channel: a gateway, or a bureau's system that hands readings in."""
    feed = row.get("feed")
    if feed is None:
        return _id(file, f"{key}.gateway", row.get("gateway"), (CENTRE,))
    if "gateway" in row:
        remedy = "name a gateway or a feed: one of them owns the channel"
        raise ConfigError(file, f"{key}.feed", feed, remedy)
    if not isinstance(feed, str) or _FEED_NAME.fullmatch(feed) is None:
        raise ConfigError(file, f"{key}.feed", feed, "write the name of the feeder's token")
    return f"{FEED}{feed}"


def _id(file: str, key: str, value: object, reserved: tuple[str, ...] = ()) -> str:
    if not is_id(value):
        raise ConfigError(file, key, value, "write 1 to 48 of A-Z a-z 0-9 _ -")
    if value in reserved:
        raise ConfigError(file, key, value, "choose another: it is a reserved word")
    return value


def _degrees(file: str, key: str, value: object, limit: float) -> float:
    degrees = number(file, key, value, -limit)
    if degrees > limit:
        raise ConfigError(file, key, value, f"write degrees, at most {limit:g}")
    return degrees
