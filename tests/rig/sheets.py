"""A bench logger's channels, each with the calibration that a test writes for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.site import FOLDERS, site

from egret_gateway.config import load

if TYPE_CHECKING:
    from pathlib import Path

    from egret_gateway.config import GatewayConfig
    from egret_gateway.profiles import ChannelSettings

HEAD = """
[[bus.device]]
profile = "bench-logger"
unit = {unit}
station = "st0007"
period_s = {period_s}
"""
CHANNEL = """
[bus.device.channels.{item}]
channel = "{channel}"
{more}
"""
SHEET = """
[bus.device.channels.{item}.calibration]
{sheet}
"""


WIRE = """formula = "vw-linear-r1-r0"
quantity = "pore_pressure"
unit = "kPa"
g = -0.04
r0 = 8900
k = 0.05
t0 = 20
temperature = { item = "thermistor", max_age_s = 60 }
"""
STEINHART = 'formula = "steinhart-hart"\na = 1.4051e-3\nb = 2.369e-4\nc = 1.019e-7\n'


def logger(*channels: str, unit: int = 7, period_s: float = 60) -> str:
    """Return the lines of one bench logger."""
    return HEAD.format(unit=unit, period_s=period_s) + "".join(channels)


def channel(item: str, sheet: str = "", *, name: str = "", more: str = "") -> str:
    """Return the lines of one channel, named as its item unless told otherwise."""
    lines = CHANNEL.format(item=item, channel=name or item, more=more)
    return lines + (SHEET.format(item=item, sheet=sheet) if sheet else "")


def bench(folder: Path, *devices: str) -> GatewayConfig:
    """Return the checked settings of a site with these devices."""
    return load(site(folder, devices="".join(devices)), FOLDERS)


def calibrated(folder: Path, item: str, sheet: str, more: str = "") -> ChannelSettings:
    """Return one channel with its sheet."""
    config = bench(folder, logger(channel(item, sheet, more=more)))
    return config.buses[0].devices[0].channels[0]
