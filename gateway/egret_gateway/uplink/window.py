"""What may be sent now: lanes, places, resends, pause and probes. Pure: time is an argument.

All times are monotonic milliseconds, real ones: nothing here follows a scaled clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from egret_core.messages import Taking
from egret_core.topics import Leaf

if TYPE_CHECKING:
    from collections.abc import Callable

    from egret_gateway.outbox import Parcel

FRESH_MS = 60_000  # since its cut a batch travels as `data` so long, then as `backlog`
FRESH_PLACES = 4  # batches: fresh ones never wait for the backlog's acks
BACKLOG_BYTES_MAX = 128 * 1024  # bytes in flight: 16 s of a 64 kbit/s link
BACKLOG_BATCHES_MAX = 256  # batches in flight: at 300 ms about 850 batches/s
URGENT_PLACES = 64  # batches: a flood trips every channel of a site at once, hardly more
BATCHES_MIN = 4.0  # batches: the window never shuts wholly
BATCHES_START = 16.0  # batches: what any link bears
GROWTH = 0.125  # batches per good ack: an eighth more in a round trip
ACK_GOOD_MS = 1_000  # an ack slower than this says that a queue builds up somewhere
RESEND_MIN_MS = 10_000  # no batch is sent again sooner
RESEND_ACKS = 4.0  # nor sooner than so many ack times
RESEND_MAX_MS = 120_000  # nor later: a lost ack is cured in two minutes on the worst link
JITTER = 0.25  # share by which a resend is put off, so that a thousand gateways do not chime
SMOOTHING = 0.125  # share of a new ack time in the running one (RFC 6298, 2.3)
SILENCE_MS = 60_000  # without any ack: the centre takes nothing, and the connection is suspect
PROBE_MS = 30_000  # while the centre takes nothing, one batch goes so often
PUT_OFF_MAX = 4096  # batches remembered as put off: 4096 x about 150 B
VERSION_WAIT_MS = 300_000  # a batch the centre is too old for is tried again so often


class Verdict(StrEnum):
    """Why a batch is sent, or why it waits."""

    FRESH = "fresh"
    BACKLOG = "backlog"
    URGENT = "urgent"
    PROBE = "probe"
    NO_PLACE = "no_place"
    PAUSED = "paused"
    IN_FLIGHT = "in_flight"
    PUT_OFF = "put_off"

    @property
    def goes(self) -> bool:
        """Whether the batch is sent."""
        return self in (Verdict.FRESH, Verdict.BACKLOG, Verdict.URGENT, Verdict.PROBE)


class Key(NamedTuple):
    """A batch as an ack names it."""

    log: str
    seq: int


@dataclass(slots=True)
class Flight:
    """A batch sent and not settled.

    Attributes:
        parcel: its bytes; why: the place it holds.
        first_ms, sent_ms: first and last sending; tries: how often.
        due_ms: when it is sent again.
    """

    parcel: Parcel
    why: Verdict
    first_ms: int
    sent_ms: int
    due_ms: float
    tries: int = 1


def lane(parcel: Parcel, now: int) -> Leaf:
    """Return the topic a batch is sent on now."""
    cut = parcel.cut_mono_ms
    return Leaf.DATA if cut is not None and now - cut <= FRESH_MS else Leaf.BACKLOG


def key_of(parcel: Parcel) -> Key:
    """Return how acks name a batch."""
    return Key(parcel.log, parcel.seq)


class Window:
    """Which batches are in flight and which may join them."""

    def __init__(self, now: int, chance: Callable[[], float]) -> None:
        """Start with an open window; `chance` gives numbers from 0 to 1 for the jitter."""
        self._chance = chance
        self.flights: dict[Key, Flight] = {}
        self.ack_ms = 0.0
        self.batches = BATCHES_START
        self.taking = Taking.ALL
        self._run = ""
        self._heard_ms = now  # last ack, or when we began to wait for one
        self._probed_ms = now - PROBE_MS
        self._shrunk_ms = now - ACK_GOOD_MS
        self._bytes = 0
        self._put_off: dict[Key, int] = {}
        self._count: dict[Verdict, int] = dict.fromkeys(Verdict, 0)

    def judge(self, parcel: Parcel, now: int) -> Verdict:
        """Tell whether a batch may be sent now, and in whose place."""
        key = key_of(parcel)
        if key in self.flights:
            return Verdict.IN_FLIGHT
        if self._put_off.get(key, now) > now:
            return Verdict.PUT_OFF
        if parcel.urgent and self._count[Verdict.URGENT] < URGENT_PLACES:
            return Verdict.URGENT
        if self.paused(now):
            return Verdict.PAUSED
        if lane(parcel, now) == Leaf.DATA:
            if self._count[Verdict.FRESH] < FRESH_PLACES:
                return Verdict.FRESH
            return Verdict.BACKLOG if self._has_room(parcel) else Verdict.NO_PLACE
        if self.taking == Taking.FRESH:
            return Verdict.PAUSED
        return Verdict.BACKLOG if self._has_room(parcel) else Verdict.NO_PLACE

    def sent(self, parcel: Parcel, why: Verdict, now: int) -> None:
        """Note that a batch was handed to the connection."""
        if not self.flights:
            self._heard_ms = max(self._heard_ms, now)  # only now do we begin to wait
        flight = self.flights.get(key_of(parcel))
        if flight is not None:
            if now - flight.sent_ms >= RESEND_MIN_MS:
                self._shrink(now, RESEND_MIN_MS)
            flight.sent_ms, flight.tries = now, flight.tries + 1
            flight.due_ms = now + self._resend_ms(flight.tries)
        else:
            self.flights[key_of(parcel)] = Flight(parcel, why, now, now, now + self._resend_ms(1))
            self._enter(parcel, why)

    def acked(self, key: Key, digest: str, now: int) -> Flight | None:
        """Settle a batch the centre has; None for another hash (a clone's) or an unknown seq."""
        self._hear(now)
        flight = self.flights.get(key)
        if flight is None or flight.parcel.hash != digest:
            return None
        self._leave(key)
        if flight.tries == 1:
            self._learn(now - flight.sent_ms, now)
        return flight

    def named(self, digest: str, now: int) -> Flight | None:
        """Return the flight a refusal names by hash; any word of the centre ends the pause."""
        self._hear(now)
        found = (f for f in self.flights.values() if f.parcel.hash == digest)
        return next(found, None)

    def drop(self, key: Key) -> None:
        """Forget a batch that was set aside or cut anew."""
        if key in self.flights:
            self._leave(key)

    def put_off(self, key: Key, now: int) -> None:
        """Keep a batch the centre cannot read yet, and try it again much later."""
        self.drop(key)
        self._put_off[key] = now + VERSION_WAIT_MS
        while len(self._put_off) > PUT_OFF_MAX:
            del self._put_off[next(iter(self._put_off))]

    def ripe(self, now: int) -> bool:
        """Tell whether some batch was put off long enough, and forget that it was."""
        ripe = [key for key, until in self._put_off.items() if until <= now]
        for key in ripe:
            del self._put_off[key]
        return bool(ripe)

    def probed(self, parcel: Parcel, now: int) -> None:
        """Note a probe; the former one is forgotten, it is still in the outbox."""
        for key in [k for k, f in self.flights.items() if f.why == Verdict.PROBE]:
            if key != key_of(parcel):
                self._leave(key)
        self.sent(parcel, Verdict.PROBE, now)
        self._probed_ms = now

    def due(self, now: int) -> list[Flight]:
        """Return the batches to send again, urgent and older ones first."""
        paused = self.paused(now)
        out = []
        for flight in self.flights.values():
            self._age(flight, now)
            if flight.due_ms > now:
                continue
            if flight.why == Verdict.URGENT or not (paused or self._held_back(flight)):
                out.append(flight)
        return sorted(out, key=lambda f: (f.why != Verdict.URGENT, f.parcel.id))

    def resend_all(self, now: int) -> None:
        """Make everything in flight due: a new connection, or a new run of the centre."""
        for flight in self.flights.values():
            flight.due_ms = now

    def connected(self, now: int) -> None:
        """A connection stands: what was in flight may have been lost with the former one."""
        self._heard_ms = now
        self.resend_all(now)

    def centre(self, taking: Taking, run: str, now: int, *, live: bool) -> None:
        """Hear what the centre takes; a new run has forgotten what we sent it.

        The first live word of a centre we never met is a new run too: what went before it came
        reached nobody. A retained one says only that a centre was there before us.
        """
        if live and run and not self._run:
            self.resend_all(now)
        if taking != Taking.NONE and self.taking == Taking.NONE:
            self._hear(now)
        self.taking = taking
        self.met(run, now)

    def met(self, run: str, now: int) -> None:
        """Note the centre's run; a changed one gets everything in flight again."""
        if self._run and run and run != self._run:
            self.resend_all(now)
        self._run = run or self._run

    def paused(self, now: int) -> bool:
        """Whether the centre takes nothing, as far as we can tell."""
        return self.taking == Taking.NONE or self.silent(now)

    def silent(self, now: int) -> bool:
        """Whether something waits for an ack and none came for 60 s."""
        return bool(self.flights) and now - self._heard_ms >= SILENCE_MS

    def probe_due(self, now: int) -> bool:
        """Whether the newest batch goes now, to see if the centre is back."""
        return self.paused(now) and now - self._probed_ms >= PROBE_MS

    def next_ms(self, now: int) -> float:
        """Return when to look again at the latest."""
        times = [f.due_ms for f in self.flights.values() if not self._held_back(f)]
        if self.paused(now):
            times = [f.due_ms for f in self.flights.values() if f.why == Verdict.URGENT]
            times.append(self._probed_ms + PROBE_MS)
        elif self.flights:
            times.append(self._heard_ms + SILENCE_MS)
        times.extend(self._put_off.values())
        return min(times, default=now + PROBE_MS)

    def _hear(self, now: int) -> None:
        self._heard_ms = now
        if self.taking == Taking.NONE:
            self.taking = Taking.ALL

    def _learn(self, took_ms: int, now: int) -> None:
        self.ack_ms += (took_ms - self.ack_ms) * (SMOOTHING if self.ack_ms else 1.0)
        if took_ms < ACK_GOOD_MS:
            self.batches = min(BACKLOG_BATCHES_MAX, self.batches + GROWTH)
        else:
            self._shrink(now, took_ms)

    def _shrink(self, now: int, took_ms: int) -> None:
        """Halve the window, once for each round trip."""
        if now - self._shrunk_ms >= max(ACK_GOOD_MS, took_ms):
            self._shrunk_ms = now
            self.batches = max(BATCHES_MIN, self.batches / 2)

    def _has_room(self, parcel: Parcel) -> bool:
        share = self.batches / BACKLOG_BATCHES_MAX
        most = max(BACKLOG_BYTES_MAX * share, BACKLOG_BYTES_MAX / 4)
        count = self._count[Verdict.BACKLOG]
        if count == 0:
            return True
        return count < int(self.batches) and self._bytes + len(parcel.payload) <= most

    def _held_back(self, flight: Flight) -> bool:
        return self.taking == Taking.FRESH and flight.why == Verdict.BACKLOG

    def _resend_ms(self, tries: int) -> float:
        wait = max(RESEND_MIN_MS, RESEND_ACKS * self.ack_ms) * float(1 << min(tries - 1, 4))
        return min(wait, RESEND_MAX_MS) * (1 + JITTER * self._chance())

    def _age(self, flight: Flight, now: int) -> None:
        """Give a fresh place back once its batch is fresh no more."""
        if flight.why == Verdict.FRESH and lane(flight.parcel, now) == Leaf.BACKLOG:
            self._exit(flight.parcel, flight.why)
            flight.why = Verdict.BACKLOG
            self._enter(flight.parcel, flight.why)

    def _enter(self, parcel: Parcel, why: Verdict) -> None:
        self._count[why] += 1
        if why == Verdict.BACKLOG:
            self._bytes += len(parcel.payload)

    def _exit(self, parcel: Parcel, why: Verdict) -> None:
        self._count[why] -= 1
        if why == Verdict.BACKLOG:
            self._bytes -= len(parcel.payload)

    def _leave(self, key: Key) -> None:
        flight = self.flights.pop(key)
        self._exit(flight.parcel, flight.why)
