"""Writes docs/technician/devices.md, the list of device families: `python tools/devices.py`.

It is generated from firmware-config/devices, never edited by hand; a test compares.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
DEVICES = ROOT / "firmware-config" / "devices"
PAGE = ROOT / "docs" / "technician" / "devices.md"

# A family is listed under the first of these quantities that it has.
KINDS = (
    ("Rain", ("rain_total",)),
    ("Settlement", ("settlement",)),
    ("Vibrating-wire readers", ("frequency",)),
    ("Soil", ("soil_moisture",)),
    ("Surface velocity and discharge", ("velocity", "discharge")),
    ("Tilt", ("tilt",)),
    ("Water level and pressure", ("water_level", "water_depth", "pore_pressure", "pressure")),
    ("Displacement and cracks", ("displacement", "crack_width")),
    ("Power", ("voltage",)),
    ("Pulse counters", ("count",)),
    ("Analogue inputs", ("current",)),
    ("Others", ()),
)
_SPEAKS = {"sdi12": "SDI-12", "nmea": "NMEA 0183", "text": "text"}
_HEAD = """\
# Device families

Made by `python tools/devices.py` from [the profiles](../../firmware-config/devices/); open a file for its caveats and sources before you order or wire anything. `address` and `line` are the factory's.

| tier | what it rests on |
|---|---|
| `drafted` | the maker's manual, or what is cited in its place: compare the first values with the device's own display |
| `simulated` | also a published request and reply, or a standard and a foreign program |
| `bench` | a real unit, whose bytes are kept |
| `field` | real units over months |
"""  # noqa: E501  (a line of Markdown cannot be broken)


class Family(NamedTuple):
    """One profile, as the list shows it."""

    kind: int
    name: str
    title: str
    address: str
    line: str
    tier: str


def families(folder: Path = DEVICES) -> list[Family]:
    """Return all profiles of a folder, by kind and name."""
    return sorted(_family(path) for path in folder.glob("*.toml"))


def page(found: list[Family]) -> str:
    """Return the page's text."""
    parts = [_HEAD]
    for number, (kind, _) in enumerate(KINDS):
        rows = [family for family in found if family.kind == number]
        if rows:
            parts.append(f"\n## {kind}\n| profile | device | address | line | tier |\n")
            parts.append("|---|---|---|---|---|\n")
        for row in rows:
            link = f"[`{row.name}`](../../firmware-config/devices/{row.name}.toml)"
            parts.append(f"| {link} | {row.title} | {row.address} | {row.line} | {row.tier} |\n")
    return "".join(parts)


def _family(path: Path) -> Family:
    profile: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    speaks = next((name for key, name in _SPEAKS.items() if key in profile), "Modbus")
    quantities = {item["quantity"] for item in profile["item"].values()}
    kind = next(
        (n for n, (_, any_of) in enumerate(KINDS) if quantities & set(any_of)), len(KINDS) - 1
    )
    about, line = profile["profile"], profile["line"]
    if speaks == "SDI-12":
        return Family(kind, path.stem, about["title"], line["address"], speaks, about["tier"])
    address = str(line["unit"]) if speaks == "Modbus" else ""
    told = f"{speaks} {line['baud']} 8{line.get('parity', 'N')}{line.get('stop_bits', 1)}"
    return Family(kind, path.stem, about["title"], address, told, about["tier"])


def main(argv: list[str]) -> int:
    """Write the page."""
    if argv:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    PAGE.write_text(page(families()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
