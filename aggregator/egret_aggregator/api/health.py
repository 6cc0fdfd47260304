"""`/healthz`, `/readyz`, `/metrics`: for machines that watch the centre; no token, no secrets."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from egret_aggregator.api.auth import context_of
from egret_aggregator.api.context import Context, Judgement
from egret_aggregator.api.envelope import standing
from egret_aggregator.errors import DatabaseUnavailableError

router = APIRouter(tags=["health"])

Rooms = Annotated[Context, Depends(context_of)]


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that the process answers; nothing more."""
    return {"status": "alive"}


@router.get("/readyz")
async def readyz(rooms: Rooms, response: Response) -> dict[str, Any]:
    """Say whether readings come in and are judged; 503 with named reasons in `why` if not."""
    state, _, _ = rooms.judgement()
    why = [] if state is Judgement.CURRENT else [f"judgement_{state}"]
    why += rooms.line.faults()
    if rooms.ledger.fault:
        why.append("database_unavailable")
    if why:
        response.status_code = 503
    return {"status": "not_ready" if why else "ready", "why": why, **standing(rooms)}


@router.get("/metrics")
async def metrics(rooms: Rooms) -> Response:
    """Give figures in Prometheus' text format 0.0.4."""
    state, _, age_s = rooms.judgement()
    kept, _, kept_age_s = rooms.recording()
    figures: dict[str, float] = {
        "egret_recording_current": float(kept is Judgement.CURRENT),
        "egret_judgement_current": float(state is Judgement.CURRENT),
        "egret_database_up": float(not rooms.ledger.fault),
        "egret_ledger_head": float(rooms.ledger.head.seq),
        "egret_stream_clients": float(len(rooms.hub)),
        "egret_stream_overflows_total": float(rooms.hub.overflows),
        **rooms.line.figures(),
    }
    if age_s is not None:
        figures["egret_judgement_age_seconds"] = age_s
    if kept_age_s is not None:
        figures["egret_recording_age_seconds"] = kept_age_s
    try:
        counts = await rooms.ledger.counts()
    except DatabaseUnavailableError:
        counts, figures["egret_database_up"] = {}, 0.0
    for (where, level), count in counts.items():
        name = f'egret_warnings{{state="{_label(where)}",level="{_label(level)}"}}'
        figures[name] = float(count)
    return Response(exposition(figures), media_type="text/plain; version=0.0.4; charset=utf-8")


def exposition(figures: dict[str, float]) -> str:
    """Return figures as text, each family with its type: `_total` counts, others are gauges."""
    lines: list[str] = []
    family = ""
    for name in sorted(figures, key=lambda name: name.partition("{")):  # a family in one piece
        base = name.partition("{")[0]
        if base != family:
            family = base
            lines.append(f"# TYPE {base} {'counter' if base.endswith('_total') else 'gauge'}")
        lines.append(f"{name} {figures[name]:.15g}")
    return "\n".join(lines) + "\n"


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
