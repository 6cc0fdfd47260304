"""What the API stands on: the interfaces of the rooms behind it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_aggregator.api.hub import Hub
    from egret_aggregator.clock import Clock
    from egret_aggregator.config import ApiSettings
    from egret_aggregator.store.model import Aside, Page, StoredReading
    from egret_aggregator.tokens import Tokens
    from egret_aggregator.warnings import Ledger

JUDGED_STALE_S = 60.0  # ticks come every 10 s: six missing are no coincidence


class Place(Protocol):
    """A channel as the catalogue knows it."""

    @property
    def station(self) -> str: ...  # noqa: D102
    @property
    def channel(self) -> str: ...  # noqa: D102
    @property
    def quantity(self) -> str: ...  # noqa: D102
    @property
    def unit(self) -> str: ...  # noqa: D102
    @property
    def datum(self) -> str: ...  # noqa: D102
    @property
    def gateway(self) -> str: ...  # noqa: D102


class StationPlace(Protocol):
    """A station as the catalogue knows it."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def latitude(self) -> float: ...  # noqa: D102
    @property
    def longitude(self) -> float: ...  # noqa: D102
    @property
    def channels(self) -> Mapping[str, Place]: ...  # noqa: D102


class Places(Protocol):
    """The catalogue, as far as the API reads it."""

    @property
    def stations(self) -> Mapping[str, StationPlace]: ...  # noqa: D102
    @property
    def version(self) -> str: ...  # noqa: D102


class Series(Protocol):
    """The time-series store, as far as the API reads it."""

    async def latest(  # noqa: D102
        self, keys: Sequence[tuple[str, str]] | None
    ) -> list[StoredReading]: ...

    async def range(  # noqa: D102
        self, station: str, channel: str, from_ms: int, to_ms: int, limit: int
    ) -> Page: ...

    async def asides(self, limit: int, before_id: int | None = None) -> Sequence[Kept]: ...  # noqa: D102


class Kept(Protocol):
    """Something set aside, and its place among the others."""

    @property
    def id(self) -> int: ...  # noqa: D102
    @property
    def aside(self) -> Aside: ...  # noqa: D102


class Line(Protocol):
    """The running parts between broker and ledger."""

    def judged_ms(self) -> int | None:
        """Return the receipt time of the newest entry judged, None before the first."""

    def gateways(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what is known of each gateway that has spoken, by id."""

    def figures(self) -> Mapping[str, float]:
        """Return figures for `/metrics`: full Prometheus names, labels included."""


class Judgement(StrEnum):
    """Whether what is shown may be trusted to be judged."""

    CURRENT = "current"
    STALE = "stale"  # judged, but not lately
    NEVER = "never"  # nothing has been judged since the start


@dataclass(frozen=True, slots=True)
class Context:
    """The rooms behind the API.

    Attributes:
        settings: limits; clock: the centre's, `real`: the machine's, for the life of sessions.
        ledger, tokens, places, series, line, hub: one room each.
        stale_s: judgement older than this is called stale, on the centre's clock.
    """

    settings: ApiSettings
    clock: Clock
    real: Clock
    ledger: Ledger
    tokens: Tokens
    places: Places
    series: Series
    line: Line
    hub: Hub
    stale_s: float = JUDGED_STALE_S

    def judgement(self) -> tuple[Judgement, int | None, float | None]:
        """Return how judgement stands, its newest instant in ms, and that one's age in s."""
        judged = self.line.judged_ms()
        if judged is None:
            return Judgement.NEVER, None, None
        age_s = max(0.0, (self.clock.now_ms() - judged) / 1000)
        return (Judgement.CURRENT if age_s <= self.stale_s else Judgement.STALE), judged, age_s
