"""Credentials renewed over the uplink, before they end and after a bundle's first use.

The gateway tells in each status as whom it is connected. The centre makes the next account, hands
its secret out by a command, and ends the former one only once the gateway was seen under the new
one. The secret is kept in memory alone: a centre that was started anew gives the account up, and
makes another. So a kill on either side, at any moment, leaves one credential that opens.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from egret_aggregator.enrolment.office import OURSELVES
from egret_core.messages import RENEW, Command, CommandAck, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from egret_aggregator.enrolment.accounts import Account, Book
    from egret_aggregator.enrolment.office import Office
    from egret_aggregator.enrolment.settings import EnrolmentSettings

RENEW_SHARE = 2 / 3  # of its life left: three years give two in a store room without a word
REPEAT_S = 10.0  # between two sendings of an unanswered command
EXPIRE_S = 600.0  # after which an account that was not taken up is given up
REST_S = 3600.0  # after a refusal or a failure, before the same gateway is offered one again
SWEEP_S = 60.0  # between two looks for accounts that have ended
FLIGHTS_MAX = 64  # renewals at a time: a city's gateways are renewed one after the other
WAITING_MAX = 1024  # gateways whose status is still to be looked at; each tells again

_DAY_MS = 86_400_000
_log = logging.getLogger(__name__)


class Step(StrEnum):
    """What a gateway's account asks for."""

    NOTHING = "nothing"
    UNKNOWN = "unknown"  # no account of ours: kept by hand
    SERVED = "served"  # the new one is in use: the former may end
    GIVE_UP = "give_up"  # one was handed out whose secret nobody knows any more
    RENEW = "renew"


def step(book: Book, name: str, now_ms: int, days: float, *, in_flight: bool) -> Step:
    """Return what is to be done for a gateway that is connected under an account.

    Args:
        book: all accounts.
        name: the one it is connected under.
        now_ms: the machine's time.
        days: life of a lasting credential.
        in_flight: a renewal is being handed to it just now.
    """
    account = book.named(name)
    if account is None:
        return Step.UNKNOWN
    if account.pending:
        return Step.SERVED
    if in_flight:
        return Step.NOTHING
    newer = [one for one in book.of(account.gateway) if one.number > account.number]
    if any(one.pending for one in newer):
        return Step.GIVE_UP
    if newer:
        return Step.NOTHING  # a bundle is on its way by hand
    due = account.bundle or account.ends_ms - now_ms < days * _DAY_MS * RENEW_SHARE
    return Step.RENEW if due else Step.NOTHING


def settled(book: Book, name: str, now_ms: int, overlap_ms: int) -> list[Account]:
    """Return what changes once an account is in use: it, and the ends of those before it.

    A bundle's ends at once: it is for one use. Any other stays for the overlap.
    """
    account = book.named(name)
    if account is None:
        return []
    changed = [replace(account, pending=False)]
    for one in book.of(account.gateway):
        if one.number < account.number:
            ends_ms = now_ms if one.bundle else min(one.ends_ms, now_ms + overlap_ms)
            changed.append(replace(one, ends_ms=ends_ms))
    return changed


@dataclass(slots=True)
class _Flight:
    account: Account
    secret: str = field(repr=False)
    expires_s: float
    sent_s: float = float("-inf")
    taken: bool = False


