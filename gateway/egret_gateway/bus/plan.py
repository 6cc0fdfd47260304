"""Which registers are read together, and in which other ways they can be asked; pure.

One read costs T0 = 13 characters + 2 gaps + the answer time, and two characters per register; a
bridged hole of u registers is worth while as long as u < T0 / (2 characters). The cheapest cut of
all values into reads is found by a dynamic programme over their ends. Never is a value split, a
declared or learnt hole bridged, a register read that the profile does not call readable, or one
that reading clears taken along by another read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from egret_gateway.bus.unit import Patience, Span
from egret_gateway.profiles import Register
from egret_gateway.protocols.modbus_pdu import COUNT_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from egret_gateway.profiles import ChannelSettings, DeviceSettings, Readable

OVERHEAD_CHARS = 13  # request 8, reply 5
TURNAROUND_S = 0.02  # a usual answer time, until the unit's own is learnt
WAYS_MAX = 4  # the preferred way and three others: as many questions can be open at once
_BITS_PER_CHAR = 8
_BIT_CODES = (1, 2)


class Learnt(NamedTuple):
    """What a device has refused in this run.

    Attributes:
        cuts: (function code, address): no read holds both that register and the one before it.
        banned: (function code, span): ways that were refused.
    """

    cuts: frozenset[tuple[int, int]] = frozenset()
    banned: frozenset[tuple[int, Span]] = frozenset()


@dataclass(frozen=True, slots=True)
class Block:
    """One read: the channels it serves and the ways to ask for them, best first.

    Attributes:
        unit, fc: whom, and how; ways: spans of different sizes; the first holds every channel.
        channels: in the order of their registers; period_s: scaled; patience: of the profile.
        once: reading clears the register: a lost answer is lost, asking again brings another one.
    """

    unit: int
    fc: int
    ways: tuple[Span, ...]
    channels: tuple[ChannelSettings, ...]
    period_s: float
    patience: Patience
    once: bool = False

    @property
    def key(self) -> tuple[int, Span]:
        """What is asked, best way: function code and span."""
        return self.fc, self.ways[0]


def blocks(
    device: DeviceSettings,
    char_s: float,
    gap_s: float,
    *,
    tau_s: float = TURNAROUND_S,
    learnt: Learnt = Learnt(),  # noqa: B008  (immutable)
) -> tuple[Block, ...]:
    """Return the reads that serve a device, the cheapest there are.

    Args:
        device: the channels wanted.
        char_s: seconds one character takes.
        gap_s: seconds of silence between frames.
        tau_s: how long the device takes to answer, seconds.
        learnt: what it has refused.
    """
    layer = _Layer(device, (OVERHEAD_CHARS * char_s + 2 * gap_s + tau_s) / char_s, learnt)
    alone = device.profile.modbus.single_read
    groups: list[list[ChannelSettings]] = []
    for fc in sorted({channel.register.fc for channel in device.channels}):
        wanted = sorted(
            (c for c in device.channels if c.register.fc == fc),
            key=lambda c: (c.register.address, c.register.last),
        )
        own = [[c] for c in wanted if alone or c.item.read_clears]
        groups += own + layer.cheapest([c for c in wanted if not (alone or c.item.read_clears)])
    groups.sort(key=lambda group: (group[0].register.fc, group[0].register.address))
    return tuple(layer.block(group) for group in groups)


class _Layer:
    """Cuts one device's channels into reads."""

    def __init__(self, device: DeviceSettings, overhead: float, learnt: Learnt) -> None:
        self._device = device
        self._way = device.profile.modbus
        self._overhead = overhead  # of one read, in characters
        self._learnt = learnt
        self._clearing = [
            item.at
            for item in device.profile.items
            if item.read_clears and isinstance(item.at, Register)
        ]
        self._most = min(self._way.max_block, COUNT_MAX)

    def cheapest(self, wanted: Sequence[ChannelSettings]) -> list[list[ChannelSettings]]:
        """Return the cut of `wanted`, all of one code and in order, that costs the wire least."""
        best: list[tuple[float, int, int]] = [(0.0, 0, 0)]  # cost, reads, where the last begins
        for end in range(1, len(wanted) + 1):
            best.append(min(self._options(wanted, end, best)))
        groups: list[list[ChannelSettings]] = []
        end = len(wanted)
        while end:
            start = best[end][2]
            groups.append(list(wanted[start:end]))
            end = start
        return groups[::-1]

    def _options(
        self, wanted: Sequence[ChannelSettings], end: int, best: Sequence[tuple[float, int, int]]
    ) -> Iterator[tuple[float, int, int]]:
        """Yield the cost of `wanted[:end]` for every place where its last read may begin."""
        fc, first, last = wanted[end - 1].register.fc, wanted[end - 1].register.address, 0
        hole = -1  # the highest register within that is nobody's; one to its left may reach over it
        for start in range(end - 1, -1, -1):
            at = wanted[start].register
            hole = -1 if at.last >= hole else hole
            hole = max(hole, first - 1) if at.last + 1 < first else hole
            first, last = at.address, max(last, at.last)
            whole = Span(at.address, last - at.address + 1)
            if start < end - 1:
                if whole.words > self._most or not self._harmless(fc, whole):
                    return  # nor may any longer one
                if hole >= 0 and not any(_holds(area, fc, whole) for area in self._way.readable):
                    continue
            cost = self._overhead + chars(fc, whole.words)
            yield best[start][0] + cost, best[start][1] + 1, start

    def _harmless(self, fc: int, span: Span) -> bool:
        """Tell whether a span takes no hole along, and nothing that reading clears."""
        last = span.address + span.words - 1
        return not (
            any(h.fc == fc and h.first <= last and span.address <= h.last for h in self._way.holes)
            or any(
                at.fc == fc and at.address <= last and span.address <= at.last
                for at in self._clearing
            )
            or any(c == fc and span.address < cut <= last for c, cut in self._learnt.cuts)
        )

    def block(self, group: Sequence[ChannelSettings]) -> Block:
        """Return the read of a group, and its ways."""
        way, fc, whole = self._way, group[0].register.fc, span_of(group)
        once = group[0].item.read_clears
        return Block(
            unit=self._device.unit,
            fc=fc,
            ways=(whole,) if once else (whole, *self._others(group, whole)),
            channels=tuple(group),
            period_s=self._device.period_s,
            patience=Patience(
                least_s=way.timeout_min_ms / 1000,
                most_s=way.timeout_max_ms / 1000,
                late_window_s=way.late_window_ms / 1000,
                gap_s=way.min_gap_ms / 1000,
            ),
            once=once,
        )

    def _others(self, group: Sequence[ChannelSettings], whole: Span) -> list[Span]:
        """Return ways of other sizes: longer ones first, then one without the last value."""
        fc = group[0].register.fc
        areas = () if self._way.single_read else self._way.readable
        found = [way for area in areas if _holds(area, fc, whole) for way in _longer(area, whole)]
        if len(group) > 1:
            shorter = max(channel.register.last for channel in group[:-1]) - whole.address + 1
            found.append(Span(whole.address, shorter))
        sizes = {whole.words}
        ways: list[Span] = []
        for way in found:
            fits = way.words <= self._most and (way.words < whole.words or self._harmless(fc, way))
            if fits and way.words not in sizes and (fc, way) not in self._learnt.banned:
                sizes.add(way.words)
                ways.append(way)
        return ways[: WAYS_MAX - 1]


