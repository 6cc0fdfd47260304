"""What a bus costs its wire, device by device, and what to change where it is too much; pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from egret_gateway.bus.load import LOAD_MAX
from egret_gateway.bus.rank import Rank, rank_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from egret_gateway.bus.line import Cost


@dataclass(frozen=True, slots=True)
class DeviceCost:
    """One unit's part of a bus.

    Attributes:
        unit, period_s: as configured, the shortest of its turns; rank: its most urgent class.
        share: of the wire's time; wire_ms: in one period; registers: carried in one period.
        turns: its reads.
    """

    unit: str
    period_s: float
    rank: Rank
    share: float
    wire_ms: float
    registers: int
    turns: tuple[Cost, ...]


@dataclass(frozen=True, slots=True)
class Budget:
    """A bus as a whole.

    Attributes:
        share: of the wire's time that its turns take; devices: the dearest first.
    """

    share: float
    devices: tuple[DeviceCost, ...]

    @property
    def fits(self) -> bool:
        """Whether every turn finds its period, with room for repeats and probes."""
        return self.share <= LOAD_MAX

    @property
    def spare_ms(self) -> float:
        """What is left of each second up to `LOAD_MAX`; below 0 what is too much."""
        return (LOAD_MAX - self.share) * 1000


def budget(costs: Sequence[Cost], real_s: Callable[[float], float] = float) -> Budget:
    """Return what turns cost their wire.

    Args:
        costs: of every turn.
        real_s: makes real seconds of a period's scaled ones.
    """
    units = dict.fromkeys(cost.unit for cost in costs)
    devices = [_device(unit, tuple(c for c in costs if c.unit == unit), real_s) for unit in units]
    devices.sort(key=lambda device: -device.share)
    return Budget(sum(device.share for device in devices), tuple(devices))


def _device(unit: str, turns: tuple[Cost, ...], real_s: Callable[[float], float]) -> DeviceCost:
    period_s = min(turn.period_s for turn in turns)
    share = sum(turn.wire_s / real_s(turn.period_s) for turn in turns)
    return DeviceCost(
        unit=unit,
        period_s=period_s,
        rank=min(rank_of(turn.channels) for turn in turns),
        share=share,
        wire_ms=share * real_s(period_s) * 1000,
        registers=sum(turn.registers for turn in turns),
        turns=turns,
    )


def remedies(bus: Budget) -> list[str]:
    """Return what makes a bus fit again, the least urgent and dearest device first; [] if it does.

    Where one is not enough all are needed, or the last one alone.
    """
    over = bus.share - LOAD_MAX
    found: list[str] = []
    for device in sorted(bus.devices, key=lambda d: (-d.rank, -d.share)):
        if over <= 0:
            break
        found.append(_remedy(device, over))
        over -= min(device.share, over)
    if len(found) > 1:
        found.append(f"or make every period_s {bus.share / LOAD_MAX:.1f} times as long")
    return found


def _remedy(device: DeviceCost, over: float) -> str:
    what = f"unit {device.unit} ({device.share:.0%} of the wire's time)"
    left = device.share - over
    if left <= 0:
        return f"move {what} to another bus"
    # Rounded up to whole seconds, or hundredths: a period that is written and just fits.
    exact_s = device.period_s * device.share / left
    slower_s = ceil(exact_s) if exact_s >= 1 else ceil(exact_s * 100) / 100
    return (
        f"move {what} to another bus, or read it every {slower_s:g} s instead of "
        f"{device.period_s:g} s"
    )
