"""A gateway's TOML, written with one thing changed."""

from __future__ import annotations

from pathlib import Path

from egret_gateway.profiles import REPOSITORY

FOLDERS = (Path(__file__).with_name("devices"), REPOSITORY)
PATIENT = "generic-stage-u16"
QUICK = "stage-quick"  # gives up after 0.3 s: for tests with dead units

STAGE = """
[[bus.device]]
profile = "{profile}"
unit = {unit}
station = "st0007"
period_s = {period_s}
[bus.device.channels.stage]
channel = "{channel}"
datum = "Luoling"
"""

SITE = """\
[gateway]
id = "XM-TA-0042"
data = "data"

[[bus]]
name = "bus0"
port = "{port}"
baud = {baud}
{bus}
{devices}"""


def stage(
    unit: int = 7,
    channel: str = "wl",
    period_s: float = 60.0,
    more: str = "",
    profile: str = PATIENT,
) -> str:
    """Return the lines of a stage gauge; `more` goes into its channel."""
    return STAGE.format(profile=profile, unit=unit, channel=channel, period_s=period_s) + more


def device_lines(profile: str, *channels: str, period_s: float) -> str:
    """Return the lines of a device at unit 7 whose channels are named as its items."""
    head = f'profile = "{profile}"\nunit = 7\nstation = "st0007"\nperiod_s = {period_s}\n'
    named = "".join(f'[bus.device.channels.{one}]\nchannel = "{one}"\n' for one in channels)
    return f"\n[[bus.device]]\n{head}{named}"


def site(
    folder: Path,
    *,
    port: Path | str = "/dev/serial/by-id/none",
    baud: int = 9600,
    bus: str = "",
    devices: str = "",
    swap: tuple[str, str] = ("", ""),
) -> Path:
    """Write `gateway.toml`, with `swap[0]` replaced by `swap[1]`, and return its path."""
    text = SITE.format(port=port, baud=baud, bus=bus, devices=devices or stage())
    assert swap[0] in text
    path = folder / "gateway.toml"
    path.write_text(text.replace(*swap, 1) if swap[0] else text)
    return path
