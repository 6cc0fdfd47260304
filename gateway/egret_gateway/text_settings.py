"""What a line of text has in the site's file: whose address is heard, and a receiver's base."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from egret_gateway.profiles.talk import ADDRESS, STREAM, Field, Nmea, Text
from egret_gateway.protocols.geodesy import Position
from egret_gateway.protocols.nmea import OFFSETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_gateway.profiles import ChannelSettings, DeviceSettings, Profile
    from egret_gateway.table import Table

_TALKER = re.compile(r"[A-Z]{2}")
_ADDRESS = re.compile(r"[A-Za-z0-9_.-]{1,16}")
_IN_COMMAND = b"{%s}" % ADDRESS.encode()
_IN_PATTERN = f"(?P<{ADDRESS}>"


def line_address(table: Table, profile: Profile) -> str:
    """Return a device's address on its line, "" where it needs none."""
    way = profile.way
    address = table.text("address", "")
    if isinstance(way, Nmea) and address and not _TALKER.fullmatch(address):
        table.fail("address", 'write the two capital letters of its talker, e.g. "SD"')
    if address and not _ADDRESS.fullmatch(address):
        table.fail("address", "write 1 to 16 of the characters A-Z a-z 0-9 _ . -")
    named = isinstance(way, Text) and any(_IN_PATTERN in pattern for pattern in way.patterns)
    asked = isinstance(way, Nmea | Text) and _IN_COMMAND in way.talk.command
    if (named or asked) and not address:
        table.fail("address", f"profile {profile.name!r} needs the device's address")
    return address


def base_of(table: Table, channels: Sequence[ChannelSettings]) -> Position | None:
    """Return where a GNSS receiver stood when its displacement was nothing."""
    displaced = [
        channel.item.name
        for channel in channels
        if isinstance(channel.item.at, Field) and channel.item.at.field in OFFSETS
    ]
    if not table.has("base"):
        if displaced:
            table.fail(
                "base",
                f"{displaced[0]} is measured from it: write base = {{ latitude = ..., "
                "longitude = ..., height_m = ... }",
            )
        return None
    if not displaced:
        table.fail("base", "no wanted value is measured from it: leave it out")
    own = table.table("base")
    position = Position(
        own.number("latitude", -90, 90),
        own.number("longitude", -180, 180),
        own.number("height_m", -1000, 10_000),
    )
    own.done()
    return position


def check_line(table: Table, devices: Sequence[DeviceSettings]) -> None:
    """Raise ConfigError where the devices of one line cannot share it."""
    talks = [
        device.profile.way.talk for device in devices if isinstance(device.profile.way, Nmea | Text)
    ]
    if len({talk.mode for talk in talks}) > 1:
        table.fail("device", "a line is asked or talks by itself: put them on two lines")
    if STREAM in {talk.mode for talk in talks}:
        _check_talkers(table, devices)


def _check_talkers(table: Table, devices: Sequence[DeviceSettings]) -> None:
    """Raise ConfigError where a sentence would be taken for more than one device's."""
    wanting: dict[str, dict[str, str]] = {}
    for device in devices:
        for channel in device.channels:
            if isinstance(channel.item.at, Field):
                of = wanting.setdefault(channel.item.at.sentence, {})
                of[device.name] = device.address
    for sentence, of in wanting.items():
        if len(of) > 1 and not all(of.values()):
            table.fail("device", f"{' and '.join(of)} want {sentence}: give each its address")
