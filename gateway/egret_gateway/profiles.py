"""Device profiles: register maps as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """One device on a bus; key `[[bus.device]]`."""

    unit: int
