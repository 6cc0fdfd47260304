"""One device's reads, and what is learnt of them while they are asked; pure.

A merged read that is refused (exception 2 or 3: no such register, or not so many) is split, at the
widest hole it bridged, else in half, until every value that the device has is read without the one
it has not. A value that is refused alone is asked again after two periods, then ever more rarely,
in the end hourly. What a split proves is offered as lines for the profile. Once the device's usual
answer time is known, and it makes another bridge worth while, the reads are laid anew. Nothing of
this outlives the process. Time is an argument, in seconds of a monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from egret_gateway.bus.plan import (
    TURNAROUND_S,
    Learnt,
    blocks,
    bridge_registers,
    holes_of,
)

if TYPE_CHECKING:
    from egret_gateway.bus.plan import Block
    from egret_gateway.bus.unit import Span
    from egret_gateway.profiles import ChannelSettings, DeviceSettings

SPLITTING_CODES = (2, 3)  # illegal data address, illegal data value (a count it does not take)
BRIDGE_CHANGE = 0.25  # of u*: less is not worth a new plan
LEARN_ANSWERS = 8  # before an answer time counts as usual: the mean's weight is an eighth
REPLAN_LEAST_S = 600.0  # an answer time that wavers must not move the reads to and fro
REFUSED_DOUBLINGS = 20  # of the pause between two tries: more than an hour of the shortest periods
REFUSED_MAX_S = 3600.0  # a refused value is tried hourly: firmware and wiring change by hand
REFUSED_TOLD = 3  # refusals in a row before it is said that the device has no such value


@dataclass(slots=True)
class _Refusal:
    """What is refused alone: how often in a row, the code, and how many turns it still rests."""

    names: tuple[str, ...]
    times: int
    code: int
    rests: int


@dataclass(slots=True)
class _Split:
    """Where a read was split: the values on both sides, and which of them was answered since."""

    fc: int
    before: ChannelSettings
    after: ChannelSettings
    before_good: bool = False
    after_good: bool = False


class Layout:
    """The reads of one device.

    Attributes:
        blocks: the reads as they are now; replaced whole when something was learnt.
    """

    def __init__(self, device: DeviceSettings, char_s: float, gap_s: float) -> None:
        """Lay the reads by what the profile says.

        Args:
            device: the channels wanted.
            char_s: seconds one character takes.
            gap_s: seconds of silence between frames.
        """
        self._device = device
        self._times = (char_s, gap_s)
        self._tau_s = TURNAROUND_S
        self._laid_s: float | None = None
        self._learnt = Learnt()
        self._splits: list[_Split] = []
        self._refused: dict[tuple[int, Span], _Refusal] = {}  # by Block.key
        self.blocks: tuple[Block, ...] = blocks(device, char_s, gap_s)

    def resting(self, block: Block) -> int:
        """Take in that a block's turn has come; return the code of one to pass over, 0 for ask."""
        found = self._refused.get(block.key)
        if found is None or found.rests == 0:
            return 0
        found.rests -= 1
        return found.code

    def refused(self, block: Block, way: int, code: int) -> bool:
        """Take in that a block was refused; return whether the reads have changed.

        Args:
            block: what was asked.
            way: index of the way that was asked.
            code: the device's exception.
        """
        if code not in SPLITTING_CODES:
            return False
        if way > 0:
            self._learnt = self._learnt._replace(
                banned=self._learnt.banned | {(block.fc, block.ways[way])}
            )
            return self._lay()
        if self._split(block):
            return self._lay()
        times = self._refused[block.key].times + 1 if block.key in self._refused else 1
        most = int(REFUSED_MAX_S / block.period_s)
        names = tuple(channel.item.name for channel in block.channels)
        rests = min(2 ** min(times, REFUSED_DOUBLINGS) - 1, most)
        self._refused[block.key] = _Refusal(names, times, code, rests)
        return False

    def answered(self, block: Block, tau_s: float | None, answers: int, now_s: float) -> bool:
        """Take in that a block was answered; return whether the reads have changed.

        Args:
            block: what was asked.
            tau_s: the unit's usual answer time.
            answers: how many there were.
            now_s: now.
        """
        self._refused.pop(block.key, None)
        for split in self._splits:
            split.before_good = split.before_good or split.before in block.channels
            split.after_good = split.after_good or split.after in block.channels
        if tau_s is None or answers < LEARN_ANSWERS:
            return False
        if self._laid_s is not None and now_s < self._laid_s + REPLAN_LEAST_S:
            return False
        # Beyond a whole block a bridge is as good as any: over TCP there is nothing to learn.
        most = self._device.profile.modbus.max_block
        before = min(most, bridge_registers(*self._times, self._tau_s))
        after = min(most, bridge_registers(*self._times, tau_s))
        if abs(after / before - 1) <= BRIDGE_CHANGE:
            return False
        self._tau_s, self._laid_s = tau_s, now_s
        return self._lay()

    def suggestions(self) -> list[str]:
        """Return what the profile or the site should say, as lines of TOML or a sentence."""
        found = []
        for split in self._splits:
            hole = holes_of((split.before, split.after))
            if split.before_good and split.after_good and hole:
                last = hole[0].address + hole[0].words - 1
                found.append(
                    f"[[modbus.holes]]\nfc = {split.fc}\nfirst = {hole[0].address}\nlast = {last}"
                )
        answering = {c.item.name for c in self._device.channels} - {
            name for refusal in self._refused.values() for name in refusal.names
        }
        found += [
            f"{' and '.join(refusal.names)}: refused (exception {refusal.code}): the device has no "
            "such register: leave the channel out, or name another profile"
            for refusal in self._refused.values()
            if refusal.times >= REFUSED_TOLD and answering
        ]
        return found

    def _split(self, block: Block) -> bool:
        """Cut a block in two by what is learnt; return whether it could be cut."""
        ordered = sorted(block.channels, key=lambda c: c.register.address)
        holes = holes_of(ordered)
        if holes:
            widest = max(holes, key=lambda hole: hole.words)
            edges = (widest.address, widest.address + widest.words)
        else:
            places = [
                two.register.address
                for one, two in pairwise(ordered)
                if two.register.address > one.register.last
            ]
            if not places:
                return False
            edges = (places[len(places) // 2],) * 2
        after = next(i for i, c in enumerate(ordered) if c.register.address >= edges[1])
        self._splits.append(_Split(block.fc, ordered[after - 1], ordered[after]))
        cuts = {(block.fc, edge) for edge in edges}
        self._learnt = self._learnt._replace(cuts=self._learnt.cuts | cuts)
        return True

    def _lay(self) -> bool:
        """Lay the reads anew; return whether they have changed."""
        laid = blocks(self._device, *self._times, tau_s=self._tau_s, learnt=self._learnt)
        changed = laid != self.blocks
        self.blocks = laid
        return changed
