"""The centre's orders: each is carried out once, and answered as often as it is repeated."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from egret_core.codec import is_log
from egret_core.messages import INTEGER_MAX, PACE, RENEW, CommandAck, Outcome
from egret_core.seqranges import normalised
from egret_gateway.credentials import CERTIFICATE, PASSWORD, SECRET_MAX_B, is_account, keep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from egret_core.messages import Command
    from egret_core.seqranges import Ranges
    from egret_gateway.bus.pacer import Pacer
    from egret_gateway.outbox import Outbox

ANSWERS_MAX = 256  # answers kept for repeated commands; the centre has few open at a time
RANGES_MAX = 400  # ranges in one resend: the answer names them again and must fit 32 kB


class Commands:
    """Carries out commands.

    Args:
        outbox: where batches are; gateway: our id.
        credentials: folder for renewed credentials, None where the operator keeps them.
        pacer: sets stations' pace, None where nobody polls.
        requeued: hears which seqs of a log are to be sent again.
    """

    def __init__(
        self,
        outbox: Outbox,
        gateway: str = "",
        credentials: Path | None = None,
        pacer: Pacer | None = None,
        requeued: Callable[[str, Ranges], None] = lambda _log, _seqs: None,
    ) -> None:
        self._outbox = outbox
        self._pacer = pacer
        self._gateway = gateway
        self._credentials = credentials
        self._requeued = requeued
        self._answers: dict[str, CommandAck] = {}

    async def answer(self, command: Command) -> CommandAck:
        """Return the outcome; what it promises is committed."""
        known = self._answers.get(command.id)
        if known is not None:
            return known
        if command.now_ms > command.expires_ms:
            return CommandAck(command.id, Outcome.EXPIRED)
        ack = await self._carry_out(command)
        self._answers[command.id] = ack
        while len(self._answers) > ANSWERS_MAX:
            del self._answers[next(iter(self._answers))]
        return ack

    async def _carry_out(self, command: Command) -> CommandAck:
        if command.do == RENEW:
            return await asyncio.to_thread(self._renew, command)
        if command.do == PACE:
            return self._set_pace(command)
        if command.do != "resend":
            return CommandAck(
                command.id, Outcome.REFUSED, detail=f"unknown command {command.do[:40]!r}"
            )
        try:
            log, wanted = _resend_args(command.args)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            return CommandAck(command.id, Outcome.REFUSED, detail=f"resend: {error}"[:200])
        queued, gone = await self._outbox.requeue(log, wanted)
        self._requeued(log, queued)
        outcome = Outcome.QUEUED if queued else Outcome.GONE
        return CommandAck(command.id, outcome, log, queued, gone)

    def _set_pace(self, command: Command) -> CommandAck:
        """Carry out a pace; it lasts as long as it says, or as the process."""
        args = command.args
        station, state, for_s = args.get("station", ""), args.get("state"), args.get("for_s")
        if not (isinstance(station, str) and isinstance(state, str)):
            why = "station or state is not text"
        elif isinstance(for_s, bool) or not isinstance(for_s, int | float):
            why = "for_s is not a number"
        elif self._pacer is None:
            why = "nothing is polled here"
        else:
            why = self._pacer.order(station, state, for_s)
        if why:
            return CommandAck(command.id, Outcome.REFUSED, detail=f"pace: {why}"[:200])
        return CommandAck(command.id, Outcome.DONE, detail=f"{state} for {for_s:g} s")

    def _renew(self, command: Command) -> CommandAck:
        """Keep a new credential; it is on disk before the answer that makes it ours."""
        try:
            account, kind, secret = (
                str(command.args[key]) for key in ("account", "kind", "secret")
            )
        except KeyError as error:
            return CommandAck(command.id, Outcome.REFUSED, detail=f"renew: {error} is missing")
        if self._credentials is None:
            why = "no [broker] credentials folder here: this gateway's credential is kept by hand"
        elif not is_account(account) or not account.startswith(f"{self._gateway}."):
            why = f"{account[:60]!r} is no account of this gateway"
        elif kind not in (PASSWORD, CERTIFICATE):
            why = f"unknown kind of credential {kind[:20]!r}"
        elif not secret or len(secret) > SECRET_MAX_B:
            why = f"a secret of {len(secret)} B, 1 to {SECRET_MAX_B} are taken"
        else:
            try:
                keep(self._credentials, account, kind, secret)
            except OSError as error:
                why = f"not kept: {error}"
            else:
                return CommandAck(command.id, Outcome.DONE, detail=account)
        return CommandAck(command.id, Outcome.REFUSED, detail=f"renew: {why}"[:200])


def _resend_args(args: Mapping[str, Any]) -> tuple[str, Ranges]:
    log, wanted = args["log"], normalised(args["seqs"])
    if not is_log(log):
        raise ValueError("log is not 32 hex digits")
    if not wanted or len(wanted) > RANGES_MAX:
        raise ValueError(f"{len(wanted)} ranges, 1 to {RANGES_MAX} are taken at once")
    if wanted[0][0] < 1 or wanted[-1][1] > INTEGER_MAX:
        raise ValueError("a seq is out of range")
    return log, wanted
