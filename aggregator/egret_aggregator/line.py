"""The running parts between broker and ledger, as the API shows them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from egret_aggregator.api.times import rfc3339
from egret_aggregator.journal.fill import Level
from egret_aggregator.metrics import stages
from egret_aggregator.metrics.fleet import fleet
from egret_core.messages import Taking

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_aggregator.intake import BrokerChild, GatewayView, Intake
    from egret_aggregator.journal import Journal
    from egret_aggregator.judge import Judge
    from egret_aggregator.metrics import Figures, Histogram
    from egret_aggregator.recorder import Recorder
    from egret_aggregator.roller import Roller
    from egret_core.progress import Pulse
    from egret_core.rules.screened import Shown
    from egret_core.rules.standings import Standings


@dataclass(frozen=True, slots=True)
class RunningLine:
    """`egret_aggregator.api.context.Line` over the real parts.

    No broker where it is foreign, no roller where nothing is charted; `catalogued` are the
    gateways that own channels.
    """

    broker: BrokerChild | None
    intake: Intake
    journal: Journal
    recorder: Recorder
    judge: Judge
    roller: Roller | None = None
    catalogued: frozenset[str] = frozenset()

    def judged_ms(self) -> int | None:
        """Return the receipt time of the newest entry judged, None before the first."""
        return self.judge.judged_to_ms or None

    def recorded_ms(self) -> int | None:
        """Return the receipt time of the newest entry in the store, None before the first."""
        return self.recorder.recorded_to_ms or None

    def rolled_ms(self) -> int | None:
        """Return the receipt time of the newest entry in the rollups, None before the first."""
        return (self.roller and self.roller.rolled_to_ms) or None

    async def unmarked(self) -> int:
        """Return how many recorded entries may be missing in rollups, after a short wait."""
        return await self.roller.follow() if self.roller else 0

    def screened(self, station: str, channel: str) -> Shown:
        """Return what the centre's screening says of a channel."""
        return self.judge.screened(station, channel)

    def in_force(self) -> str | None:
        """Return the version of the catalogue that is judged by, None before the first."""
        return self.judge.catalogue or None

    def standings(self, station: str) -> Mapping[str, Standings]:
        """Return what each rule can say now, by channel of a station."""
        return self.judge.standings(station)

    def standing_counts(self) -> Mapping[str, int]:
        """Return how many pairs of rule and channel have each standing, of the whole centre."""
        return self.judge.standing_counts()

    def gateways(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what is known of each gateway that has spoken, by id."""
        return {view.id: _shown(view) for view in self.intake.gateways()}

    def gateway(self, name: str) -> Mapping[str, Any] | None:
        """Return what is known of one gateway, None where it never spoke."""
        view = self.intake.gateway(name)
        return None if view is None else _shown(view)

    def faults(self) -> Sequence[str]:
        """Return why readings do not come in now: named reasons, none when they do."""
        found = [] if self.intake.health()["connected"] else ["intake_disconnected"]
        if self.journal.fill.level is Level.FULL:
            found.append("journal_full")
        elif self.intake.taking is Taking.NONE:
            found.append("journal_failing")
        return found

    def pulses(self) -> Mapping[str, Pulse]:
        """Return the parts that must get further for warnings to come.

        The recorder is none of them: its database may be away for hours.
        """
        return {
            "intake": self.intake.pulse,
            "journal": self.journal.pulse,
            "judge": self.judge.pulse(self.journal.head),
        }

    async def figures(self, now_ms: int) -> Figures:
        """Return figures for `/metrics`; others get their turn between two stages."""
        figures: dict[str, float | Histogram] = {}
        if self.broker is not None:
            figures["egret_broker_up"] = float(self.broker.pid is not None)
            figures["egret_broker_restarts_total"] = float(self.broker.restarts)
        figures |= stages.intake(self.intake) | stages.journal(self.journal)
        await asyncio.sleep(0)
        figures |= stages.recorder(self.recorder) | stages.judge(self.judge)
        if self.roller is not None:
            figures |= stages.roller(self.roller)
        await asyncio.sleep(0)
        positions = {"judge": self.judge.position, "recorder": self.recorder.position}
        figures |= await stages.lags(self.journal, positions, now_ms)
        return figures | await fleet(self.intake, now_ms, self.catalogued)


def _shown(view: GatewayView) -> dict[str, Any]:
    return {
        "online": view.online,
        "last_seen": rfc3339(view.last_seen_ms) if view.last_seen_ms else None,
        "current_log": view.current_log,
        "held": {log: [list(pair) for pair in ranges] for log, ranges in view.held.items()},
        "outbox": dict(view.outbox),
        "clock": {"source": str(view.clock.source), "offset_ms": view.clock.offset_ms},
        "buses": {name: dict(health) for name, health in view.buses.items()},
        "missing_batches": view.missing,
        "pace": dict(view.pace),
        "clone": view.clone,
        "counts": dict(view.counts),
    }
