"""How events and warnings look on the API: the same words in lists, histories and the stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_aggregator.api.times import rfc3339
from egret_aggregator.warnings.state import OBSERVED
from egret_core.rules.explain import sentence_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_INSTANT = "_ms"  # evidence gives durations in seconds; what ends so is an instant


def event_shown(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return a condition event with why it is in words; its instants are RFC 3339 times."""
    body = dict(event)
    body["time"] = rfc3339(body.pop("time_ms"))
    body["sentence"] = sentence_of(event)
    body["evidence"] = _told(body["evidence"])
    return body


def summary_shown(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return a warning's summary with its onset in RFC 3339, and what it rests on."""
    body = dict(summary)
    body.setdefault("basis", OBSERVED)
    body["onset"] = rfc3339(body.pop("onset_ms"))
    body.setdefault("retrospective", False)
    return body


def _name(key: str) -> str:
    return key.removesuffix(_INSTANT)


def _told(evidence: Mapping[str, Any]) -> dict[str, Any]:
    return {_name(key): _value(key, value) for key, value in evidence.items()}


def _value(key: str, value: object) -> object:
    if isinstance(value, list):  # of an area's event: its inputs
        return [_told(row) if isinstance(row, dict) else row for row in value]
    return rfc3339(value) if key.endswith(_INSTANT) and isinstance(value, int) else value
