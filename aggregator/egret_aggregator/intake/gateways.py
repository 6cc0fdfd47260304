"""What the centre knows of every gateway, for the API and for the operator."""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from egret_aggregator.intake.clone import LogChange, LogWatch
from egret_aggregator.journal.receipt import Verdict
from egret_core.control import decode_status, encode_status
from egret_core.errors import WireError
from egret_core.messages import ClockStamp, GatewayStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from egret_aggregator.intake.verdict import Refused
    from egret_aggregator.journal.receipt import Incoming
    from egret_core.seqranges import Ranges

GATEWAYS_MAX = 20_000  # beyond it the one unseen for longest is forgotten
SILENT_S = 600.0  # real seconds without a word after which nobody is called online
CLONE_SHOWN_S = 3600.0  # real seconds a clone is shown after its last sign
REFUSED_KEPT = 32  # hashes whose refusal was logged, so that resends are not
REFUSED = "refused_"  # before the reason, among the counts

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GatewayView:
    """One gateway as people see it.

    Attributes:
        id: its id; online: it says so and was heard of lately.
        last_seen_ms: the centre's time of its last word, 0 for none since the start.
        held: per log the seq ranges in its outbox; current_log: where new ones go.
        outbox: its figures; clock: source and offset; buses: health by name.
        missing: batches it holds that the centre lacks.
        pace: by station how often it is read, as last told.
        clone: another box uses its id; counts: batches by verdict, refusals by reason.
    """

    id: str
    online: bool
    last_seen_ms: int
    held: Mapping[str, Ranges]
    current_log: str
    outbox: Mapping[str, int]
    clock: ClockStamp
    buses: Mapping[str, Mapping[str, Any]]
    missing: int
    pace: Mapping[str, str]
    clone: bool
    counts: Mapping[str, int]


@dataclass(slots=True)
class _Seen:
    status: GatewayStatus
    last_ms: int = 0
    last_s: float = float("-inf")
    clone_s: float = float("-inf")
    watch: LogWatch = field(default_factory=LogWatch)
    counts: Counter[str] = field(default_factory=Counter)
    logged: dict[str, None] = field(default_factory=dict)


class Gateways:
    """All gateways ever heard of; statuses are remembered over a restart by the caller.

    Args:
        missing: how many batches a gateway holds that the centre lacks.
    """

    def __init__(self, missing: Callable[[str], int]) -> None:
        self._missing = missing
        self._seen: dict[str, _Seen] = {}
        self.totals: Counter[str] = Counter()  # of all gateways, those forgotten too

    def restore(self, gateway: str, kept: bytes) -> None:
        """Take back what `keep` returned before a restart; it is not online until heard of."""
        body = json.loads(kept)
        seen = self._of(gateway)
        seen.last_ms = int(body["seen"])
        try:
            seen.status = decode_status(body["status"].encode())
        except WireError:
            _log.warning("event=gateway_state_unreadable gateway=%s", gateway)

    def keep(self, gateway: str) -> bytes:
        """Return what should outlive a restart."""
        seen = self._of(gateway)
        status = encode_status(seen.status).decode()
        return json.dumps({"seen": seen.last_ms, "status": status}).encode()

    def heard(self, gateway: str, now_ms: int, now_s: float) -> None:
        """Note that a gateway spoke just now."""
        seen = self._of(gateway)
        seen.last_ms, seen.last_s = now_ms, now_s

    def status(self, status: GatewayStatus) -> None:
        """Take a status; a last will keeps what was known of the outbox."""
        seen = self._of(status.gateway)
        if status.online != seen.status.online:
            state = "online" if status.online else "offline"
            _log.info("event=gateway gateway=%s state=%s", status.gateway, state)
        if status.online:
            seen.status = status
        else:
            old = seen.status
            seen.status = GatewayStatus(
                gateway=status.gateway,
                online=False,
                held=old.held,
                current_log=old.current_log,
                outbox=old.outbox,
                clock=old.clock,
                buses=old.buses,
                sent_ms=old.sent_ms,
                extra=old.extra,
            )

    def taken(self, item: Incoming, verdict: Verdict, now_s: float) -> None:
        """Count a batch; a new fresh one tells whether its box is the one we know."""
        seen = self._of(item.gateway)
        self._count(seen, verdict)
        change = seen.watch.saw(item.batch)
        if change is LogChange.CLONE:
            if now_s - seen.clone_s > CLONE_SHOWN_S:
                _log.error("event=clone gateway=%s log=%s", item.gateway, item.log)
            seen.clone_s = now_s
        elif change is not LogChange.SAME:
            _log.warning("event=new_log gateway=%s log=%s named=%s", item.gateway, item.log, change)

    def counted(self, item: Incoming, verdict: Verdict) -> None:
        """Count a batch that tells nothing of its box; a conflict is logged once."""
        seen = self._of(item.gateway)
        self._count(seen, verdict)
        if verdict is Verdict.CONFLICT and _first(seen, item.hash):
            _log.error(
                "event=conflict gateway=%s log=%s seq=%d hash=%s",
                item.gateway,
                item.log,
                item.seq,
                item.hash,
            )

    def refused(self, refused: Refused) -> None:
        """Count a refusal; the same bytes are logged once."""
        seen = self._of(refused.gateway)
        self._count(seen, f"{REFUSED}{refused.why}")
        if _first(seen, refused.hash):
            _log.warning(
                "event=batch_refused gateway=%s hash=%s why=%s detail=%r",
                refused.gateway,
                refused.hash,
                refused.why,
                refused.detail,
            )

    def views(self, now_s: float) -> list[GatewayView]:
        """Return all gateways by id."""
        return [self._view(name, self._seen[name], now_s) for name in self.names()]

    def names(self) -> list[str]:
        """Return the ids of all gateways, sorted."""
        return sorted(self._seen)

    def view(self, name: str, now_s: float) -> GatewayView | None:
        """Return one gateway, None where it is forgotten."""
        seen = self._seen.get(name)
        return None if seen is None else self._view(name, seen, now_s)

    def _view(self, name: str, seen: _Seen, now_s: float) -> GatewayView:
        status = seen.status
        return GatewayView(
            id=name,
            online=status.online and now_s - seen.last_s <= SILENT_S,
            last_seen_ms=seen.last_ms,
            held=status.held,
            current_log=status.current_log,
            outbox=status.outbox,
            clock=status.clock,
            buses=status.buses,
            missing=self._missing(name),
            pace=_paces(status.extra.get("pace")),
            clone=now_s - seen.clone_s <= CLONE_SHOWN_S,
            counts=dict(seen.counts),
        )

    def _count(self, seen: _Seen, what: str) -> None:
        seen.counts[what] += 1
        self.totals[what] += 1

    def _of(self, gateway: str) -> _Seen:
        seen = self._seen.get(gateway)
        if seen is None:
            if len(self._seen) >= GATEWAYS_MAX:
                oldest = min(self._seen, key=lambda name: self._seen[name].last_ms)
                del self._seen[oldest]
            seen = self._seen[gateway] = _Seen(GatewayStatus(gateway, online=False))
        return seen


def _paces(told: object) -> dict[str, str]:
    """Return the pace by station out of what a gateway told, whatever that is."""
    stations = told.items() if isinstance(told, dict) else ()
    return {station: word for station, word in stations if isinstance(word, str)}


def _first(seen: _Seen, digest: str) -> bool:
    """Tell whether these bytes have not been complained of lately."""
    if digest in seen.logged:
        return False
    seen.logged[digest] = None
    if len(seen.logged) > REFUSED_KEPT:
        del seen.logged[next(iter(seen.logged))]
    return True
