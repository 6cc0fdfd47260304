"""What judgement works on: channels with a place, and rules bound to them.

A pack is a template; `egret_core.rules.binding` turns it and a `[[rule]]` of `rules.toml` into a
`BoundRule` with its law. Values and thresholds are canonical
(`egret_core.units`), durations are ms of event time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from egret_core.rules.index import Index
    from egret_core.rules.joint import Input, Joint
    from egret_core.screening.law import ScreeningLaw

LATE_S = 30.0  # allowed lateness beyond a channel's cut (DESIGN 7)
LATE_MAX_S = 3600.0  # a channel that waits longer for its order warns too late
CUT_S = 1.0  # a gateway's cut where its meta has not told otherwise
AHEAD_MS = 60_000  # a reading further ahead of its receipt than this is judged at receipt time


class Family(StrEnum):
    """Families of law; one file each."""

    LEVEL = "level"
    RAIN = "rain"
    ABSENCE = "absence"
    SOIL_WATER = "soil_water"
    FLOOD = "flood"
    RISE = "rise"
    REACH = "reach"
    DAY_SUM = "day_sum"
    RAIN_FORECAST = "rain_forecast"
    STORM = "storm"
    ANTECEDENT = "antecedent"
    RECENT_ANTECEDENT = "recent_antecedent"
    WETNESS = "wetness"
    VELOCITY = "velocity"
    TANGENT_ANGLE = "tangent_angle"
    SLOPE = "slope"
    RATING = "rating"
    NOWCAST = "nowcast"
    SURGE = "surge"
    MUSKINGUM = "muskingum"
    VOTE = "vote"
    FUSION = "fusion"
    LOGIC = "logic"
    CHAIN = "chain"
    AREA = "area"


class Cause(StrEnum):
    """Named reasons of condition events; stored and shown."""

    AT_OR_ABOVE = "at_or_above"  # the value reached a level's raise value
    HELD_AT_OR_ABOVE = "held_at_or_above"  # and stayed there for the persistence
    BELOW_CLEAR = "below_clear"  # the value fell below a level's clear value
    SUM_OVER_WINDOW = "sum_over_window"  # rain in a window reached its threshold
    SUM_BELOW_AND_DRY = "sum_below_and_dry"  # no window over, and dry long enough
    INPUTS_HOLD = "inputs_hold"  # enough of a joint rule's inputs hold a level
    INPUTS_EASED = "inputs_eased"  # no longer enough of them do
    NO_GOOD_READING = "no_good_reading"  # nothing good and fresh for the limit
    NEVER_SEEN = "never_seen"  # nothing good since the rule took effect
    GOOD_READING_AGAIN = "good_reading_again"
    NOT_CONFIRMED = "not_confirmed"  # a provisional event proved false
    RULE_WITHDRAWN = "rule_withdrawn"  # its rule or channel is gone: nobody can settle it
    NO_TICKS = "no_ticks"  # the centre itself was not listening
    TICKS_AGAIN = "ticks_again"


@dataclass(frozen=True, slots=True)
class ChannelPlace:
    """What the catalogue knows of one channel.

    Attributes:
        station: place id; channel: quantity id there.
        quantity: key of `egret_core.units.CANONICAL`; unit: its canonical unit.
        datum: vertical datum of a level, "" where the quantity has none.
        gateway: id of the gateway that owns it.
        late_s: allowed lateness; None for 30 s beyond the `cut_s` its gateway tells.
        screening: what the centre believes of its values; None where it screens nothing.
        period_s: how often it is read where its gateway tells nothing of it; 0 for unknown.
    """

    station: str
    channel: str
    quantity: str
    unit: str
    datum: str
    gateway: str
    late_s: float | None = None
    screening: ScreeningLaw | None = None
    period_s: float = 0.0

    @property
    def name(self) -> str:
        """``station/channel``, the subject of its events."""
        return f"{self.station}/{self.channel}"

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes it another channel where it changes: name, quantity, datum."""
        return self.name, self.quantity, self.datum

    def misfit(self, quantity: str, datum: str) -> str:
        """Return how a gateway's word on the channel differs from this, "" where it does not."""
        if quantity != self.quantity:
            return f"quantity is {quantity!r}, the catalogue says {self.quantity!r}"
        if datum != self.datum:
            return f"datum is {datum!r}, the catalogue says {self.datum!r}"
        return ""


@dataclass(frozen=True, slots=True)
class Rung:
    """One level of a ladder, canonical values.

    Attributes:
        label: the pack's word; raise_at: on at or above it; clear_at: off below it.
        persistence_ms, hold_ms: its own; None for the ladder's.
    """

    label: str
    raise_at: float
    clear_at: float
    persistence_ms: int | None = None
    hold_ms: int | None = None


