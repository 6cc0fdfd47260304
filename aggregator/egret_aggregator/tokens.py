"""Tokens: who may use the API, in which role, until when.

A token is `egret_ID_SECRET`: a public id to find it by and 256 random bits. Only SHA-256 of the
secret is kept; a slow hash would add nothing to 256 bits.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.database import token_rows
from egret_aggregator.database.token_rows import TokenRow
from egret_aggregator.errors import AggregatorError
from egret_aggregator.warnings.record import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

    from egret_aggregator.database import Database
    from egret_aggregator.warnings import Ledger

DAYS_DEFAULT = 90  # a season; a forgotten token ends by itself
DAYS_MAX = 3650  # ten years, the life of an installation
TOKEN_MAX = 200  # characters; longer is not one of ours and is not hashed

_DAY_MS = 86_400_000
_SECRET_B = 32
_ID_B = 6
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,48}")
_DUMMY = "0" * 64  # compared with where there is no token, so that both ways take as long


class Role(StrEnum):
    """What a seat may do; from viewer on each may what the one before may."""

    FEEDER = "feeder"  # hand in readings of its own channels, read nothing
    VIEWER = "viewer"  # read everything
    OFFICER = "officer"  # acknowledge, lower, close, order a pace
    ADMIN = "admin"  # reserved for settings

    @property
    def rank(self) -> int:
        """0 for the least."""
        return list(Role).index(self)


class Seat(NamedTuple):
    """Who asks: token id, name and role, and when the token ends (machine's ms)."""

    token: str
    name: str
    role: Role
    expires_ms: int

    @property
    def actor(self) -> str:
        """As the ledger names it."""
        return f"{self.role}:{self.name}"


class Denial(StrEnum):
    """Why a token opens nothing."""

    MALFORMED = "token_malformed"
    UNKNOWN = "token_unknown"
    EXPIRED = "token_expired"
    REVOKED = "token_revoked"


class TokenError(AggregatorError):
    """A name, role or life that no token may have."""


class Tokens:
    """The tokens of one database."""

    def __init__(self, database: Database, ledger: Ledger, real_ms: Callable[[], int]) -> None:
        self._database = database
        self._ledger = ledger
        self._real_ms = real_ms

    async def add(self, name: str, role: Role, days: int = DAYS_DEFAULT) -> tuple[str, TokenRow]:
        """Return a new token, shown this once, and its row.

        Raises:
            TokenError: the name or the number of days is out of bounds.
        """
        if _NAME.fullmatch(name) is None:
            raise TokenError(f"name {name!r}: 1 to 48 of A-Z a-z 0-9 _ . -")
        if not 1 <= days <= DAYS_MAX:
            raise TokenError(f"days {days}: 1 to {DAYS_MAX}")
        secret = secrets.token_urlsafe(_SECRET_B)
        now = self._real_ms()
        row = TokenRow(
            id=secrets.token_hex(_ID_B),
            name=name,
            role=str(role),
            hash=_hash(secret),
            created_ms=now,
            expires_ms=now + days * _DAY_MS,
            revoked_ms=None,
        )

        async def add(connection: AsyncConnection) -> bool:
            await token_rows.add(connection, row)
            return True

        said = {"token": row.id, "name": name, "role": row.role, "expires_ms": row.expires_ms}
        await self._ledger.note("console", Kind.TOKEN_ADDED, said, add)
        return f"egret_{row.id}_{secret}", row

    async def everything(self) -> list[TokenRow]:
        """Return all tokens, the oldest first."""
        async with self._database.reading() as connection:
            return await token_rows.everything(connection)

    async def revoke(self, token: str) -> bool:
        """End a token by its public id; False where none is still good."""

        async def revoke(connection: AsyncConnection) -> bool:
            return await token_rows.revoke(connection, token, self._real_ms())

        return await self._ledger.note("console", Kind.TOKEN_REVOKED, {"token": token}, revoke)

    async def seat(self, text: str) -> Seat | Denial:
        """Return who bears a token, or why it opens nothing."""
        parts = text.split("_", 2)
        if len(text) > TOKEN_MAX or len(parts) != 3 or parts[0] != "egret":  # noqa: PLR2004
            return Denial.MALFORMED
        async with self._database.reading() as connection:
            row = await token_rows.get(connection, parts[1])
        right = hmac.compare_digest(_DUMMY if row is None else row.hash, _hash(parts[2]))
        if row is None or not right:
            return Denial.UNKNOWN
        return self._standing(row)

    async def still(self, seat: Seat) -> bool:
        """Tell whether a seat's token is still good."""
        async with self._database.reading() as connection:
            row = await token_rows.get(connection, seat.token)
        return row is not None and isinstance(self._standing(row), Seat)

    def _standing(self, row: TokenRow) -> Seat | Denial:
        if row.revoked_ms is not None:
            return Denial.REVOKED
        if row.expires_ms <= self._real_ms():
            return Denial.EXPIRED
        return Seat(row.id, row.name, Role(row.role), row.expires_ms)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
