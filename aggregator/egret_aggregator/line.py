"""The running parts between broker and ledger, as the API shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from egret_aggregator.api.times import rfc3339
from egret_aggregator.journal.fill import Level
from egret_core.messages import Taking

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_aggregator.intake import BrokerChild, GatewayView, Intake
    from egret_aggregator.journal import Journal
    from egret_aggregator.judge import Judge
    from egret_aggregator.recorder import Recorder
    from egret_aggregator.roller import Roller


@dataclass(frozen=True, slots=True)
class RunningLine:
    """`egret_aggregator.api.context.Line` over the real parts.

    No broker where it is foreign, no roller where nothing is charted.
    """

    broker: BrokerChild | None
    intake: Intake
    journal: Journal
    recorder: Recorder
    judge: Judge
    roller: Roller | None = None

    def judged_ms(self) -> int | None:
        """Return the receipt time of the newest entry judged, None before the first."""
        return self.judge.judged_to_ms or None

    def recorded_ms(self) -> int | None:
        """Return the receipt time of the newest entry in the store, None before the first."""
        return self.recorder.recorded_to_ms or None

    def rolled_ms(self) -> int | None:
        """Return the receipt time of the newest entry in the rollups, None before the first."""
        return (self.roller and self.roller.rolled_to_ms) or None

    def gateways(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what is known of each gateway that has spoken, by id."""
        return {view.id: _shown(view) for view in self.intake.gateways()}

    def faults(self) -> Sequence[str]:
        """Return why readings do not come in now: named reasons, none when they do."""
        found = [] if self.intake.health()["connected"] else ["intake_disconnected"]
        if self.journal.fill.level is Level.FULL:
            found.append("journal_full")
        elif self.intake.taking is Taking.NONE:
            found.append("journal_failing")
        return found

    def figures(self) -> Mapping[str, float]:
        """Return figures for `/metrics`."""
        intake, judge, views = self.intake.health(), self.judge.health(), self.intake.gateways()
        fill = self.journal.fill
        figures: dict[str, float] = {
            "egret_intake_connected": intake["connected"],
            "egret_intake_inbox_bytes": intake["inbox_b"],
            "egret_intake_dropped_total": intake["dropped"],
            "egret_intake_strange_total": intake["strange"],
            "egret_intake_acks_unheard_total": intake["acks_unheard"],
            "egret_journal_used_bytes": fill.used_b,
            "egret_journal_max_bytes": fill.max_b,
            "egret_journal_head": self.journal.head,
            "egret_recorder_position": self.recorder.position,
            "egret_recorder_readings_total": self.recorder.recorded,
            "egret_recorder_set_aside_total": self.recorder.set_aside,
            "egret_recorder_conflicts_total": self.recorder.conflicts,
            "egret_recorder_failures_total": self.recorder.failures,
            "egret_judge_position": judge["position"],
            "egret_judge_readings_total": judge["readings"],
            "egret_judge_events_total": judge["events"],
            "egret_judge_unreadable_total": judge["unreadable"],
            "egret_judge_cold_channels_total": judge["cold"],
            "egret_judge_late_total": judge["late"],
            "egret_gateways": len(views),
            "egret_gateways_online": sum(view.online for view in views),
            "egret_gateways_cloned": sum(view.clone for view in views),
            "egret_gateways_missing_batches": sum(view.missing for view in views),
        }
        if self.roller is not None:
            figures["egret_roller_buckets_total"] = self.roller.rolled
            figures["egret_roller_marks"] = self.roller.marks
            figures["egret_roller_failures_total"] = self.roller.failures
        if self.broker is not None:
            figures["egret_broker_up"] = self.broker.pid is not None
            figures["egret_broker_restarts_total"] = self.broker.restarts
        return {name: float(value) for name, value in figures.items()}


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
        "clone": view.clone,
        "counts": dict(view.counts),
    }
