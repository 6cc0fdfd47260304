"""Browsers: a token becomes a cookie that scripts cannot read and other sites cannot use."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request  # noqa: TC002  (FastAPI reads it at run time)

from egret_aggregator.api.auth import COOKIE, Viewer, admitted, check_same_origin, context_of
from egret_aggregator.api.context import Context
from egret_aggregator.api.times import rfc3339
from egret_aggregator.tokens import TOKEN_MAX, Seat

SESSION_MAX_S = 7 * 86_400  # a seat shows its token again once a week

router = APIRouter(prefix="/api/v1/session", tags=["session"])

Rooms = Annotated[Context, Depends(context_of)]


class Login(BaseModel):
    """Body of a log-in."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(max_length=TOKEN_MAX, repr=False)


@router.post("")
async def log_in(
    request: Request, rooms: Rooms, login: Login, response: Response
) -> dict[str, Any]:
    """Set the session cookie for a token."""
    if "origin" in request.headers:
        check_same_origin(request)
    seat = await admitted(rooms, login.token.strip())
    left_s = max(0, (seat.expires_ms - rooms.real.now_ms()) // 1000)
    response.set_cookie(
        COOKIE,
        login.token.strip(),
        max_age=min(left_s, SESSION_MAX_S),
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    response.headers["Cache-Control"] = "no-store"
    return _shown(seat)


@router.get("")
async def who(seat: Viewer) -> dict[str, Any]:
    """Say who asks, and until when the token is good."""
    return _shown(seat)


@router.delete("", status_code=204)
async def log_out(request: Request, response: Response) -> None:
    """Forget the session cookie in this browser; the token itself stays good."""
    check_same_origin(request)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")


def _shown(seat: Seat) -> dict[str, Any]:
    return {"name": seat.name, "role": str(seat.role), "expires": rfc3339(seat.expires_ms)}
