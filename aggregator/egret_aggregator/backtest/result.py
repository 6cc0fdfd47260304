"""What a backtest found, as lines for people and as JSON for programs; the API gives the same."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from egret_core.instants import length, rfc3339
from egret_core.rules.event import Change
from egret_core.rules.explain import sentence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_aggregator.backtest.observed import Score
    from egret_aggregator.backtest.replay import Outcome, Span
    from egret_core.rules.event import ConditionEvent

_RISES = (Change.RAISED, Change.UPGRADED)


def event_told(event: ConditionEvent, offset_min: int = 0) -> dict[str, Any]:
    """Return an event with its instants in RFC 3339 and why it is, in words."""
    return {
        "id": event.id,
        "rule": event.rule,
        "subject": event.subject,
        "hazard": event.hazard,
        "change": str(event.change),
        "phase": str(event.phase),
        "level": event.level,
        "rank": event.rank,
        "time": rfc3339(event.time_ms, offset_min, exact=True),
        "reason": event.reason,
        "evidence": _told(event.evidence, offset_min),
        "sentence": sentence(event, offset_min),
    }


def _told(evidence: Mapping[str, Any], offset_min: int) -> dict[str, Any]:
    return {key.removesuffix("_ms"): _value(key, evidence[key], offset_min) for key in evidence}


def _value(key: str, value: object, offset_min: int) -> object:
    if isinstance(value, list):  # of an area's event: its inputs
        return [_told(row, offset_min) if isinstance(row, dict) else row for row in value]
    if key.endswith("_ms") and isinstance(value, int):
        return rfc3339(value, offset_min, exact=True)
    return value


def body(
    found: Outcome, span: Span, scored: Sequence[Score], *, offset_min: int, most: int
) -> dict[str, Any]:
    """Return a result as JSON values, with at most so many events."""
    ordered = sorted(found.events, key=lambda event: (event.time_ms, event.rule, event.subject))
    return {
        "from": rfc3339(span.from_ms, offset_min, exact=True),
        "to": rfc3339(span.to_ms, offset_min, exact=True),
        "readings": found.readings,
        "late": found.late,
        "clock_ahead": found.ahead,
        "early": found.early,
        "settled": found.settled,
        "provisional": found.provisional,
        "refuted": found.refuted,
        "rules": counted(found.events),
        "standing": [event_told(event, offset_min) for event in found.standing.values()][:most],
        "events": [event_told(event, offset_min) for event in ordered[:most]],
        "truncated": found.settled > min(len(ordered), most),
        "scores": [score.shown() for score in scored],
    }


def counted(events: Sequence[ConditionEvent]) -> dict[str, dict[str, int]]:
    """Return how often each rule rose, by level."""
    out: dict[str, Counter[str]] = {}
    for event in events:
        if event.change in _RISES:
            out.setdefault(event.rule, Counter())[event.level] += 1
    return {rule: dict(sorted(levels.items())) for rule, levels in sorted(out.items())}


def lines(result: Mapping[str, Any], language: str) -> list[str]:
    """Return a result's lines for people: each event's sentence, then counts and scores."""
    out = [f"standing: {event['sentence'][language]}" for event in result["standing"]]
    out += [event["sentence"][language] for event in result["events"]]
    if result["truncated"]:
        out.append(f"... {result['settled']} events in all; --json gives more")
    out.append(
        f"{result['from']} to {result['to']}: {result['readings']} readings judged, "
        f"{result['settled']} settled events, {result['provisional']} provisional, "
        f"{result['refuted']} of them refuted"
    )
    for name, text in (
        ("late", "came too late to be judged"),
        ("clock_ahead", "left out: their clock was ahead of their receipt"),
        ("early", "judged before their receipt: the backlog is larger than is held"),
    ):
        if result[name]:
            out.append(f"{result[name]} readings {text}")
    for rule, levels in result["rules"].items():
        rises = ", ".join(f"{count} {level}" for level, count in levels.items())
        out.append(f"{rule}: rises: {rises}")
    return out + [_score_line(score) for score in result["scores"]]


def _score_line(score: Mapping[str, Any]) -> str:
    names = ("pod", "far", "csi", "bias")
    told = ", ".join(f"{name.upper()} {_number(score[name])}" for name in names)
    lead = score["lead_median_s"]
    after = "" if lead is None else f", median lead {length(lead * 1000)}"
    level = score["level"] or "no level reached"
    return (
        f"{score['rule']} {level}: {score['hits']} of {score['events']} events hit, "
        f"{score['false_episodes']} of {score['episodes']} episodes false: {told}{after}"
    )


def _number(score: float | None) -> str:
    return "-" if score is None else f"{score:.4f}"
