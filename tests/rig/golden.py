"""Golden cases of device families: what a unit says, and what it then measures.

`tests/frames/devices/NAME/case.toml`, a folder for each profile:

| key | meaning |
|---|---|
| `[[reading]] of` | what is measured |
| `registers.FC` | Modbus: words by address; nothing else may be read |
| `measurements` | SDI-12: values by command, as the sensor sends them |
| `says`, `asked` | lines of text; what the device waits for |
| `device` | lines that the device needs in a gateway's file |
| `values` | by item, canonical unit; `"failed"` where it must be none |
| `within` | how far off a value may be, for those that are computed |
| `[[exchange]] source, request, reply` | a cited request and its reply, as hex |
| `recorded` | for an exchange with a unit on a bench: the date |
| `reads` | by item, the numbers that the source says, in the item's unit |
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from egret_gateway import profiles

FOLDER = Path(__file__).parents[1] / "frames" / "devices"
NAMES = profiles.names((profiles.REPOSITORY,))
FAILED = "failed"
_READING = {"of", "registers", "measurements", "says", "asked", "device", "values", "within"}
_EXCHANGE = {"source", "request", "reply", "recorded", "reads"}


class Reading(NamedTuple):
    """What a unit says, and the values by item; None where it must be none."""

    of: str
    registers: dict[int, dict[int, int]]
    measurements: dict[str, list[str]]
    says: str
    asked: str
    device: str
    values: dict[str, float | None]
    within: float

    @property
    def image(self) -> list[tuple[int, int, int]]:
        """Function code, address and word, of all that is served."""
        return [
            (fc, address, word)
            for fc, words in self.registers.items()
            for address, word in words.items()
        ]


class Exchange(NamedTuple):
    """A request and a reply that somebody else has published."""

    source: str
    request: bytes
    reply: bytes
    recorded: str
    reads: dict[str, float]


class Case(NamedTuple):
    """All of one family."""

    readings: tuple[Reading, ...]
    exchanges: tuple[Exchange, ...]


def case(name: str, folder: Path = FOLDER) -> Case:
    """Return a family's golden case; KeyError or ValueError where it is not well formed."""
    found = tomllib.loads((folder / name / "case.toml").read_text())
    odd = set(found) - {"reading", "exchange"}
    if odd:
        raise ValueError(f"{name}: unknown {sorted(odd)}")
    return Case(
        tuple(_reading(name, one) for one in found["reading"]),
        tuple(_exchange(name, one) for one in found.get("exchange", ())),
    )


def _reading(name: str, found: dict[str, Any]) -> Reading:
    if set(found) - _READING:
        raise ValueError(f"{name}: unknown {sorted(set(found) - _READING)}")
    registers = {
        int(fc): {int(address): word for address, word in words.items()}
        for fc, words in found.get("registers", {}).items()
    }
    values = {item: None if v == FAILED else float(v) for item, v in found["values"].items()}
    return Reading(
        found["of"],
        registers,
        found.get("measurements", {}),
        found.get("says", ""),
        found.get("asked", ""),
        found.get("device", ""),
        values,
        found.get("within", 1e-9),
    )


def _exchange(name: str, found: dict[str, Any]) -> Exchange:
    if set(found) - _EXCHANGE:
        raise ValueError(f"{name}: unknown {sorted(set(found) - _EXCHANGE)}")
    return Exchange(
        found["source"],
        bytes.fromhex(found["request"]),
        bytes.fromhex(found["reply"]),
        found.get("recorded", ""),
        found["reads"],
    )


def family(name: str, folder: Path = profiles.REPOSITORY) -> profiles.Profile:
    """Return a profile by its name."""
    path = profiles.find(name, (folder,))
    assert path is not None, f"no profile {name}"
    return profiles.load(path)


def device_lines(profile: profiles.Profile, reading: Reading) -> str:
    """Return a gateway's lines that read all items of a reading, each a channel of its name."""
    way = profile.way
    text = f'[[bus.device]]\nprofile = "{profile.name}"\nstation = "st1"\nperiod_s = 60\n'
    if isinstance(way, profiles.Modbus):
        text += f"unit = {profile.unit}\n"
    elif isinstance(way, profiles.Sdi12):
        text += f'address = "{profile.address}"\n'
    elif reading.asked:
        text += 'address = "01"\n'
    text += reading.device
    quantities = {item.name: item.quantity for item in profile.items}
    for name in reading.values:
        text += f'[bus.device.channels.{name}]\nchannel = "{name}"\n'
        text += 'datum = "Luoling"\n' if quantities[name] == "water_level" else ""
    return text