@dataclass(frozen=True, slots=True)
class LadderLaw:
    """A level ladder.

    Attributes:
        rungs: lowest first; unit, datum: of the values.
        persistence_ms: how long a value must stay at or above before it raises.
        hold_ms: how long it must stay below before it eases.
        gap_ms: a longer silence proves no fall: the hold starts again after it.
        flap_ms: a level that rose thrice within it is held until below for all of it; 0 for never.
    """

    rungs: tuple[Rung, ...]
    unit: str
    datum: str
    persistence_ms: int
    hold_ms: int
    gap_ms: int
    flap_ms: int = 0


@dataclass(frozen=True, slots=True)
class WindowSum:
    """A condition on the rain of one window.

    Attributes:
        window_ms: length; sum_nm: threshold, whole nanometres of rain (millionths of a mm).
        over: the sum must be over the threshold; else at or over it.
    """

    window_ms: int
    sum_nm: int
    over: bool = False

    @property
    def least_nm(self) -> int:
        """The smallest sum that meets it, nm."""
        return self.sum_nm + self.over


@dataclass(frozen=True, slots=True)
class WindowLevel:
    """One way to reach a level of rain: one window, and whatever must hold with it.

    Attributes:
        label: the pack's word; rank: 1 for the lowest.
        window_ms, sum_nm, over: the condition that leads, as in `WindowSum`.
        also: further conditions; all must hold at the same time.
    """

    label: str
    rank: int
    window_ms: int
    sum_nm: int
    over: bool = False
    also: tuple[WindowSum, ...] = ()

    @property
    def sums(self) -> tuple[WindowSum, ...]:
        """All its conditions, the leading one first."""
        return (WindowSum(self.window_ms, self.sum_nm, self.over), *self.also)


@dataclass(frozen=True, slots=True)
class RainLaw:
    """Rain sums over windows; a level holds while any of its alternatives does.

    Attributes:
        levels: highest rank first; dry_ms: dry time before a level eases.
    """

    levels: tuple[WindowLevel, ...]
    dry_ms: int


@dataclass(frozen=True, slots=True)
class AbsenceLaw:
    """No good fresh reading for a time.

    Attributes:
        label: the level's word; limit_ms: the longest silence allowed.
        further: (label, limit_ms) of the levels above it, limits rising.
    """

    label: str
    limit_ms: int
    further: tuple[tuple[str, int], ...] = ()

    @property
    def levels(self) -> tuple[tuple[str, int], ...]:
        """(label, limit_ms), the lowest first."""
        return ((self.label, self.limit_ms), *self.further)


@dataclass(frozen=True, slots=True)
class IndexLaw:
    """An equation over one channel, and a ladder over what it gives.

    Attributes:
        name: word of the index, `index` in the evidence of its events.
        make: returns a fresh index.
        ladder: its levels, in the index's own unit.
        span_ms: how much history warms up the equation; what the ladder waits for comes on top.
        of_total: it takes what fell between two readings of a rain total.
    """

    name: str
    make: Callable[[], Index]
    ladder: LadderLaw
    span_ms: int
    of_total: bool = False


@dataclass(frozen=True, slots=True)
class JointLaw:
    """A law of the second stage: over the levels that other rules give.

    Attributes:
        levels: its labels, lowest first.
        make: returns a fresh state of its equation.
        stale_ms: an input without a good reading for longer is told as missing.
    """

    levels: tuple[str, ...]
    make: Callable[[], Joint]
    stale_ms: int


Law = LadderLaw | RainLaw | AbsenceLaw | IndexLaw | JointLaw


@dataclass(frozen=True, slots=True)
class BoundRule:
    """A rule with its law, bound to its subjects.

    Attributes:
        id: as in rules.toml; version: hash of pack and parameters.
        pack: ``id@version`` of the template; citation: where its numbers come from.
        family: of the law; hazard: word on its events.
        channels: (station, channel) it judges; gateways: ids it judges (absence only).
        law: the law itself.
        inputs: what a joint rule takes; place: the subject of its events.
    """

    id: str
    version: str
    pack: str
    citation: str
    family: Family
    hazard: str
    channels: tuple[tuple[str, str], ...]
    gateways: tuple[str, ...]
    law: Law
    inputs: tuple[Input, ...] = ()
    place: str = ""

    @property
    def name(self) -> str:
        """``id@version``: the key of its state and the `rule` of its events."""
        return f"{self.id}@{self.version}"
