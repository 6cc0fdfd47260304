"""How gateways are enrolled; key `[enrolment]`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.toml_table import TomlTable

DAYS = 1095  # three years
BUNDLE_DAYS_MAX = 60  # a bundle is for the next trip to the field, not for a drawer
OVERLAP_H = 168.0  # a week: a gateway in a dead spot still comes round


class Kind(StrEnum):
    """What proves a gateway to the broker."""

    PASSWORD = "password"  # noqa: S105  (a kind, no secret)
    CERTIFICATE = "certificate"


class Program(StrEnum):
    """Whose configuration is written."""

    NATS = "nats"
    MOSQUITTO = "mosquitto"


@dataclass(frozen=True, slots=True)
class EnrolmentSettings:
    """How gateways are enrolled; key `[enrolment]`.

    Attributes:
        folder: CA, the broker's certificate, its accounts and its configuration.
        host: name or address by which gateways reach the broker; its certificate bears it.
        names: further names of the broker, besides host, localhost and 127.0.0.1.
        broker: `nats` or `mosquitto`; an embedded broker is nats.
        by: `password` or `certificate`, for the whole city.
        days: life of a credential; it is renewed while two thirds of it are left.
        bundle_days: how long a bundle can be used.
        overlap_h: how long the former credential stays good once the next one has served.
        broker_data: the broker's own data folder as it sees it, "" for its usual one.
        reload: command that makes the broker read its accounts anew, () for none.
    """

    folder: Path
    host: str
    names: tuple[str, ...] = ()
    broker: Program = Program.NATS
    by: Kind = Kind.PASSWORD
    days: float = float(DAYS)
    bundle_days: float = 7.0
    overlap_h: float = OVERLAP_H
    broker_data: str = ""
    reload: tuple[str, ...] = ()


def read_enrolment(table: TomlTable, data: Path, *, embedded: bool) -> EnrolmentSettings:
    """Return the settings of `[enrolment]`.

    Raises:
        ConfigError: names file, key, value seen and remedy.
    """
    folder = table.folder("folder") if table.has("folder") else data / "broker"
    broker = table.text("broker", str(Program.NATS))
    by = table.text("by", str(Kind.PASSWORD))
    settings = EnrolmentSettings(
        folder=folder,
        host=table.text("host"),
        names=tuple(table.texts("names")),
        broker=Program(_one_of(table, "broker", broker, Program)),
        by=Kind(_one_of(table, "by", by, Kind)),
        days=table.number("days", float(DAYS), 0.01, 3650.0),
        bundle_days=table.number("bundle_days", 7.0, 0.01, BUNDLE_DAYS_MAX),
        overlap_h=table.number("overlap_h", OVERLAP_H, 0.0, 8760.0),
        broker_data=table.text("broker_data", ""),
        reload=tuple(table.texts("reload")),
    )
    table.done()
    for name in (settings.host, *settings.names):
        if not name or _breaks(name):
            raise table.error("host", name, "name a host or an address, as gateways reach it")
    place = settings.broker_data
    if place and (not place.startswith("/") or _breaks(place)):
        raise table.error("broker_data", place, "name a folder by its whole path, without a blank")
    if embedded and settings.broker is not Program.NATS:
        raise table.error(
            "broker", broker, "the embedded broker is nats: set broker.embedded=false"
        )
    return settings


def _breaks(word: str) -> bool:
    """Tell whether a word would end, or end a line of, a broker's configuration."""
    return any(letter.isspace() or letter in '"\\' for letter in word)


def _one_of(table: TomlTable, key: str, seen: str, words: type[StrEnum]) -> str:
    if seen not in list(words):
        raise table.error(key, seen, f"write one of {', '.join(words)}")
    return seen
