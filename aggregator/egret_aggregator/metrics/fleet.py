"""Figures of the gateways: all together, and the first ones by name."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from egret_aggregator.metrics.exposition import labelled

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from egret_aggregator.intake import GatewayView, Intake
    from egret_aggregator.metrics.histogram import Histogram

SHOWN_MAX = 500  # gateways with series of their own, by id: 3000 lines, 250 kB a scrape
SLICE = 64  # gateways between two breaths of the process: a millisecond
_MS = 1000


async def fleet(
    room: Intake, now_ms: int, catalogued: AbstractSet[str] = frozenset()
) -> dict[str, float | Histogram]:
    """Return figures of all gateways; beyond `SHOWN_MAX` only together with the others.

    Args:
        room: what is known of each.
        now_ms: the centre's time.
        catalogued: those that own channels, and so must not be silent.
    """
    figures: dict[str, float | Histogram] = {}
    count = online = cloned = missing = heard = 0
    oldest_s = silent_s = 0.0
    for number, name in enumerate(room.names()):
        view = room.gateway(name)
        if view is None:
            continue  # forgotten meanwhile
        count += 1
        online += view.online
        cloned += view.clone
        missing += view.missing
        oldest_s = max(oldest_s, _age_s(view))
        if view.last_seen_ms and name in catalogued:
            heard += 1
            silent_s = max(silent_s, _silent_s(view, now_ms))
        if count <= SHOWN_MAX:
            figures |= _one(view, now_ms)
        if number % SLICE == SLICE - 1:
            await asyncio.sleep(0)
    return figures | {
        "egret_gateways": float(count),
        "egret_gateways_online": float(online),
        "egret_gateways_cloned": float(cloned),
        "egret_gateways_missing_batches": float(missing),
        "egret_gateways_outbox_age_max_seconds": oldest_s,
        "egret_gateways_silence_max_seconds": silent_s,
        "egret_gateways_unheard": float(len(catalogued) - heard),
        "egret_gateways_unlisted": float(max(0, count - SHOWN_MAX)),
    }


def _one(view: GatewayView, now_ms: int) -> dict[str, float]:
    figures = {
        "egret_gateway_online": float(view.online),
        "egret_gateway_outbox_bytes": float(view.outbox.get("bytes", 0)),
        "egret_gateway_outbox_batches": float(view.outbox.get("unsettled", 0)),
        "egret_gateway_outbox_age_seconds": _age_s(view),
        "egret_gateway_missing_batches": float(view.missing),
    }
    if view.last_seen_ms:
        figures["egret_gateway_silence_seconds"] = _silent_s(view, now_ms)
    return {labelled(name, gateway=view.id): value for name, value in figures.items()}


def _silent_s(view: GatewayView, now_ms: int) -> float:
    return max(0, now_ms - view.last_seen_ms) / _MS


def _age_s(view: GatewayView) -> float:
    return view.outbox.get("oldest_ms", 0) / _MS
