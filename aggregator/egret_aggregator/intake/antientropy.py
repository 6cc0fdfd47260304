"""Which batches a gateway still holds and the centre lacks, and asking for them. Pure.

At every status `held` is compared with what was received or is known to be lost. What is missing
is asked for in pieces, one command in flight per gateway and log, repeated until it is answered
or expired. Lost acks, a restored backup and an empty centre all heal this way.

What a gateway has not settled it sends by itself. So it is asked at once only where more is
missing than it is still sending; a few missing ones hide behind batches whose acks are under way,
and are asked for when they were missing a minute ago as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from egret_core.messages import CommandAck, GatewayStatus, Outcome
from egret_core.seqranges import EMPTY, Ranges, common, first, minus, normalised, size, union

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PIECE_SEQS = 200  # of one resend command: a window of a few seconds, and far below 32 kB
REPEAT_S = 10.0  # between two sendings of an unanswered command
EXPIRE_S = 60.0  # after which it is void and a new one is made
REST_S = 30.0  # after a refusal, before the log is asked again
OVERDUE_S = 60.0  # missing at two statuses so far apart: it is not merely on its way
PROMISE_S = 600.0  # how long queued seqs may take to arrive before they are asked for again
GATEWAYS_MAX = 20_000  # as many as are shown; the one told of longest ago is forgotten
UNSETTLED = "unsettled"  # key of `outbox` in a status: batches the gateway is still sending


class Ask(NamedTuple):
    """A resend command to be sent now."""

    gateway: str
    id: str
    log: str
    seqs: Ranges
    expires_s: float


@dataclass(slots=True)
class _Log:
    held: Ranges
    flight: Ask | None = None
    sent_s: float = 0.0
    rest_until_s: float = 0.0
    promised: Ranges = EMPTY
    promised_s: float = 0.0
    lacked: Ranges = EMPTY
    lacked_s: float | None = None
    overdue: Ranges = EMPTY


@dataclass(slots=True)
class _Gateway:
    unsettled: int = 0
    empty_handed: bool = False  # more is missing than it is still sending
    logs: dict[str, _Log] = field(default_factory=dict)


class AntiEntropy:
    """What every gateway holds, and what it was asked for; times are monotonic seconds.

    Args:
        known: seqs of (gateway, log) that the journal has received or knows to be lost.
        run: makes command ids unique over restarts.
    """

    def __init__(self, known: Callable[[str, str], Ranges], run: str) -> None:
        self._known = known
        self._run = run
        self._gateways: dict[str, _Gateway] = {}
        self._open: set[str] = set()
        self.asked = 0  # commands made since the start

    def saw(self, status: GatewayStatus, now_s: float) -> None:
        """Take note of what a gateway holds; an offline one is not asked."""
        gateway = self._gateways.pop(status.gateway, None) or _Gateway()
        self._gateways[status.gateway] = gateway
        self._forget()
        if not status.online:
            # A last will holds nothing: what was held before still is.
            for log in gateway.logs.values():
                log.flight = None
            self._open.discard(status.gateway)
            return
        gateway.unsettled = status.outbox.get(UNSETTLED, 0)
        for name in [name for name in gateway.logs if name not in status.held]:
            del gateway.logs[name]
        for name, held in status.held.items():
            log = gateway.logs.setdefault(name, _Log(held))
            log.held = held
            self._compare(status.gateway, name, log, now_s)
        gateway.empty_handed = self.missing(status.gateway) > gateway.unsettled
        if gateway.empty_handed or any(log.overdue for log in gateway.logs.values()):
            self._open.add(status.gateway)
        else:
            self._open.discard(status.gateway)

    def missing(self, gateway: str) -> int:
        """Return how many held batches the centre lacks."""
        known = self._gateways.get(gateway)
        if known is None:
            return 0
        return sum(size(self._lacks(gateway, name, log)) for name, log in known.logs.items())

    @property
    def open(self) -> int:
        """Return how many gateways hold what they are asked for."""
        return len(self._open)

    def due(self, now_s: float) -> Iterator[Ask]:
        """Yield the commands to send now."""
        for gateway in sorted(self._open):
            lacking = False
            known = self._gateways[gateway]
            for name, log in known.logs.items():
                lacks = self._lacks(gateway, name, log)
                if not known.empty_handed:
                    lacks = common(lacks, log.overdue)
                lacking = lacking or bool(lacks)
                ask = self._next(gateway, name, log, lacks, now_s)
                if ask is not None:
                    yield ask
            if not lacking:
                self._open.discard(gateway)

    def answered(self, gateway: str, answer: CommandAck, now_s: float) -> tuple[str, Ranges]:
        """Take an answer; return (log, seqs that are gone for ever), "" for an unknown command."""
        known = self._gateways.get(gateway)
        for name, log in known.logs.items() if known else ():
            if log.flight is None or log.flight.id != answer.id:
                continue
            asked, log.flight = log.flight.seqs, None
            if answer.outcome in (Outcome.REFUSED, Outcome.EXPIRED):
                log.rest_until_s = now_s + REST_S
                return name, EMPTY
            # Only what was asked for: a confused answer must not write off other seqs.
            gone = common(asked, answer.gone)
            queued = common(asked, answer.queued)
            log.promised = union(log.promised, queued)
            log.promised_s = now_s
            if not gone and not queued:
                log.rest_until_s = now_s + REST_S  # it answers nothing: not at the link's speed
            return name, gone
        return "", EMPTY

    def _compare(self, gateway: str, name: str, log: _Log, now_s: float) -> None:
        """Find what was missing a minute ago and still is."""
        lacks = self._lacks(gateway, name, log)
        if log.lacked_s is None or now_s - log.lacked_s >= OVERDUE_S:
            log.overdue = common(log.lacked, lacks)
            log.lacked, log.lacked_s = lacks, now_s
        else:
            log.lacked = common(log.lacked, lacks)

    def _forget(self) -> None:
        while len(self._gateways) > GATEWAYS_MAX:
            oldest = next(iter(self._gateways))
            del self._gateways[oldest]
            self._open.discard(oldest)

    def _lacks(self, gateway: str, name: str, log: _Log) -> Ranges:
        return minus(log.held, self._known(gateway, name))

    def _next(self, gateway: str, name: str, log: _Log, lacks: Ranges, now_s: float) -> Ask | None:
        if log.flight is not None:
            if now_s >= log.flight.expires_s:
                log.flight = None
            elif now_s - log.sent_s < REPEAT_S:
                return None
            else:
                log.sent_s = now_s
                return log.flight
        if log.promised and now_s - log.promised_s > PROMISE_S:
            log.promised = EMPTY
        wanted = first(minus(lacks, log.promised), PIECE_SEQS)
        if not wanted or now_s < log.rest_until_s:
            return None
        self.asked += 1
        log.sent_s = now_s
        log.flight = Ask(
            gateway, f"{self._run}-{self.asked}", name, normalised(wanted), now_s + EXPIRE_S
        )
        return log.flight