def span_of(group: Sequence[ChannelSettings]) -> Span:
    """Return the registers from the first to the last of some channels of one code."""
    first = min(channel.register.address for channel in group)
    return Span(first, max(channel.register.last for channel in group) - first + 1)


def holes_of(group: Sequence[ChannelSettings]) -> list[Span]:
    """Return the holes between some channels of one code, in order."""
    holes: list[Span] = []
    ordered = sorted(group, key=lambda c: c.register.address)
    last = ordered[0].register.last
    for channel in ordered[1:]:
        at = channel.register
        if at.address > last + 1:
            holes.append(Span(last + 1, at.address - last - 1))
        last = max(last, at.last)
    return holes


def _holds(area: Readable, fc: int, span: Span) -> bool:
    within = area.first <= span.address and span.address + span.words - 1 <= area.last
    return area.fc == fc and within


def _longer(area: Readable, whole: Span) -> Iterator[Span]:
    """Yield longer spans over `whole` within an area: shortest first, upwards before downwards."""
    most = min(area.last - area.first + 1, whole.words + WAYS_MAX * area.step)
    end = whole.address + whole.words
    for count in range(whole.words + area.step, most + 1, area.step):
        yield Span(min(whole.address, area.last + 1 - count), count)
        yield Span(max(area.first, end - count), count)


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


def chars(fc: int, count: int) -> int:
    """Return the characters that `count` registers, or coils, take in a reply."""
    return -(-count // _BITS_PER_CHAR) if fc in _BIT_CODES else 2 * count


def bridge_registers(char_s: float, gap_s: float, tau_s: float) -> float:
    """Return u*: a hole of fewer registers costs less than a second read."""
    return (OVERHEAD_CHARS * char_s + 2 * gap_s + tau_s) / (2 * char_s)


def wire_s(block: Block, char_s: float, gap_s: float, tau_s: float = TURNAROUND_S) -> float:
    """Return how long a block's read takes, the silence around it included, seconds."""
    count = OVERHEAD_CHARS + chars(block.fc, block.ways[0].words)
    return count * char_s + gap_s + max(gap_s, block.patience.gap_s) + tau_s
