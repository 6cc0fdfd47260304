"""Gateways come and go: accounts are made, replaced and ended, and every act is on record.

The ledger's line comes first, then the account: nothing opens the broker that is not on record.
A crash between the two leaves a line without an effect; the act is then done again.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from egret_aggregator.enrolment import bundle
from egret_aggregator.enrolment.accounts import Account, Book, hashed, new_secret
from egret_aggregator.enrolment.settings import Kind
from egret_aggregator.errors import EnrolmentError
from egret_aggregator.warnings.record import Kind as Line
from egret_core.topics import CENTRE, is_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from egret_aggregator.enrolment.folder import BrokerFolder
    from egret_aggregator.enrolment.settings import EnrolmentSettings
    from egret_aggregator.warnings import Ledger

CONSOLE, OURSELVES = "console", "centre"  # as the ledger names who acted

_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000


class Office:
    """Makes and ends accounts.

    Args:
        settings: checked ones.
        folder: where accounts are kept and rendered.
        ledger: takes a line for every act.
        now_ms: the machine's time.
        port: the broker's TLS port.
    """

    def __init__(
        self,
        settings: EnrolmentSettings,
        folder: BrokerFolder,
        ledger: Ledger,
        now_ms: Callable[[], int],
        port: int,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._ledger = ledger
        self._now_ms = now_ms
        self._port = port

    async def book(self) -> Book:
        """Return the accounts as they stand.

        Raises:
            EnrolmentError: they cannot be read.
        """
        return await asyncio.to_thread(self._folder.book)

    async def add(self, gateway: str, days: float | None = None) -> tuple[Account, str]:
        """Return a new gateway's first account, and the text of its bundle.

        Args:
            gateway: its id.
            days: how long the bundle can be used, None as the settings say.

        Raises:
            EnrolmentError: the id cannot be one, or is enrolled already.
        """
        if not is_id(gateway) or gateway == CENTRE:
            raise EnrolmentError(
                f"{gateway!r} cannot name a gateway", "A-Z a-z 0-9 _ -, at most 48"
            )
        now_ms = self._now_ms()
        if any(one.ends_ms > now_ms for one in (await self.book()).of(gateway)):
            raise EnrolmentError(
                f"{gateway} is enrolled already",
                "`gateway rotate` gives it a new credential, `gateway revoke` ends it",
            )
        return await self._bundled(gateway, days, "add")

    async def rotate(self, gateway: str, days: float | None = None) -> tuple[Account, str]:
        """Return a further account of an enrolled gateway, and its bundle.

        The former account stays good until the new one has served for the overlap.

        Raises:
            EnrolmentError: it is not enrolled.
        """
        self._enrolled(await self.book(), gateway)
        return await self._bundled(gateway, days, "rotate")

    async def revoke(self, gateway: str) -> list[str]:
        """End all accounts of a gateway at once; return their names.

        None where they had ended already, and the broker was told of that only now.

        Raises:
            EnrolmentError: it is not enrolled, or the broker could not be told: do it again.
        """
        book = await self.book()
        if not book.of(gateway) and await self.make_good():
            return []
        names = [one.name for one in self._enrolled(book, gateway)]
        await self.end(names, "revoke", CONSOLE)
        return names

    async def make(
        self, gateway: str, why: str, actor: str, *, days: float, pending: bool = False
    ) -> tuple[Account, str]:
        """Return a new account and its secret, known to the broker when this returns.

        Args:
            gateway: whose.
            why: a word for the ledger.
            actor: who did it.
            days: its life.
            pending: it is handed out over the uplink.

        Raises:
            EnrolmentError: it could not be made, or the broker not be told.
        """
        now_ms = self._now_ms()
        secret = new_secret()
        number = (await self.book()).next_number(gateway)
        account = Account(
            gateway,
            number,
            str(self._settings.by),
            hashed(secret) if self._settings.by is Kind.PASSWORD else {},
            now_ms,
            now_ms + int(days * _DAY_MS),
            bundle=not pending,
            pending=pending,
        )
        if self._settings.by is Kind.CERTIFICATE:
            authority = await asyncio.to_thread(self._folder.authority)
            pair = authority.client(account.name, now_ms, days)
            secret = pair.certificate + pair.key
        said = {"account": account.name, "why": why, "ends_ms": account.ends_ms}
        await self._ledger.note(actor, Line.CREDENTIAL_ADDED, said)

        def enter(book: Book) -> Book:
            if book.next_number(gateway) != number:
                raise EnrolmentError(f"{account.name} was made by another process", "do it again")
            return book.added(account)

        try:
            await asyncio.to_thread(self._folder.change, enter)
        except EnrolmentError:
            # Nobody would ever learn its secret: without it the act can simply be done again.
            with contextlib.suppress(EnrolmentError):
                await asyncio.to_thread(self._folder.change, partial(_withdrawn, account))
            raise
        return account, secret

    async def end(self, names: list[str], why: str, actor: str) -> None:
        """End accounts: the broker does not know them when this returns.

        Raises:
            EnrolmentError: the broker could not be told.
        """
        if not names:
            return
        await self._ledger.note(actor, Line.CREDENTIAL_ENDED, {"accounts": names, "why": why})
        await asyncio.to_thread(self._folder.change, lambda book: book.without(*names))

    async def put(self, *accounts: Account, over: Sequence[str] = ()) -> None:
        """Note what has become known of accounts, and end those that are over by it.

        Raises:
            EnrolmentError: the broker could not be told.
        """
        if over:
            said = {"accounts": list(over), "why": "over"}
            await self._ledger.note(OURSELVES, Line.CREDENTIAL_ENDED, said)

        def noted(book: Book) -> Book:
            return book.put(*accounts).without(*over)

        await asyncio.to_thread(self._folder.change, noted)

    async def sweep(self) -> None:
        """Shut the accounts that are over; call it only while the clock is trusted.

        One that a newer has replaced is removed. Any other stays in the book, and is opened again
        where its end turns out not to have come: the clock was ahead, and is right now.

        Raises:
            EnrolmentError: the broker could not be told.
        """
        book, now_ms = await self.book(), self._now_ms()
        gone = book.superseded(now_ms)
        shut = [
            replace(one, over=True)
            for one in book.open
            if one.ends_ms <= now_ms and one.name not in gone
        ]
        again = [
            replace(one, over=False) for one in book.accounts if one.over and one.ends_ms > now_ms
        ]
        for one in again:
            said = {"account": one.name, "why": "not over", "ends_ms": one.ends_ms}
            await self._ledger.note(OURSELVES, Line.CREDENTIAL_ADDED, said)
        if shut:
            said = {"accounts": [one.name for one in shut], "why": "over"}
            await self._ledger.note(OURSELVES, Line.CREDENTIAL_ENDED, said)
        if gone or shut or again:
            await self.put(*shut, *again, over=sorted(gone))

    async def make_good(self) -> bool:
        """Tell the broker what it was not yet told; tell whether there was anything.

        Raises:
            EnrolmentError: it could not be told: it stays owed.
        """
        return await asyncio.to_thread(self._folder.make_good)

    async def certify_when_due(self, *, trusted: bool = True) -> bool:
        """Renew the broker's certificate where that is due; tell whether it was.

        It is made before the ledger's line: one that cannot be made is on no record.

        Args:
            trusted: whether the clock is; else only what is of no use by any clock is made anew.

        Raises:
            EnrolmentError: it could not be made, or the broker not be told.
        """
        now_ms = self._now_ms()

        def due() -> bool:
            return self._folder.certificate_broken() or (
                trusted and self._folder.certificate_due(now_ms)
            )

        if not await asyncio.to_thread(due):
            return False
        issued = await asyncio.to_thread(self._folder.issued, now_ms)
        await self._ledger.note(OURSELVES, Line.CERTIFICATE_RENEWED, {})
        await asyncio.to_thread(self._folder.certify, now_ms, issued)
        return True

    def overlap_ms(self) -> int:
        """Return how long a former account stays beside the next."""
        return int(self._settings.overlap_h * _HOUR_MS)

    async def _bundled(self, gateway: str, days: float | None, why: str) -> tuple[Account, str]:
        life = self._settings.bundle_days if days is None else days
        account, secret = await self.make(gateway, why, CONSOLE, days=life)
        ca_pem = await asyncio.to_thread(self._folder.ca_pem)
        return account, bundle.encode(self._settings, self._port, ca_pem, account, secret)

    def _enrolled(self, book: Book, gateway: str) -> list[Account]:
        found = book.of(gateway)
        if not found:
            raise EnrolmentError(
                f"{gateway} is not enrolled", "see `egret-aggregator gateway list`"
            )
        return found


def _withdrawn(account: Account, book: Book) -> Book:
    """Return the book without an account; another's of the same name stays."""
    return book.without(account.name) if book.named(account.name) == account else book
