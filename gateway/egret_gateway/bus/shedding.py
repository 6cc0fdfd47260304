"""The gateway's battery: fed by samples, asked by every bus, told in health and log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from egret_core.quality import counts
from egret_gateway.bus.shed import Battery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_gateway.bus.shed import BatterySettings
    from egret_gateway.profiles import ChannelSettings
    from egret_gateway.sample import Sample

_log = logging.getLogger(__name__)


class Shedding:
    """What all buses of a gateway share of it; without settings nothing is ever shed."""

    def __init__(self, settings: BatterySettings | None = None) -> None:
        self._key = "" if settings is None else settings.channel
        self._battery = Battery(() if settings is None else settings.step)

    def take(self, key: str, sample: Sample) -> None:
        """Take a sample of `station/channel`; only a battery's that counts moves anything."""
        if key != self._key or sample.value is None:
            return
        if not counts(sample.flag, sample.reasons):
            return
        stepped = self._battery.take(sample.value)
        if stepped is not None:
            _log.warning(
                "event=battery_step was=%d now=%d volts=%.2f shed=%d",
                stepped.was,
                stepped.now,
                stepped.volts,
                len(self._battery.shed),
            )

    def all_shed(self, channels: Sequence[ChannelSettings]) -> bool:
        """Tell whether a turn serves nothing but what is shed: then it is not taken."""
        shed = self._battery.shed
        return bool(shed) and all(channel.key in shed for channel in channels)

    def facts(self) -> Mapping[str, object]:
        """Return the step and what is shed by it, nothing where no battery is named."""
        if not self._key:
            return {}
        return {"step": self._battery.step, "shed": sorted(self._battery.shed)}
