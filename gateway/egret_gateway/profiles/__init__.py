"""Device profiles: register maps and sentences as data, checked wholly.

A profile is a TOML file named after its family.

| key | meaning |
|---|---|
| `[profile] name, version, title, tier, tier_date, evidence, caveats, sources` | what it is |
| `[line] unit, baud, parity, stop_bits` | factory settings, for people |
| `[modbus] address_base, max_block, single_read, min_gap_ms, timeout_min_ms, timeout_max_ms, late_window_ms` | how it may be asked |
| `[[modbus.readable]] fc, first, last, step` | registers that may be read without harm |
| `[[modbus.holes]] fc, first, last` | registers that no read may touch |
| `[nmea] mode, command, checksum, pause_ms, timeout_ms, late_window_ms` | how sentences come |
| `[nmea.sentence.ADDRESS] fields` | names of a proprietary sentence's fields, in their order |
| `[text] patterns, prefix, terminator, checksum`, and as for `[nmea]` | how lines come, what stands in one |
| `[item.NAME] fc, address, type, order, bits, quantity, unit, scale, offset, min, max, sentinels` | one value |
| `[item.NAME] scale_from, unit_from, sign_from, ready` | what it means is told by another item, see `needs` |
| `[sdi12] crc, timeout_ms, ready_max_s` | how an SDI-12 sensor may be asked |
| `[item.NAME] command, value, decimals` | on SDI-12, in place of fc to order: which value of which measurement |
| `[item.NAME] sentence, field, gate` or `group, gate` | the same in `[nmea]` or `[text]`, in place of fc to order |
| `[item.NAME.gate] field, good, suspect` | a field of the same line that says what its value is worth |
| `[item.NAME] read_clears` | reading sets it back to 0: read alone, never repeated, what it shows is added |
| `[item.NAME.counter] bits, max_step` | it counts up, wraps and may start again |
"""  # noqa: E501  (a table row cannot be broken)

from egret_gateway.profiles.folder import ETC, REPOSITORY, find, folders, names
from egret_gateway.profiles.load import load, span
from egret_gateway.profiles.model import (
    TIERS,
    ChannelSettings,
    Counter,
    DeviceSettings,
    Hole,
    Item,
    Modbus,
    Place,
    Profile,
    Readable,
    Register,
    Supply,
    UnitFrom,
    Way,
    When,
)
from egret_gateway.profiles.sdi12 import Measured, Sdi12
from egret_gateway.profiles.talk import Field, Gate, Group, Nmea, Talk, Text

__all__ = [
    "ETC",
    "REPOSITORY",
    "TIERS",
    "ChannelSettings",
    "Counter",
    "DeviceSettings",
    "Field",
    "Gate",
    "Group",
    "Hole",
    "Item",
    "Measured",
    "Modbus",
    "Nmea",
    "Place",
    "Profile",
    "Readable",
    "Register",
    "Sdi12",
    "Supply",
    "Talk",
    "Text",
    "UnitFrom",
    "Way",
    "When",
    "find",
    "folders",
    "load",
    "names",
    "span",
]
