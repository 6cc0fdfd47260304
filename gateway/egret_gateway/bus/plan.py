"""Which registers are read together, and in which other ways they can be asked; pure.

Merging saves one overhead T0 = 13 characters + 2 gaps + the answer time; a bridged hole of u
registers costs 2u characters: bridge if and only if u < T0 / (2 characters), and only over
registers that the profile declares readable. A value is never split.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from egret_gateway.bus.unit import Patience, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_gateway.profiles import ChannelSettings, DeviceSettings, Modbus, Readable

OVERHEAD_CHARS = 13  # request 8, reply 5
TURNAROUND_S = 0.02  # a usual answer time, for the worth of a bridge
WAYS_MAX = 4  # the preferred way and three others: as many questions can be open at once


@dataclass(frozen=True, slots=True)
class Block:
    """One read: the channels it serves and the ways to ask for them, best first.

    Attributes:
        unit, fc: whom, and how; ways: spans of different sizes; the first holds every channel.
        channels: in the order of their registers; period_s: scaled; patience: of the profile.
    """

    unit: int
    fc: int
    ways: tuple[Span, ...]
    channels: tuple[ChannelSettings, ...]
    period_s: float
    patience: Patience


def blocks(device: DeviceSettings, char_s: float, gap_s: float) -> tuple[Block, ...]:
    """Return the reads that serve a device.

    Args:
        device: the channels wanted.
        char_s: seconds one character takes.
        gap_s: seconds of silence between frames.
    """
    way = device.profile.modbus
    bridge = (OVERHEAD_CHARS * char_s + 2 * gap_s + TURNAROUND_S) / (2 * char_s)
    ordered = sorted(device.channels, key=lambda c: (c.register.fc, c.register.address))
    groups: list[list[ChannelSettings]] = []
    for channel in ordered:
        if groups and _joins(groups[-1], channel, way, bridge):
            groups[-1].append(channel)
        else:
            groups.append([channel])
    return tuple(_block(device, group) for group in groups)


def _joins(
    group: Sequence[ChannelSettings], channel: ChannelSettings, way: Modbus, bridge: float
) -> bool:
    first, last, at = group[0].register, group[-1].register, channel.register
    if way.single_read or at.fc != first.fc:
        return False
    if at.last - first.address + 1 > way.max_block:
        return False
    hole = at.address - last.last - 1
    if hole <= 0:
        return True
    whole = Span(first.address, at.last - first.address + 1)
    return hole < bridge and any(_allows(area, first.fc, whole) for area in way.readable)


def _allows(area: Readable, fc: int, span: Span) -> bool:
    within = area.first <= span.address and span.address + span.words - 1 <= area.last
    return area.fc == fc and within


def _block(device: DeviceSettings, group: Sequence[ChannelSettings]) -> Block:
    way = device.profile.modbus
    first, last = group[0].register, group[-1].register
    whole = Span(first.address, last.last - first.address + 1)
    return Block(
        unit=device.unit,
        fc=first.fc,
        ways=(whole, *_others(way, group, whole)),
        channels=tuple(group),
        period_s=device.period_s,
        patience=Patience(
            least_s=way.timeout_min_ms / 1000,
            most_s=way.timeout_max_ms / 1000,
            late_window_s=way.late_window_ms / 1000,
            gap_s=way.min_gap_ms / 1000,
        ),
    )


def _others(asked: Modbus, group: Sequence[ChannelSettings], whole: Span) -> list[Span]:
    """Return ways of other sizes: longer ones first, then one that leaves out the last value."""
    fc = group[0].register.fc
    areas = () if asked.single_read else asked.readable
    found = [way for area in areas if _allows(area, fc, whole) for way in _longer(area, whole)]
    sizes = {whole.words}
    ways: list[Span] = []
    for way in found:
        if way.words <= asked.max_block and way.words not in sizes and len(ways) < WAYS_MAX - 1:
            sizes.add(way.words)
            ways.append(way)
    if len(group) > 1 and len(ways) < WAYS_MAX - 1:
        shorter = max(channel.register.last for channel in group[:-1]) - whole.address + 1
        ways.append(Span(whole.address, shorter))
    return ways


def _longer(area: Readable, whole: Span) -> list[Span]:
    """Return longer spans over `whole` within an area, shortest first."""
    most = min(area.last - area.first + 1, whole.words + WAYS_MAX * area.step)
    return [
        Span(min(whole.address, area.last + 1 - count), count)
        for count in range(whole.words + area.step, most + 1, area.step)
    ]


def unknown_s(plan: Sequence[Block]) -> float:
    """Return how long to listen before the first request of a process, seconds.

    A process that was killed may have left a question open whose late answer looks like another
    block's: nobody remembers it, so that only waiting tells. Within one block a shape is one span,
    and its answer the right registers whoever asked.
    """
    asked: dict[tuple[int, int, int], set[Block]] = {}
    for block in plan:
        for way in block.ways:
            asked.setdefault((block.unit, block.fc, way.words), set()).add(block)
    shared = [block for blocks_ in asked.values() if len(blocks_) > 1 for block in blocks_]
    return max((block.patience.most_s for block in shared), default=0.0)


def wire_s(count: int, char_s: float, gap_s: float) -> float:
    """Return how long a read of `count` registers takes with a usual answer time, seconds."""
    return (OVERHEAD_CHARS + 2 * count) * char_s + 2 * gap_s + TURNAROUND_S
