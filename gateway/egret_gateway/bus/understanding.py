"""What a line of text means for a turn: the numbers of its channels, and what they are worth; pure.

A turn is one sentence of a talker, or one kind of line of a device.
"""

from __future__ import annotations

from math import isfinite, nan
from typing import TYPE_CHECKING

from egret_core.quality import Flag, Reason
from egret_core.screening.verdict import GOOD, Verdict
from egret_gateway.bus.fault import Fault
from egret_gateway.bus.line import Polled
from egret_gateway.profiles.talk import ADDRESS, Field, Gate, Group, Nmea, Text
from egret_gateway.protocols import nmea
from egret_gateway.protocols.pattern import compiled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_gateway.profiles import ChannelSettings, DeviceSettings
    from egret_gateway.protocols.text_line import Heard

_DOUBTED = Verdict(int(Flag.SUSPECT), int(Reason.SENSOR_FAULT))
_REFUSED = Verdict(int(Flag.FAIL), int(Reason.SENSOR_FAULT))


class Understanding:
    """How the lines of one turn are read.

    Attributes:
        device, channels: whose values they are; unit: the device, as people know it.
        talk: how its lines come; kind: the sentence, or the pattern.
    """

    def __init__(
        self, device: DeviceSettings, kind: str, channels: Sequence[ChannelSettings]
    ) -> None:
        way = device.profile.way
        if not isinstance(way, Nmea | Text):
            raise TypeError(f"{device.profile.name} speaks no lines")
        self.device = device
        self.channels = tuple(channels)
        self.unit = device.name
        self.talk = way.talk
        self.kind = kind
        self._way = way
        self._pattern = compiled(kind) if isinstance(way, Text) else None

    def polled(self, heard: Heard) -> Polled | None:
        """Return what a whole line says, None where it is no line of this turn."""
        values = self.values(heard.text)
        if values is None:
            return None
        return Polled(
            Fault.NONE,
            heard.at_s,
            tuple(_raw(values.get(_name(c)), c) for c in self.channels),
            verdicts=tuple(_verdict(_gate(channel), values) for channel in self.channels),
        )

    def values(self, text: str) -> nmea.Values | None:
        """Return a line's values by name, None where it is no line of this turn."""
        if self._pattern is not None:
            found = self._pattern.fullmatch(text)
            if found is None:
                return None
            groups = found.groupdict()
            if groups.pop(ADDRESS, None) not in (None, self.device.address):
                return None
            return {name: value for name, value in groups.items() if value is not None}
        sentence = nmea.split(text)
        if sentence is None or not sentence.is_of(self.kind, self.device.address):
            return None
        names = self._way.fields(self.kind) if isinstance(self._way, Nmea) else ()
        if names:
            return nmea.read_named(sentence, names)
        return nmea.read(sentence, self.kind, self.device.base)


def understandings(devices: Sequence[DeviceSettings]) -> tuple[Understanding, ...]:
    """Return the turns of a line's devices, a turn for each kind of line that is wanted."""
    return tuple(
        Understanding(device, kind, channels)
        for device in devices
        for kind, channels in _kinds(device).items()
    )


def _kinds(device: DeviceSettings) -> dict[str, list[ChannelSettings]]:
    found: dict[str, list[ChannelSettings]] = {}
    for channel in device.channels:
        found.setdefault(_kind(device, channel), []).append(channel)
    return found


def _kind(device: DeviceSettings, channel: ChannelSettings) -> str:
    at, way = channel.item.at, device.profile.way
    if isinstance(at, Field):
        return at.sentence
    patterns = way.patterns if isinstance(way, Text) else ()
    return next(pattern for pattern in patterns if _name(channel) in compiled(pattern).groupindex)


def _name(channel: ChannelSettings) -> str:
    at = channel.item.at
    if isinstance(at, Field):
        return at.field
    return at.group if isinstance(at, Group) else ""


def _gate(channel: ChannelSettings) -> Gate | None:
    at = channel.item.at
    return at.gate if isinstance(at, Field | Group) else None


def _raw(value: float | str | None, channel: ChannelSettings) -> float:
    number, at = _number(value), channel.item.at
    decimals = at.decimals if isinstance(at, Field | Group) else 0
    scaled = number * 10.0**decimals
    return float(round(scaled)) if decimals and isfinite(scaled) else scaled


def _number(value: float | str | None) -> float:
    """Return a raw number, NaN where the device says none."""
    if isinstance(value, str):
        return nmea.number(value)
    return nan if value is None else float(value)


def _verdict(gate: Gate | None, values: nmea.Values) -> Verdict:
    if gate is None:
        return GOOD
    value = values.get(gate.field, "")
    said = value.strip() if isinstance(value, str) else f"{value:g}"
    if said in gate.good:
        return GOOD
    return _DOUBTED if said in gate.suspect else _REFUSED