class Renewals:
    """All gateways' renewals; monotonic seconds and the machine's ms are arguments.

    Args:
        office: makes and ends accounts.
        settings: checked ones.
        run: this start's id, part of a command's id.
        now_ms: the machine's time; now_s: monotonic.
        trusted: tells whether accounts may be ended and certificates made by that time.
    """

    def __init__(
        self,
        office: Office,
        settings: EnrolmentSettings,
        run: str,
        now_ms: Callable[[], int],
        now_s: Callable[[], float],
        *,
        trusted: Callable[[], bool],
    ) -> None:
        self._office = office
        self._settings = settings
        self._run = run
        self._now_ms = now_ms
        self._now_s = now_s
        self._trusted = trusted
        self._untold = ""
        self._flights: dict[str, _Flight] = {}
        self._rests: dict[str, float] = {}
        self._waiting: dict[str, str] = {}
        self._wake = asyncio.Event()

    def saw(self, gateway: str, account: object) -> None:
        """Take note as whom a gateway is connected; it is looked at by `run`."""
        if isinstance(account, str) and account.startswith(f"{gateway}."):
            if len(self._waiting) < WAITING_MAX:
                self._waiting[gateway] = account
            self._wake.set()

    def due(self, in_ms: Callable[[float], int], now_ms: int) -> Iterator[tuple[str, Command]]:
        """Yield (gateway, command) to send now.

        Args:
            in_ms: the centre's time after so many seconds.
            now_ms: its time now.
        """
        now_s = self._now_s()
        for gateway, flight in self._flights.items():
            if flight.taken or now_s - flight.sent_s < REPEAT_S:
                continue
            flight.sent_s = now_s
            account = flight.account
            args = {"account": account.name, "kind": account.form, "secret": flight.secret}
            id_ = self._id(flight)
            yield gateway, Command(id_, in_ms(flight.expires_s - now_s), RENEW, args, now_ms)

    def answered(self, gateway: str, answer: CommandAck) -> None:
        """Take an answer; one that is not of a renewal is none of ours."""
        flight = self._flights.get(gateway)
        if flight is None or answer.id != self._id(flight):
            return
        if answer.outcome == Outcome.DONE:
            flight.taken = True  # it comes back under the new account, or we give it up in time
            return
        _log.warning("event=renewal_refused gateway=%s why=%r", gateway, answer.detail)
        flight.expires_s = self._now_s()
        self._wake.set()

    async def run(self) -> None:
        """Look at what was seen, and end what has ended, until cancelled."""
        swept_s = float("-inf")
        while True:
            # Not wait_for: on 3.11 it can swallow a cancellation that meets the event.
            try:
                async with asyncio.timeout(SWEEP_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            while self._waiting:
                gateway = next(iter(self._waiting))
                await self._guarded(gateway, self._look(gateway, self._waiting.pop(gateway)))
            for gateway, flight in list(self._flights.items()):
                if self._now_s() >= flight.expires_s:
                    del self._flights[gateway]
                    self._rests[gateway] = self._now_s() + REST_S
                    await self._guarded(gateway, self._give_up(flight.account.name))
            if self._now_s() - swept_s >= SWEEP_S:
                swept_s = self._now_s()
                await self._sweep()

    async def _guarded(self, gateway: str, work: object) -> None:
        """A renewal that fails is told and tried later: readings go on under what is there.

        "" stands for what concerns no single gateway.
        """
        try:
            await work  # type: ignore[misc]  # (a coroutine of ours)
        except Exception as error:  # noqa: BLE001  (no fault of a file may end the centre)
            why = str(error) or repr(error)
            _log.error("event=renewal_failed gateway=%s error=%r", gateway, why)
            self._rests[gateway] = self._now_s() + REST_S

    async def _look(self, gateway: str, name: str) -> None:
        book, now_ms = await self._office.book(), self._now_ms()
        what = step(book, name, now_ms, self._settings.days, in_flight=gateway in self._flights)
        if what is Step.SERVED:
            self._flights.pop(gateway, None)
            changed = settled(book, name, now_ms, self._office.overlap_ms())
            over = [one.name for one in changed[1:] if one.ends_ms <= now_ms]
            await self._office.put(*changed, over=over)
            _log.info("event=renewed gateway=%s account=%s", gateway, name)
        elif what is Step.GIVE_UP:
            newer = [one.name for one in book.of(gateway) if one.pending]
            await self._office.end(newer, "not taken up", OURSELVES)
            await self._offer(gateway)
        elif what is Step.RENEW:
            await self._offer(gateway)

    async def _offer(self, gateway: str) -> None:
        if len(self._flights) >= FLIGHTS_MAX or self._rests.get(gateway, 0.0) > self._now_s():
            return
        self._rests.pop(gateway, None)
        days = self._settings.days
        account, secret = await self._office.make(
            gateway, "renewal", OURSELVES, days=days, pending=True
        )
        self._flights[gateway] = _Flight(account, secret, self._now_s() + EXPIRE_S)
        _log.info("event=renewal_offered gateway=%s account=%s", gateway, account.name)

    async def _give_up(self, name: str) -> None:
        await self._office.end([name], "not taken up", OURSELVES)

    async def _sweep(self) -> None:
        """Tell the broker what is owed, end what is over, renew its certificate."""
        await self._make_good()
        trusted = self._trusted()
        if trusted:
            await self._guarded("", self._office.sweep())
        await self._guarded("", self._certify(trusted=trusted))

    async def _make_good(self) -> None:
        """Tell the broker what is owed, at every look; the same failure is logged once."""
        try:
            await self._office.make_good()
        except Exception as error:  # noqa: BLE001  (no fault of a file may end the centre)
            why = str(error) or repr(error)
            if why != self._untold:
                _log.error("event=broker_untold again_s=%g error=%r", SWEEP_S, why)
            self._untold = why
        else:
            if self._untold:
                _log.warning("event=broker_told")
            self._untold = ""

    async def _certify(self, *, trusted: bool) -> None:
        if self._now_s() < self._rests.get("", 0.0):
            return
        if await self._office.certify_when_due(trusted=trusted):
            _log.info("event=certificate_renewed")

    def _id(self, flight: _Flight) -> str:
        return f"{self._run}-renew-{flight.account.name}"
