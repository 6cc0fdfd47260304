"""An answer to each question, for the API's description; a test holds them to real answers."""

from __future__ import annotations

from typing import Any

from egret_aggregator.api import grafana_examples

_ID = "3f0f2b7c5d1e4a6890ab12cd34ef5678"
_HASH = "9f2c" * 16
_RULE = "river-level@1a2b3c4d"
_TIME = "2026-07-12T06:10:00.000Z"
_LATER = "2026-07-12T06:10:31.420Z"

STANDING: dict[str, Any] = {
    "as_of": _LATER,
    "judgement": {"state": "current", "judged_to": _LATER, "age_s": 0.4},
    "recording": {"state": "current", "recorded_to": _LATER, "age_s": 0.4},
    "head": 1204,
}
_MEASURE = {"quantity": "water_level", "unit": "m", "datum": "Luoling", "known": True}
_READING = {
    "time": _TIME,
    "value": 3.42,
    "raw": 2.105,
    "flag": 1,
    "flag_name": "GOOD",
    "reasons": [],
    "notes": [],
    "lag_ms": 840,
}
_BUCKET = {
    "time": "2026-07-12T06:00:00.000Z",
    "count": 60,
    "n": 59,
    "min": 3.1,
    "min_time": "2026-07-12T06:02:00.000Z",
    "max": 3.42,
    "max_time": _TIME,
    "mean": 3.3,
    "sum": 194.7,
    "first": 3.12,
    "first_time": "2026-07-12T06:00:00.000Z",
    "last": 3.4,
    "last_time": "2026-07-12T06:59:00.000Z",
    "worst": 9,
    "worst_name": "MISSING",
}
_LATEST = {
    "station": "st0007",
    "channel": "wl",
    **_MEASURE,
    "reading": _READING,
    "age_s": 31.4,
}
_CATALOGUES = {"catalogue": "1f2e3d4c5b6a7988", "catalogue_in_force": "1f2e3d4c5b6a7988"}
_STANDINGS = {"river-level@5d41402a": "ok", "rise@7d793037": "warming_up"}
_STATION = {
    "id": "st0007",
    "name": "Luoling bridge",
    "latitude": 24.5,
    "longitude": 118.1,
    "channels": [
        {"id": "wl", "gateway": "XM-TA-0042", **_MEASURE, "standings": _STANDINGS},
    ],
}
_SUMMARY = {
    "id": _ID,
    "rule": "river-level",
    "subject": "st0007/wl",
    "station": "st0007",
    "hazard": "level",
    "state": "acknowledged",
    "condition": "active",
    "level": "blue",
    "rank": 1,
    "phase": "settled",
    "basis": "observed",
    "holding_level": "blue",
    "holding_rank": 1,
    "onset": _TIME,
    "retrospective": False,
}
_WARNING = {
    **_SUMMARY,
    "opened_at": _LATER,
    "changed_at": _LATER,
    "peak_rank": 1,
    "opened_seq": 1203,
    "last_seq": 1204,
    "levels": {"blue": 1},
    "holds": [
        {
            "event": _ID,
            "rank": 1,
            "level": "blue",
            "phase": "settled",
            "time": _TIME,
            "reason": "at_or_above",
            "rule": _RULE,
        }
    ],
    "acknowledged": {"by": "officer:duty desk", "at": _LATER, "note": ""},
    "lowered": None,
    "closed": None,
}
_EVENT = {
    "id": _ID,
    "rule": _RULE,
    "subject": "st0007/wl",
    "hazard": "level",
    "change": "raised",
    "phase": "settled",
    "level": "blue",
    "rank": 1,
    "time": _TIME,
    "reason": "at_or_above",
    "evidence": {"value": 3.42, "threshold": 3.0, "unit": "m", "datum": "Luoling"},
    "provisional_id": "",
    "sentence": {
        "en": "st0007/wl at 2026-07-12T06:10:00Z: 3.42 m ≥ 3 m (Luoling); "
        f"rule {_RULE} raises blue.",
        "zh": f"st0007/wl 2026-07-12T06:10:00Z：3.42 m ≥ 3 m (Luoling)；规则 {_RULE} 触发蓝色。",
    },
}
_LINE = {
    "seq": 1203,
    "at": _LATER,
    "actor": f"rule:{_RULE}",
    "kind": "event",
    "hash": _HASH,
    "event": _EVENT,
}
_SEAT = {"name": "duty desk", "role": "officer", "expires": "2026-10-10T00:00:00.000Z"}
_BACKTEST = {
    "id": _ID,
    "by": "officer:duty desk",
    "state": "done",
    "why": "",
    "asked": {
        "from": "2026-07-01T00:00:00.000Z",
        "to": "2026-08-01T00:00:00.000Z",
        "catalogue": "1f2e3d4c5b6a7988",
        "observed": 1,
    },
    "started_at": _LATER,
    "ended_at": _LATER,
    "progress": {
        "share": 1.0,
        "judged_to": "2026-08-01T00:00:00.000Z",
        "readings": 44_640,
        "events": 2,
    },
}
_SCORE = {
    "rule": _RULE,
    "level": "blue",
    "events": 1,
    "hits": 1,
    "misses": 0,
    "episodes": 2,
    "false_episodes": 1,
    "pod": 1.0,
    "far": 0.5,
    "csi": 0.5,
    "bias": 2.0,
    "lead_median_s": 5400.0,
}
_RESULT = {
    "from": "2026-07-01T00:00:00.000Z",
    "to": "2026-08-01T00:00:00.000Z",
    "readings": 44_640,
    "late": 0,
    "clock_ahead": 0,
    "early": 0,
    "settled": 2,
    "provisional": 2,
    "refuted": 0,
    "rules": {_RULE: {"blue": 2}},
    "standing": [],
    "events": [{key: value for key, value in _EVENT.items() if key != "provisional_id"}],
    "truncated": False,
    "scores": [_SCORE],
}
_ORDER = {
    "id": "6f1e2d3c4b5a6978-pace-1",
    "station": "st0007",
    "state": "event",
    "for_s": 3600,
    "by": "officer:duty desk",
    "ordered_at": _LATER,
    "expires_at": "2026-07-12T06:11:31.420Z",
    "outcome": "waiting",
    "gateways": [{"id": "XM-TA-0042", "outcome": "waiting", "detail": ""}],
}
_ACTED = {**STANDING, "warning": _WARNING, "line": 1204}


