"""Who asks: a bearer token, or the cookie that a browser got for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from fastapi import Depends
from starlette.requests import HTTPConnection  # noqa: TC002  (FastAPI reads it at run time)

from egret_aggregator.api.problems import ProblemError
from egret_aggregator.tokens import Denial, Role, Seat

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from egret_aggregator.api.context import Context

    Admission = Callable[..., Awaitable[Seat]]

COOKIE = "egret_session"
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="egret"'}
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_REMEDY = "ask the centre's administrator for a token: egret-aggregator token add"


def context_of(connection: HTTPConnection) -> Context:
    """Return the rooms behind the app that serves this request."""
    context: Context = connection.app.state.egret
    return context


async def seat_of(connection: HTTPConnection) -> Seat:
    """Return who asks.

    Raises:
        ProblemError: 401 with a named reason; 403 for a foreign page that uses a browser's cookie.
    """
    scheme, _, bearer = connection.headers.get("authorization", "").partition(" ")
    cookie = connection.cookies.get(COOKIE, "")
    if bearer and scheme.lower() == "bearer":
        token = bearer.strip()
    elif cookie:
        check_same_origin(connection)
        token = cookie
    else:
        raise ProblemError(
            401, "token_missing", f"send a bearer token; {_REMEDY}", headers=_CHALLENGE
        )
    return await admitted(context_of(connection), token)


async def admitted(context: Context, token: str) -> Seat:
    """Return who bears a token; a ProblemError with status 401 where it opens nothing."""
    seat = await context.tokens.seat(token)
    if isinstance(seat, Denial):
        raise ProblemError(
            401, str(seat), f"the token opens nothing; {_REMEDY}", headers=_CHALLENGE
        )
    return seat


def check_same_origin(connection: HTTPConnection) -> None:
    """Refuse a changing request that a browser sends from another site's page."""
    if connection.scope.get("method", "GET") in _SAFE:
        return
    origin = connection.headers.get("origin")
    if origin is None:
        same = connection.headers.get("sec-fetch-site") == "same-origin"
    else:
        same = urlsplit(origin).netloc.lower() == connection.headers.get("host", "").lower()
    if not same:
        raise ProblemError(403, "cross_site", "a cookie serves the centre's own pages only")


NEEDS: dict[Admission, Role] = {}  # the role that each dependency asks for; described to clients


def at_least(role: Role) -> Admission:
    """Return a dependency that admits seats of a role and above."""

    async def admit(seat: Annotated[Seat, Depends(seat_of)]) -> Seat:
        if seat.role.rank < role.rank:
            raise ProblemError(
                403, "role_too_low", f"{seat.name} is {seat.role}; this needs {role}"
            )
        return seat

    NEEDS[admit] = role
    return admit


async def feeding(seat: Annotated[Seat, Depends(seat_of)]) -> Seat:
    """Admit feeders, and administrators, who bring in history."""
    if seat.role not in (Role.FEEDER, Role.ADMIN):
        raise ProblemError(
            403, "role_too_low", f"{seat.name} is {seat.role}; this needs {Role.FEEDER} or admin"
        )
    return seat


NEEDS[feeding] = Role.FEEDER

Feeder = Annotated[Seat, Depends(feeding)]
Viewer = Annotated[Seat, Depends(at_least(Role.VIEWER))]
Officer = Annotated[Seat, Depends(at_least(Role.OFFICER))]
