"""What a gateway says of itself: the status on the wire, and when it has changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from egret_core.control import encode_status
from egret_core.messages import CONTROL_MAX_B, GatewayStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from egret_core.messages import ClockStamp
    from egret_gateway.clock import Clock
    from egret_gateway.outbox import Outbox


class Health:
    """Gathers the parts; reading them costs next to nothing."""

    def __init__(
        self,
        gateway: str,
        outbox: Outbox,
        clock: Clock,
        buses: Callable[[], Mapping[str, Mapping[str, Any]]],
        maintenance: Callable[[], bool],
        *,
        more: Callable[[], Mapping[str, Mapping[str, object]]] = dict,
    ) -> None:
        """Store what is given; `more` are facts by name that a change of makes a status."""
        self._gateway = gateway
        self._outbox = outbox
        self._clock = clock
        self._buses = buses
        self._maintenance = maintenance
        self._more = more

    async def status(self, uplink: Mapping[str, int], account: str = "") -> bytes:
        """Return the status message, at most 32 kB: bus details go first, then other lists.

        Args:
            uplink: figures of the uplink, named with their units.
            account: as whom it is connected, "" for a name of no meaning to the centre.
        """
        held = self._outbox.held()
        now = self._clock.stamp(self._clock.mono_ms()) or 0
        oldest = await self._outbox.oldest_cut()
        stats = self._outbox.stats()
        stats["oldest_ms"] = 0 if oldest is None else max(0, self._age_ms(oldest))
        status = GatewayStatus(
            gateway=self._gateway,
            online=True,
            held=held.ranges,
            current_log=self._outbox.current_log,
            outbox=stats,
            clock=self._clock.stamped(),
            buses=self._buses(),
            sent_ms=now,
            extra={
                "maintenance": self._maintenance(),
                "held_omitted": held.omitted,
                "uplink": dict(uplink),
                "account": account,
                **self._more(),
            },
        )
        body = encode_status(status)
        if len(body) <= CONTROL_MAX_B:
            return body
        short = _without_buses(status)
        body = encode_status(short)
        return body if len(body) <= CONTROL_MAX_B else encode_status(_without_lists(short))

    def changed(self) -> tuple[Any, ...]:
        """Return what, when it differs from before, is worth a status at once."""
        states = tuple(
            (name, str(health.get("fault", ""))) for name, health in self._buses().items()
        )
        clock: ClockStamp = self._clock.stamped()
        more = tuple((name, str(facts)) for name, facts in self._more().items())
        return (
            self._outbox.current_log,
            str(clock.source),
            self._maintenance(),
            states,
            more,
        )

    def will(self) -> bytes:
        """Return the last will: offline, and nothing else known."""
        return encode_status(GatewayStatus(self._gateway, online=False))

    def _age_ms(self, cut: tuple[int | None, int]) -> int:
        mono, real = cut
        now = self._clock.mono_ms()
        if mono is not None:
            return now - mono
        wall = self._clock.real_ms(now)
        return wall - real if wall is not None and real else 0


def _without_buses(status: GatewayStatus) -> GatewayStatus:
    return GatewayStatus(
        gateway=status.gateway,
        online=status.online,
        held=status.held,
        current_log=status.current_log,
        outbox=status.outbox,
        clock=status.clock,
        sent_ms=status.sent_ms,
        extra={**status.extra, "buses_omitted": len(status.buses)},
    )


def _without_lists(status: GatewayStatus) -> GatewayStatus:
    """Return it with how many stations are paced and channels shed, and not which."""
    extra = dict(status.extra)
    if pace := extra.pop("pace", None):
        extra["pace_omitted"] = len(pace)
    if battery := extra.get("battery"):
        battery = dict(battery)
        battery["shed_omitted"] = len(battery.pop("shed", ()))
        extra["battery"] = battery
    return replace(status, extra=extra)