def _page(item: dict[str, Any], **more: object) -> dict[str, Any]:
    return {**STANDING, "items": [item], "next": None, **more}


ANSWERS: dict[tuple[str, str], Any] = {
    ("get", "/healthz"): {"status": "alive"},
    ("get", "/readyz"): {"status": "ready", "why": [], **STANDING},
    ("get", "/api/v1/session"): _SEAT,
    ("post", "/api/v1/session"): _SEAT,
    ("get", "/api/v1/warnings"): _page(_WARNING),
    ("get", "/api/v1/warnings/{warning}"): {
        **STANDING,
        "warning": _WARNING,
        "history": [_LINE],
        "history_complete": True,
    },
    ("post", "/api/v1/warnings/{warning}/acknowledge"): _ACTED,
    ("post", "/api/v1/warnings/{warning}/lower"): _ACTED,
    ("post", "/api/v1/warnings/{warning}/close"): _ACTED,
    ("get", "/api/v1/stations"): _page(_STATION, **_CATALOGUES),
    ("get", "/api/v1/stations/{station}"): {
        **STANDING,
        "station": _STATION,
        "latest": [_LATEST],
        **_CATALOGUES,
    },
    ("post", "/api/v1/stations/{station}/pace"): {**STANDING, "order": _ORDER},
    ("get", "/api/v1/stations/{station}/pace"): {
        **STANDING,
        "station": "st0007",
        "gateways": [
            {"id": "XM-TA-0042", "online": True, "last_seen": _LATER, "pace": "event"},
        ],
        "order": {
            **_ORDER,
            "outcome": "done",
            "gateways": [
                {"id": "XM-TA-0042", "outcome": "done", "detail": "event for 3600 s"},
            ],
        },
        "orders_since": "2026-07-01T00:00:00.000Z",
    },
    ("get", "/api/v1/stations/{station}/channels/{channel}/readings"): {
        **STANDING,
        "station": "st0007",
        "channel": "wl",
        **_MEASURE,
        "standings": _STANDINGS,
        "from": "2026-07-12T06:00:00.000Z",
        "to": "2026-07-12T07:00:00.000Z",
        "items": [_READING],
        "truncated": False,
        "next_from": None,
    },
    ("get", "/api/v1/stations/{station}/channels/{channel}/buckets"): {
        **STANDING,
        "station": "st0007",
        "channel": "wl",
        **_MEASURE,
        "from": "2026-07-12T06:00:00.000Z",
        "to": "2026-07-12T07:00:00.000Z",
        "width_s": 3600.0,
        "tier": "1h",
        "rollups": {
            "state": "current",
            "rolled_to": _LATER,
            "age_s": 0.9,
            "pending": 0,
            "unmarked": 0,
        },
        "items": [_BUCKET],
        "truncated": False,
        "next_from": None,
    },
    ("get", "/api/v1/stations/{station}/channels/{channel}/screening"): {
        **STANDING,
        "station": "st0007",
        "channel": "wl",
        **_MEASURE,
        "screened": True,
        "items": [
            {
                "time": _TIME,
                "flag": 3,
                "flag_name": "SUSPECT",
                "reasons": ["SPIKE", "RATE"],
                "provisional": True,
            }
        ],
        "counts": [{"reason": "rate", "suspect": 1, "fail": 0}],
    },
    ("post", "/api/v1/readings"): {
        "batch": "2026-07-12-0610",
        "source": "feed:hydrology",
        "replayed": False,
        "accepted": 59,
        "refused": [
            {"at": 7, "why": "wrong_unit", "detail": "'kPa' cannot measure water_level (try m)"}
        ],
    },
    ("get", "/api/v1/backtests"): _page(_BACKTEST),
    ("post", "/api/v1/backtests"): {**STANDING, "backtest": _BACKTEST},
    ("get", "/api/v1/backtests/{backtest}"): {
        **STANDING,
        "backtest": _BACKTEST,
        "result": _RESULT,
    },
    ("delete", "/api/v1/backtests/{backtest}"): {**STANDING, "backtest": _BACKTEST},
    ("get", "/api/v1/latest"): _page(_LATEST),
    ("get", "/api/v1/gateways"): _page(
        {
            "id": "XM-TA-0042",
            "known": True,
            "heard": True,
            "channels": ["st0007/wl"],
            "status": {"online": True, "last_seen": _LATER, "missing_batches": 0},
        }
    ),
    ("get", "/api/v1/asides"): _page(
        {
            "id": 17,
            "gateway": "XM-TA-0042",
            "log": "0" * 32,
            "seq": 88,
            "entry": -1,
            "why": "foreign",
            "received_at": _LATER,
            "body": "[]",
        }
    ),
    **grafana_examples.ANSWERS,
}
STREAM = (
    'event: hello\ndata: {"head":1204,"after":1203}\n\n'
    f'id: 1204\nevent: warning\ndata: {{"seq":1204,"at":"{_LATER}","kind":"acknowledged",'
    f'"id":"{_ID}"}}\n\n'
    f'event: heartbeat\ndata: {{"as_of":"{_LATER}","head":1204}}\n\n'
)
PROBLEM = {
    "type": "urn:egret:problem:role_too_low",
    "title": "Forbidden",
    "status": 403,
    "code": "role_too_low",
    "detail": "wall screen is viewer; this needs officer",
}
