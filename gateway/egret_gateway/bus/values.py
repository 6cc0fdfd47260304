"""A device's answers to raw numbers, where one register tells what another means; pure.

A value and what it needs are one span to the planner where the profile lets them be read together:
they are never parted, and what one answer holds belongs together. What lies elsewhere is read just
before, in a request of its own. What decimals, unit and sign make of a number is a number in the
item's own unit, which is what the raw value is from here on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite, nan
from typing import TYPE_CHECKING, NamedTuple

from egret_core.units import factor
from egret_gateway.profiles import Register
from egret_gateway.profiles.modbus import joint
from egret_gateway.protocols.registers import bits_of, decode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_gateway.profiles import ChannelSettings, DeviceSettings, Item, Modbus

DECIMALS_MAX = 9  # more decimals than any display has: the register holds something else

BLOCKS_MAX = 256  # of one device, and more than its registers make; older ones are worked out anew


@dataclass(frozen=True, slots=True)
class Cover(Register):
    """Registers that are read together: those of a value and of what it needs."""

    count: int = 0

    @property
    def words(self) -> int:
        """Registers it takes."""
        return self.count


class Read(NamedTuple):
    """What one answer gives.

    Attributes:
        raws: by channel, None where there is no number; busy: the device is not ready with one.
    """

    raws: tuple[float | None, ...]
    busy: bool


class _Asked(NamedTuple):
    """An item of a block: where it lies, whether it is one plain register, what it needs."""

    item: Item
    address: int
    last: int
    plain: bool
    needs: Sequence[tuple[str, Item]]


class Values:
    """How a device's channels are read.

    Attributes:
        planned: the device as the planner is to see it.
    """

    def __init__(self, device: DeviceSettings) -> None:
        self._known: dict[int, tuple[Sequence[ChannelSettings], Sequence[_Asked]]] = {}
        self._items = {item.name: item for item in device.profile.items}
        self._channels = {channel.item.name: channel for channel in device.channels}
        way = device.profile.modbus
        covers = {name: self._cover(c.item, way) for name, c in self._channels.items()}
        self._before = {
            channel.item.name: tuple(
                self._items[name]
                for name in channel.item.needs
                if not _holds(covers[channel.item.name], self._items[name].register)
            )
            for channel in device.channels
        }
        self.planned = replace(
            device,
            channels=tuple(
                replace(channel, item=replace(channel.item, at=covers[channel.item.name]))
                for channel in device.channels
            ),
        )

    def channels(self, planned: Sequence[ChannelSettings]) -> tuple[ChannelSettings, ...]:
        """Return the channels that planned ones stand for."""
        return tuple(self._channels[channel.item.name] for channel in planned)

    def before(self, planned: Sequence[ChannelSettings]) -> tuple[Item, ...]:
        """Return the items to be read just before, each in a request of its own."""
        found = (item for channel in planned for item in self._before[channel.item.name])
        return tuple({item.name: item for item in found}.values())

    def read(
        self,
        planned: Sequence[ChannelSettings],
        registers: Sequence[int],
        first: int,
        known: Mapping[str, float],
    ) -> Read:
        """Return what an answer gives.

        Args:
            planned: the channels of the block.
            registers: of the answer, from address `first`.
            first: 0-based.
            known: numbers of the items that were read before.
        """
        raws: list[float | None] = []
        busy = False
        end = first + len(registers)
        for item, address, last, plain, needs in self._asked(planned):
            raw: float | None = None
            if plain and first <= address and last < end:  # most registers there are
                raw = registers[address - first]
            elif not plain:
                raw = number(item, registers, first)
            if needs:
                others = {
                    name: known[name] if name in known else number(other, registers, first)
                    for name, other in needs
                }
                if raw is not None and not _ready(item, others):
                    raw, busy = None, True
                raw = None if raw is None else meant(item, raw, others)
            raws.append(raw)
        return Read(tuple(raws), busy)

    def _asked(self, planned: Sequence[ChannelSettings]) -> Sequence[_Asked]:
        """Return the items of a block's channels, each with what it needs; worked out once."""
        found = self._known.get(id(planned))
        if found is None or found[0] is not planned:
            if len(self._known) > BLOCKS_MAX:
                self._known.clear()
            items = [channel.item for channel in self.channels(planned)]
            asked = [
                _Asked(
                    item,
                    item.register.address,
                    item.register.last,
                    (item.register.kind, item.register.order, item.register.bits)
                    == ("u16", "ABCD", None),
                    [(name, self._items[name]) for name in item.needs],
                )
                for item in items
            ]
            found = self._known[id(planned)] = (planned, asked)
        return found[1]

    def _cover(self, item: Item, way: Modbus) -> Register:
        """Return the registers to be read together for an item: its own, and what can join them."""
        cover = item.register
        # Readiness first: it is worth nothing in another answer.
        names = sorted(item.needs, key=lambda name: item.ready is None or item.ready.item != name)
        for name in names * len(names):  # one that joins may be what another one lacked
            at = self._items[name].register
            if joint(way, cover, at):
                first, last = min(cover.address, at.address), max(cover.last, at.last)
                cover = Cover(at.fc, first, item.register.kind, count=last - first + 1)
        return cover


def _holds(cover: Register, at: Register) -> bool:
    return cover.fc == at.fc and cover.address <= at.address and at.last <= cover.last


def number(item: Item, registers: Sequence[int], first: int) -> float | None:
    """Return an item's number out of registers from address `first`, None where they end before."""
    at = item.register
    start = at.address - first
    if start < 0 or start + at.words > len(registers):
        return None
    value = decode(registers[start : start + at.words], at.kind, at.order)
    return value if at.bits is None else bits_of(value, *at.bits)


def meant(item: Item, raw: float, others: Mapping[str, float | None]) -> float | None:
    """Return a number in the item's own unit; NaN where what it needs makes no sense.

    Args:
        item: whose number it is.
        raw: as decoded.
        others: the numbers that it needs; None, and there is no value, where one is not known.
    """
    if any(value is None for value in others.values()) or raw in item.sentinels:
        return raw if raw in item.sentinels else None
    given = {name: value for name, value in others.items() if value is not None}
    if item.sign_from is not None and given[item.sign_from.item] in item.sign_from.equals:
        raw = -raw
    if item.scale_from:
        decimals = given[item.scale_from]
        if not 0 <= decimals <= DECIMALS_MAX:
            return nan
        raw /= 10.0 ** int(decimals)
    if item.unit_from is None or not isfinite(raw):
        return raw
    unit = item.unit_from.unit(given[item.unit_from.item])
    return nan if unit is None else _in_own_unit(item, raw, unit)


def _in_own_unit(item: Item, raw: float, unit: str) -> float:
    """Return the raw number that would mean the same if the device counted in the item's unit."""
    if unit == item.unit:
        return raw
    scale, offset = factor(item.quantity, unit)
    own_scale, own_offset = factor(item.quantity, item.unit)
    told = raw * item.scale + item.offset
    own = (told * scale + offset - own_offset) / own_scale
    return (own - item.offset) / item.scale


def _ready(item: Item, others: Mapping[str, float | None]) -> bool:
    return item.ready is None or others[item.ready.item] in item.ready.equals
