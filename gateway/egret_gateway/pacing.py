"""What makes stations go faster, in the site's file: `[[pace]]`, checked wholly.

A channel with a `watch_at` puts its own station in `event` while it is over it, without a table;
one that does so at that value or below it takes its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egret_core.spelling import meant
from egret_core.units import UnitError, factor
from egret_gateway.bus.pace import STATES, State, Trigger
from egret_gateway.limits import TOTALS, read_threshold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_gateway.table import Table

TRIGGERS_MAX = 512  # two for each channel of the largest box we know
HOLD_S = 1800.0  # a flood's crest is flat for so long
SPAN_MAX_S = 86_400.0


class Channel(NamedTuple):
    """What a trigger must know of a channel."""

    quantity: str
    datum: str
    watch_at: float | None


def read_pace(
    top: Table, channels: Mapping[str, Channel], paced: Sequence[str]
) -> tuple[Trigger, ...]:
    """Read and check every `[[pace]]`.

    Args:
        top: the whole file.
        channels: all there are, measured and derived, by `station/channel`.
        paced: stations that have a device with `watch_s` or `event_s`.
    """
    tables = top.tables("pace")
    if len(tables) > TRIGGERS_MAX:
        top.fail("pace", f"write at most {TRIGGERS_MAX} of them")
    written = [_trigger(table, channels, paced) for table in tables]
    implied = [
        Trigger(key, (station,), State.EVENT, at=channel.watch_at, hold_s=HOLD_S)
        for key, channel in channels.items()
        if channel.watch_at is not None
        and (station := key.partition("/")[0]) in paced
        and not any(_does(one, key, station, channel.watch_at) for one in written)
    ]
    return (*written, *implied)


def read_periods(
    table: Table, period_s: float, least_s: float
) -> tuple[float | None, float | None]:
    """Return a device's `watch_s` and `event_s`; None where it has none."""
    watch_s = table.number("watch_s", least_s, period_s) if table.has("watch_s") else None
    if not table.has("event_s"):
        return watch_s, None
    return watch_s, table.number("event_s", least_s, period_s if watch_s is None else watch_s)


def _does(one: Trigger, key: str, station: str, watch_at: float) -> bool:
    """Tell whether a written trigger does all that the channel's own `watch_at` would."""
    if one.channel != key or one.state is not State.EVENT or one.at is None:
        return False
    return one.at <= watch_at and station in one.stations


def _trigger(table: Table, channels: Mapping[str, Channel], paced: Sequence[str]) -> Trigger:
    key = table.text("channel")
    if key not in channels:
        near = meant(key, channels)
        listed = ", ".join(sorted(channels))
        table.fail("channel", f"no such channel here{near}; there are: {listed}")
    channel = channels[key]
    stations = table.array("stations", str, [key.partition("/")[0]])
    for name in stations:
        if name not in paced:
            known = ", ".join(paced) or "none"
            table.fail("stations", f"no device of {name!r} has watch_s or event_s; of: {known}")
    at, back, rise, in_s = None, 0.0, 0.0, 0.0
    if table.has("rise") == table.has("over"):
        table.fail("over", "write over = { value, unit } or rise = { value, unit, in_s }")
    if table.has("over"):
        at, back = _over(table, channel)
    else:
        rise, in_s = _rise(table.table("rise"), channel.quantity)
    trigger = Trigger(
        channel=key,
        stations=tuple(stations),
        state=STATES[table.text("state", one_of=("watch", "event"))],
        at=at,
        back=back,
        rise=rise,
        in_s=in_s,
        hold_s=table.number("hold_s", 1, SPAN_MAX_S, HOLD_S),
    )
    table.done()
    return trigger


def _over(table: Table, channel: Channel) -> tuple[float, float]:
    if channel.quantity in TOTALS:
        table.fail("over", "a total has no threshold of its own: write rise")
    own = table.table("over")
    at = read_threshold(own, channel.quantity, channel.datum)
    unit = own.text("unit")
    scale, _ = factor(channel.quantity, unit)
    back = own.number("back", 0, 1e9, 0.0) * scale
    own.done()
    return at, back


def _rise(own: Table, quantity: str) -> tuple[float, float]:
    unit = own.text("unit")
    try:
        scale, _ = factor(quantity, unit)
    except UnitError as error:
        own.fail("unit", str(error))
    value, in_s = own.number("value", 1e-9, 1e9), own.number("in_s", 1, SPAN_MAX_S)
    own.done()
    return value * scale, in_s
