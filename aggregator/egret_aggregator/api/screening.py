"""What the centre's own screening says of a channel's values, beside their gateway's flags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends

from egret_aggregator.api.auth import Viewer, context_of
from egret_aggregator.api.context import Context
from egret_aggregator.api.envelope import standing
from egret_aggregator.api.readings import FLAG_NAMES, known_channel, measure
from egret_aggregator.api.times import rfc3339
from egret_core.quality import Reason, bit_names

if TYPE_CHECKING:
    from egret_core.screening.chain import Flagged

router = APIRouter(prefix="/api/v1", tags=["readings"])

Rooms = Annotated[Context, Depends(context_of)]


@router.get("/stations/{station}/channels/{channel}/screening")
async def screening(rooms: Rooms, _seat: Viewer, station: str, channel: str) -> dict[str, Any]:
    """Give the newest values of a channel that the centre flagged, newest first, and its counts.

    A value is flagged once it is settled. `provisional` is what the next value can still change.
    """
    place = await known_channel(rooms, station, channel)
    shown = rooms.line.screened(station, channel)
    return {
        **standing(rooms),
        "station": station,
        "channel": channel,
        **measure(place),
        "screened": place is not None and place.screening is not None,
        "items": [_flagged(said) for said in reversed(shown.flags)],
        "counts": [
            {"reason": reason, "suspect": suspect, "fail": fail}
            for reason, (suspect, fail) in sorted(shown.counts.items())
        ],
    }


def _flagged(said: Flagged) -> dict[str, Any]:
    return {
        "time": rfc3339(said.time_ms),
        "flag": said.flag,
        "flag_name": FLAG_NAMES[said.flag],
        "reasons": bit_names(said.reasons, Reason),
        "provisional": said.provisional,
    }
