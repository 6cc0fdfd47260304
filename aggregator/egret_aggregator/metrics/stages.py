"""Figures of the stages between broker and ledger; each is read in microseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_aggregator.intake.gateways import REFUSED
from egret_aggregator.journal.fill import FRESH_ONLY, SAY_SO, Level
from egret_aggregator.journal.receipt import Verdict
from egret_aggregator.metrics.exposition import labelled
from egret_core.messages import Reject, Taking
from egret_core.rules.screened import REASONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_aggregator.intake import Intake
    from egret_aggregator.journal import Journal
    from egret_aggregator.judge import Judge
    from egret_aggregator.metrics.histogram import Histogram
    from egret_aggregator.recorder import Recorder
    from egret_aggregator.roller import Roller


def intake(room: Intake) -> dict[str, float | Histogram]:
    """Return what came in, what became of it, and what was asked for."""
    health, totals = room.health(), room.totals
    figures: dict[str, float | Histogram] = {
        "egret_intake_connected": float(health["connected"]),
        "egret_intake_connections_total": float(health["connections"]),
        "egret_intake_inbox_bytes": float(health["inbox_b"]),
        "egret_intake_inbox_max_bytes": float(health["inbox_max_b"]),
        "egret_intake_dropped_total": float(health["dropped"]),
        "egret_intake_strange_total": float(health["strange"]),
        "egret_intake_acks_total": float(health["acks"]),
        "egret_intake_acks_unheard_total": float(health["acks_unheard"]),
        "egret_intake_commit_seconds": room.commit_s,
        "egret_antientropy_asked_total": float(health["asked"]),
        "egret_antientropy_open": float(health["asked_open"]),
    }
    for verdict in Verdict:  # the others are there at zero: an alarm needs a first value
        name = labelled("egret_intake_batches_total", verdict=verdict)
        figures[name] = float(totals.get(verdict, 0))
    refused = {f"{REFUSED}{reason}": 0 for reason in Reject}
    refused |= {what: count for what, count in totals.items() if what.startswith(REFUSED)}
    for what, count in refused.items():
        reason = what.removeprefix(REFUSED)
        figures[labelled("egret_intake_refused_total", reason=reason)] = float(count)
    for taking in Taking:
        name = labelled("egret_intake_taking", what=taking)
        figures[name] = float(room.taking is taking)
    return figures


def journal(room: Journal) -> dict[str, float | Histogram]:
    """Return how full the journal is, and how its commits go."""
    fill = room.fill
    figures: dict[str, float | Histogram] = {
        "egret_journal_used_bytes": float(fill.used_b),
        "egret_journal_max_bytes": float(fill.max_b),
        "egret_journal_fill_ratio": fill.share,
        labelled("egret_journal_mark_ratio", mark="filling"): SAY_SO,
        labelled("egret_journal_mark_ratio", mark="fresh_only"): FRESH_ONLY,
        "egret_journal_head": float(room.head),
        "egret_journal_commits_total": float(room.commits),
        "egret_journal_commit_failures_total": float(room.failures),
    }
    for level in Level:
        figures[labelled("egret_journal_level", level=level)] = float(fill.level is level)
    return figures


def recorder(room: Recorder) -> dict[str, float | Histogram]:
    """Return what went into the store, and what was set aside."""
    figures: dict[str, float | Histogram] = {
        "egret_recorder_position": float(room.position),
        "egret_recorder_readings_total": float(room.recorded),
        "egret_recorder_set_aside_total": float(room.set_aside),
        "egret_recorder_conflicts_total": float(room.conflicts),
        "egret_recorder_failures_total": float(room.failures),
        "egret_recorder_failing": float(room.failing),
    }
    for reason, count in room.asides.items():
        figures[labelled("egret_recorder_asides_total", reason=reason)] = float(count)
    return figures


def roller(room: Roller) -> dict[str, float | Histogram]:
    """Return how the rollups go."""
    return {
        "egret_roller_buckets_total": float(room.rolled),
        "egret_roller_marks": float(room.marks),
        "egret_roller_failures_total": float(room.failures),
    }


def judge(room: Judge) -> dict[str, float | Histogram]:
    """Return what was judged, and what was not, by reason."""
    health = room.health()
    return {
        **_screened(health["screened"]),
        **{
            labelled("egret_judge_rules_standing", standing=word): float(count)
            for word, count in health["standing_counts"].items()
        },
        "egret_judge_position": float(health["position"]),
        "egret_judge_readings_total": float(health["readings"]),
        "egret_judge_events_total": float(health["events"]),
        "egret_judge_unreadable_total": float(health["unreadable"]),
        "egret_judge_late_total": float(health["late"]),
        "egret_judge_ahead_total": float(health["ahead"]),
        "egret_judge_unknown_total": float(health["unknown"]),
        "egret_judge_foreign_total": float(health["foreign"]),
        "egret_judge_warm_channels_total": float(health["warm"]),
        "egret_judge_cold_channels_total": float(health["cold"]),
        "egret_judge_looked_back_total": float(health["looked_back"]),
        "egret_judge_look_back_failed_total": float(health["look_back_failed"]),
        "egret_judge_capped_channels": float(len(health["capped"])),
        "egret_judge_misfit_channels": float(len(health["misfits"])),
        "egret_judge_missing_inputs": float(sum(map(len, health["inputs_missing"].values()))),
    }


def _screened(channels: Mapping[str, Mapping[str, Sequence[int]]]) -> dict[str, float]:
    """Return what the centre's screening doubts and fails, of all channels, by reason."""
    figures: dict[str, float] = {}
    for reason in REASONS:
        word = str(reason.name).lower()
        pairs = [counts[word] for counts in channels.values() if word in counts]
        for at, flag in enumerate(("suspect", "fail")):
            name = labelled("egret_judge_screened_total", reason=word, flag=flag)
            figures[name] = float(sum(pair[at] for pair in pairs))
    return figures


async def lags(
    room: Journal, positions: Mapping[str, int], now_ms: int
) -> dict[str, float | Histogram]:
    """Return how far each consumer is behind, in entries and in seconds of the centre's clock."""
    figures: dict[str, float | Histogram] = {}
    for consumer, position in positions.items():
        behind = max(0, room.head - position)
        waiting_ms = await room.waiting_ms(position) if behind else None
        age_s = 0.0 if waiting_ms is None else max(0, now_ms - waiting_ms) / 1000
        figures[labelled("egret_consumer_lag_entries", consumer=consumer)] = float(behind)
        figures[labelled("egret_consumer_lag_seconds", consumer=consumer)] = age_s
    return figures
