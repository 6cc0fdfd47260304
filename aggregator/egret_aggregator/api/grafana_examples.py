"""An answer to each question of Grafana's; `examples` takes them in."""

from __future__ import annotations

from typing import Any

_ID = "3f0f2b7c5d1e4a6890ab12cd34ef5678"
_TIME = "2026-07-12T06:10:00.000Z"
_LATER = "2026-07-12T06:10:31.420Z"
_LEVEL = {"level": "blue", "rank": 1}
_THRESHOLD = {
    "station": "st0007",
    "channel": "wl",
    "rule": "river-level",
    "family": "level",
    "hazard": "level",
    **_LEVEL,
    "raise": 3.0,
    "clear": 2.8,
    "unit": "m",
    "datum": "Luoling",
    "window_h": None,
}
_TABLES: dict[str, dict[str, Any]] = {
    "annotations": {
        "time": _TIME,
        "timeEnd": _LATER,
        "text": "st0007/wl (Luoling bridge); on record blue; active, settled; "
        "nobody has acknowledged it",
        "title": "BLUE level st0007/wl",
        "tags": "blue,level,open,st0007",
    },
    "warnings": {
        "id": _ID,
        **_LEVEL,
        "state": "open",
        "condition": "active",
        "holding_level": "blue",
        "phase": "settled",
        "basis": "observed",
        "retrospective": False,
        "hazard": "level",
        "station": "st0007",
        "station_name": "Luoling bridge",
        "subject": "st0007/wl",
        "rule": "river-level",
        "onset": _TIME,
        "opened_at": _LATER,
        "changed_at": _LATER,
        "acknowledged_by": None,
        "age_s": 31.42,
    },
    "stations": {
        "id": "st0007",
        "name": "Luoling bridge",
        "latitude": 24.5,
        "longitude": 118.1,
        **_LEVEL,
        "warnings": 1,
        "unacknowledged": 1,
        "channels": 2,
        "channels_heard": 1,
        "newest": _TIME,
        "newest_age_s": 31.42,
    },
    "latest": {
        "station": "st0007",
        "station_name": "Luoling bridge",
        "channel": "wl",
        "quantity": "water_level",
        "unit": "m",
        "datum": "Luoling",
        "known": True,
        "time": _TIME,
        "value": 3.42,
        "flag": 1,
        "flag_name": "GOOD",
        "age_s": 31.42,
    },
    "gateways": {
        "id": "XM-TA-0042",
        "state": "online",
        "known": True,
        "channels": 2,
        "last_seen": _LATER,
        "last_seen_age_s": 4.1,
        "missing_batches": 0,
        "outbox_bytes": 81920,
        "outbox_unsettled": 1,
        "outbox_oldest_s": 0.8,
        "clock_source": "ntp",
        "clock_offset_s": 0.003,
        "buses": 1,
        "bus_faults": "",
    },
    "service": {
        "as_of": _LATER,
        "ready": True,
        "faults": "",
        **_LEVEL,
        "warnings": 1,
        "unacknowledged": 1,
        "judgement": "current",
        "judged_to": _LATER,
        "judgement_age_s": 0.4,
        "recording": "current",
        "recorded_to": _LATER,
        "recording_age_s": 0.4,
        "ledger_head": 1204,
        "stream_clients": 12,
        "catalogue": "1f2e3d4c5b6a7988",
        "catalogue_in_force": "1f2e3d4c5b6a7988",
    },
    "figures": {"name": "egret_journal_head", "value": 9120.0},
    "thresholds": _THRESHOLD,
    "threshold-lines": {
        "time": _TIME,
        "line": "wl blue",
        "value": 3.0,
        "station": "st0007",
        "channel": "wl",
        "level": "blue",
        "unit": "m",
    },
}
ANSWERS: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("get", f"/api/v1/grafana/{table}"): [row] for table, row in _TABLES.items()
}
