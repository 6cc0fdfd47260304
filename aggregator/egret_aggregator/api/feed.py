"""Readings handed in by other systems, each batch once."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from egret_aggregator.api.auth import Feeder, context_of
from egret_aggregator.api.context import Context
from egret_aggregator.api.problems import ProblemError
from egret_aggregator.errors import JournalError
from egret_aggregator.feed import READINGS_MAX, source_of
from egret_aggregator.journal import Verdict
from egret_aggregator.tokens import Role

WORD_PATTERN = r"^[A-Za-z0-9_.:-]{1,128}$"
RETRY_S = 10  # a journal that is full or failing does not mend sooner

router = APIRouter(prefix="/api/v1", tags=["readings"])

Rooms = Annotated[Context, Depends(context_of)]


class HandedIn(BaseModel):
    """Body of a batch of readings; entries are checked one by one."""

    model_config = ConfigDict(extra="forbid")

    batch: str = Field(pattern=WORD_PATTERN)
    readings: list[Any] = Field(min_length=1, max_length=READINGS_MAX)


@router.post("/readings")
async def hand_in(rooms: Rooms, seat: Feeder, body: HandedIn) -> dict[str, Any]:
    """Take readings of the sender's own channels; the answer comes once they are durable.

    `batch` is the sender's own word for it: the same content again is answered as at first.
    """
    source = source_of(seat.name, imports=seat.role is Role.ADMIN)
    try:
        verdict, told = await rooms.feed.take(source, body.batch, body.readings)
    except JournalError:
        raise _not_taking("the journal cannot be written now") from None
    except ValueError as error:
        raise ProblemError(413, "batch_too_large", f"send fewer readings: {error}") from None
    if verdict is Verdict.HELD:
        raise _not_taking("the journal is full, or keeps its room for fresh readings")
    if verdict is Verdict.CONFLICT:
        detail = f"batch {body.batch} was sent with other content: give this one a word of its own"
        raise ProblemError(409, "batch_conflict", detail)
    replayed = verdict is Verdict.DUPLICATE
    return {"batch": body.batch, "source": source, "replayed": replayed, **told}


def _not_taking(detail: str) -> ProblemError:
    headers = {"Retry-After": str(RETRY_S)}
    return ProblemError(503, "not_taking", f"{detail}; send it again", headers=headers)
