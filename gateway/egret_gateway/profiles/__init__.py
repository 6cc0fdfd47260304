"""Device profiles: register maps and sentences as data, checked wholly.

A profile is a TOML file named after its family.

| key | meaning |
|---|---|
| `[profile] name, version, title, tier, tier_date, evidence, caveats, sources` | what it is |
| `[line] unit, baud, parity, stop_bits` | factory settings, for people |
| `[modbus] address_base, max_block, single_read, min_gap_ms, timeout_min_ms, timeout_max_ms, late_window_ms` | how it may be asked |
| `[[modbus.readable]] fc, first, last, step` | registers that may be read without harm |
| `[item.NAME] fc, address, type, order, bits, quantity, unit, scale, offset, min, max, sentinels` | one value |
| `[item.NAME] scale_from, unit_from, sign_from, ready` | what it means is told by another item, see `needs` |
| `[item.NAME.counter] bits, max_step` | it counts up, wraps and may start again |
"""  # noqa: E501  (a table row cannot be broken)

from egret_gateway.profiles.folder import ETC, REPOSITORY, find, folders, names
from egret_gateway.profiles.load import load, span
from egret_gateway.profiles.model import (
    TIERS,
    ChannelSettings,
    Counter,
    DeviceSettings,
    Item,
    Modbus,
    Place,
    Profile,
    Readable,
    Register,
    UnitFrom,
    Way,
    When,
)

__all__ = [
    "ETC",
    "REPOSITORY",
    "TIERS",
    "ChannelSettings",
    "Counter",
    "DeviceSettings",
    "Item",
    "Modbus",
    "Place",
    "Profile",
    "Readable",
    "Register",
    "UnitFrom",
    "Way",
    "When",
    "find",
    "folders",
    "load",
    "names",
    "span",
]
