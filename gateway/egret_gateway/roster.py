"""What tables about the whole site must know of its channels, by `station/channel`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_gateway.battery import Measured
from egret_gateway.calibration import Source, check_inputs
from egret_gateway.pacing import Channel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from egret_gateway.config import BusSettings
    from egret_gateway.convert.derived import DerivedSettings
    from egret_gateway.convert.formula import Input
    from egret_gateway.profiles import ChannelSettings


def sources(file: str, buses: Sequence[BusSettings]) -> dict[str, Source]:
    """Return what derived channels can be made of.

    Raises:
        ConfigError: an input of a calibration is none of them, does not fit, or needs itself.
    """
    found: dict[str, Source] = {}
    needs: dict[str, tuple[str, tuple[Input, ...]]] = {}
    for b, bus in enumerate(buses):
        for d, device in enumerate(bus.devices):
            for channel in device.channels:
                found[channel.key] = Source(channel.quantity, device.period_s)
                if channel.calibration is not None:
                    path = f"bus[{b}].device[{d}].channels.{channel.item.name}.calibration"
                    needs[channel.key] = (path, channel.calibration.inputs)
    check_inputs(file, needs, found)
    return found


def watchable(
    buses: Sequence[BusSettings], derived: Sequence[DerivedSettings]
) -> dict[str, Channel]:
    """Return every channel with what a threshold of it must know."""
    everything: list[ChannelSettings | DerivedSettings] = [*_channels(buses), *derived]
    return {one.key: Channel(one.quantity, one.datum, one.watch_at) for one in everything}


def measured(
    buses: Sequence[BusSettings], derived: Sequence[DerivedSettings] = ()
) -> dict[str, Measured]:
    """Return every measured channel with what needs its values."""
    corrects: dict[str, list[str]] = {one.key: [] for one in _channels(buses)}
    for one in _channels(buses):
        for source in one.calibration.inputs if one.calibration is not None else ():
            corrects[source.source].append(one.key)
    makes: dict[str, list[str]] = {key: [] for key in corrects}
    roots: dict[str, frozenset[str]] = {key: frozenset((key,)) for key in corrects}
    for made in derived:  # each is made of channels and of derived ones before it
        roots[made.key] = frozenset().union(*(roots[one.source] for one in made.of))
        for key in roots[made.key]:
            makes[key].append(made.quantity)
    return {
        one.key: Measured(one.quantity, tuple(corrects[one.key]), tuple(makes[one.key]))
        for one in _channels(buses)
    }


def paced(buses: Sequence[BusSettings]) -> list[str]:
    """Return the stations that have a device which is sometimes read faster."""
    return sorted({d.station for bus in buses for d in bus.devices if d.paced})


def _channels(buses: Sequence[BusSettings]) -> Iterator[ChannelSettings]:
    for bus in buses:
        for device in bus.devices:
            yield from device.channels
