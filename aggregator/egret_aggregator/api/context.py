"""What the API stands on: the interfaces of the rooms behind it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_aggregator.api.hub import Hub
    from egret_aggregator.backtest.jobs import Backtests
    from egret_aggregator.catalogue import Catalogue
    from egret_aggregator.charts import Charts
    from egret_aggregator.clock import Clock
    from egret_aggregator.config import ApiSettings
    from egret_aggregator.feed import Feed
    from egret_aggregator.intake.pace_orders import PaceOrders
    from egret_aggregator.metrics import Figures
    from egret_aggregator.store import TimeSeriesStore
    from egret_aggregator.tokens import Tokens
    from egret_aggregator.warnings import Ledger
    from egret_core.rules.screened import Shown
    from egret_core.rules.standings import Standings

JUDGED_STALE_S = 60.0  # ticks come every 10 s: six missing are no coincidence


class Line(Protocol):
    """The running parts between broker and ledger."""

    def judged_ms(self) -> int | None:
        """Return the receipt time of the newest entry judged, None before the first."""

    def recorded_ms(self) -> int | None:
        """Return the receipt time of the newest entry in the store, None before the first."""

    def rolled_ms(self) -> int | None:
        """Return the receipt time of the newest entry in the rollups, None before the first."""

    async def unmarked(self) -> int:
        """Return how many recorded entries may be missing in rollups, after a short wait."""

    def screened(self, station: str, channel: str) -> Shown:
        """Return what the centre's screening says of a channel."""

    def in_force(self) -> str | None:
        """Return the version of the catalogue that is judged by, None before the first."""

    def standings(self, station: str) -> Mapping[str, Standings]:
        """Return what each rule can say now, by channel of a station."""

    def standing_counts(self) -> Mapping[str, int]:
        """Return how many pairs of rule and channel have each standing, of the whole centre."""

    def gateways(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what is known of each gateway that has spoken, by id."""

    def gateway(self, name: str) -> Mapping[str, Any] | None:
        """Return what is known of one gateway, None where it never spoke."""

    def faults(self) -> Sequence[str]:
        """Return named reasons why readings do not come in now; none when they do."""

    async def figures(self, now_ms: int) -> Figures:
        """Return figures for `/metrics` at an instant of the centre's clock."""


class Judgement(StrEnum):
    """Whether what is shown may be trusted to be judged."""

    CURRENT = "current"
    STALE = "stale"  # judged, but not lately, or at a time that the clock has not reached
    NEVER = "never"  # nothing has been judged since the start


@dataclass(frozen=True, slots=True)
class Context:
    """The rooms behind the API.

    Attributes:
        settings: limits; clock: the centre's, `real`: the machine's, for the life of sessions.
        ledger, tokens, places, series, charts, line, hub, feed, backtests, pace: one room each.
        since_ms: when this run of the centre began, on its clock.
        stale_s: judgement older than this is called stale, on the centre's clock.
    """

    settings: ApiSettings
    clock: Clock
    real: Clock
    ledger: Ledger
    tokens: Tokens
    places: Catalogue
    series: TimeSeriesStore
    charts: Charts
    line: Line
    hub: Hub
    feed: Feed
    backtests: Backtests
    pace: PaceOrders
    since_ms: int
    stale_s: float = JUDGED_STALE_S

    def catalogues(self) -> dict[str, str | None]:
        """Return the version of the catalogue that is shown, and of the one that is judged by.

        They differ from a start with other files until the judge has reached its entry of them.
        """
        return {"catalogue": self.places.version, "catalogue_in_force": self.line.in_force()}

    def judgement(self) -> tuple[Judgement, int | None, float | None]:
        """Return how judgement stands, its newest instant in ms, and that one's age in s."""
        return self._reached(self.line.judged_ms())

    def recording(self) -> tuple[Judgement, int | None, float | None]:
        """Return the same of the store: how far what is shown of series reaches."""
        return self._reached(self.line.recorded_ms())

    def rolling(self) -> tuple[Judgement, int | None, float | None]:
        """Return the same of the rollups: how far charts reach."""
        return self._reached(self.line.rolled_ms())

    def _reached(self, at_ms: int | None) -> tuple[Judgement, int | None, float | None]:
        if at_ms is None:
            return Judgement.NEVER, None, None
        # After a clock was set back the instant lies ahead: that says nothing of the present.
        age_s = abs(self.clock.now_ms() - at_ms) / 1000
        return (Judgement.CURRENT if age_s <= self.stale_s else Judgement.STALE), at_ms, age_s
