"""Buckets of one channel for charts: extremes with their instants, mean, sum, ends and doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query

from egret_aggregator.api.auth import Viewer, context_of
from egret_aggregator.api.context import Context
from egret_aggregator.api.envelope import limit_of, standing
from egret_aggregator.api.problems import ProblemError
from egret_aggregator.api.readings import (
    FLAG_NAMES,
    Span,
    known_channel,
    measure,
    span_of,
)
from egret_aggregator.api.times import rfc3339
from egret_aggregator.charts import Tier, tier_of

if TYPE_CHECKING:
    from egret_core.buckets import Bucket

router = APIRouter(prefix="/api/v1", tags=["readings"])


Rooms = Annotated[Context, Depends(context_of)]


class Chart(Span):
    """Which buckets of a channel are asked for: whole ones that meet [from, to)."""

    width_s: float


@router.get("/stations/{station}/channels/{channel}/buckets")
async def buckets(
    rooms: Rooms, _seat: Viewer, station: str, channel: str, chart: Annotated[Chart, Query()]
) -> dict[str, Any]:
    """Give what happened in each `width_s` of one channel; buckets without readings are left out.

    Where `truncated` is true, `next_from` is where the next request starts. `rollups.pending`
    counts ten-minute buckets of this channel, `rollups.unmarked` batches of any channel, that are
    recorded and may be missing here: with both 0 the answer is all that is recorded.
    """
    from_ms, to_ms = span_of(rooms, chart)
    width_ms = _width(chart.width_s)
    limit = limit_of(rooms, chart.limit)
    place = await known_channel(rooms, station, channel)
    unmarked = 0 if tier_of(width_ms) is Tier.RAW else await rooms.line.unmarked()
    page = await rooms.charts.buckets((station, channel), from_ms, to_ms, width_ms, limit)
    state, rolled_ms, age_s = rooms.rolling()
    truncated = page.to_ms < to_ms
    return {
        **standing(rooms),
        "station": station,
        "channel": channel,
        **measure(place),
        "from": rfc3339(from_ms),
        "to": rfc3339(to_ms),
        "width_s": width_ms / 1000,
        "tier": str(page.tier),
        "rollups": {
            "state": str(state),
            "rolled_to": None if rolled_ms is None else rfc3339(rolled_ms),
            "age_s": age_s,
            "pending": page.pending,
            "unmarked": unmarked,
        },
        "items": [_shown(bucket) for bucket in page.buckets],
        "truncated": truncated,
        "next_from": rfc3339(page.to_ms) if truncated else None,
    }


def _width(width_s: float) -> int:
    try:
        width_ms = round(width_s * 1000)
        tier_of(width_ms)
    except (ValueError, OverflowError) as error:
        raise ProblemError(400, "bad_width", f"width_s {width_s:g}: {error}") from None
    return width_ms


def _shown(bucket: Bucket) -> dict[str, Any]:
    return {
        "time": rfc3339(bucket.at_ms),
        "count": bucket.seen,
        "n": bucket.n,
        "min": bucket.low,
        "min_time": _instant(bucket.low_ms),
        "max": bucket.high,
        "max_time": _instant(bucket.high_ms),
        "mean": bucket.mean,
        "sum": bucket.total,
        "first": bucket.first,
        "first_time": _instant(bucket.first_ms),
        "last": bucket.last,
        "last_time": _instant(bucket.last_ms),
        "worst": bucket.worst,
        "worst_name": FLAG_NAMES.get(bucket.worst, f"FLAG_{bucket.worst}"),
    }


def _instant(time_ms: int | None) -> str | None:
    return None if time_ms is None else rfc3339(time_ms)
