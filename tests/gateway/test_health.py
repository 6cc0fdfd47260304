"""What a gateway says of itself: whole, small enough, and at once when it matters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from rig.box_file import opened
from rig.field_box import GATEWAY, HandClock, make_outbox, sample

from egret_core.control import decode_status
from egret_core.messages import CONTROL_MAX_B
from egret_gateway.clock import Clock
from egret_gateway.health import Health
from egret_gateway.outbox.model import HELD_LOGS_MAX, HELD_RANGES_MAX

if TYPE_CHECKING:
    from pathlib import Path

    from egret_core.messages import GatewayStatus
    from egret_gateway.outbox import Outbox

UNIT = {"ok": 5, "timeout": 1, "crc": 0, "exception": 0, "open": False, "tau_ms": 12.5}


class Parts:
    """The parts of a gateway that a test can change."""

    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self.buses: dict[str, dict[str, Any]] = {"bus0": {"fault": "", "units": {"7": UNIT}}}
        self.working = False
        self.outbox = outbox
        self.pace = {"st0007": "normal"}
        self.more: dict[str, dict[str, Any]] = {}
        self.health = Health(
            GATEWAY,
            outbox,
            clock,
            lambda: self.buses,
            lambda: self.working,
            more=lambda: {"pace": self.pace, **self.more},
        )

    async def status(self) -> GatewayStatus:
        body = await self.health.status({"in_flight": 3, "ack_ms": 40, "unreadable": 0})
        assert len(body) <= CONTROL_MAX_B
        return decode_status(body)


async def test_it_tells_what_is_held_since_when_and_by_which_clock(tmp_path: Path) -> None:
    hands = HandClock()
    clock = Clock(hands=hands.hands())
    with opened(outbox := make_outbox(tmp_path, clock)) as ear:
        parts = Parts(outbox, clock)
        outbox.emitter(0.0)([sample(1.0, hands.mono)], {})
        ear.until_parcels(1)
        hands.pass_ms(90_000)
        status = await parts.status()
    assert status.extra["pace"] == {"st0007": "normal"}
    assert status.gateway == GATEWAY
    assert status.online
    assert status.held == {outbox.current_log: ((1, 2),)}
    assert status.outbox["unsettled"] == 2
    assert status.outbox["oldest_ms"] == 90_000
    assert status.outbox["bytes"] > 0
    assert (status.clock.source, status.sent_ms) == ("rtc", hands.wall)
    assert status.buses["bus0"]["units"] == {"7": UNIT}
    assert status.extra["uplink"] == {"in_flight": 3, "ack_ms": 40, "unreadable": 0}
    assert status.extra["maintenance"] is False


async def test_with_nothing_waiting_nothing_is_old(tmp_path: Path) -> None:
    with opened(outbox := make_outbox(tmp_path, metas=())):
        status = await Parts(outbox, Clock()).status()
    assert status.held == {}
    assert status.outbox["oldest_ms"] == 0


async def test_the_age_over_a_reboot_comes_from_the_dates(tmp_path: Path) -> None:
    first = HandClock()
    with opened(make_outbox(tmp_path, Clock(hands=first.hands()))):
        pass
    second = HandClock(mono=3_000, wall=first.wall + 7_200_000, boot="boot-2")
    clock = Clock(hands=second.hands())
    with opened(outbox := make_outbox(tmp_path, clock)):
        assert (await Parts(outbox, clock).status()).outbox["oldest_ms"] == 7_200_000


async def test_without_a_clock_no_age_is_invented(tmp_path: Path) -> None:
    with opened(make_outbox(tmp_path)):
        pass
    clock = Clock("none", hands=HandClock(wall=0, boot="boot-2").hands())
    with opened(outbox := make_outbox(tmp_path, clock)):
        status = await Parts(outbox, clock).status()
    assert (status.outbox["oldest_ms"], status.sent_ms) == (0, 0)
    assert status.clock.source == "none"


async def test_more_ranges_than_a_status_bears_are_counted_not_forgotten(tmp_path: Path) -> None:
    with opened(outbox := make_outbox(tmp_path)):
        file = outbox._keeper.file
        log = file.current.no
        file.ranges[log] = tuple((n * 3, n * 3) for n in range(1, HELD_RANGES_MAX + 101))
        await outbox.flush()
        status = await Parts(outbox, Clock()).status()
        (told,) = status.held.values()
        assert len(told) == HELD_RANGES_MAX
        assert told[-1] == file.ranges[log][-1], "the newest ones are told"
        assert status.extra["held_omitted"] == 100


async def test_more_logs_than_a_status_bears_are_counted_too(tmp_path: Path) -> None:
    with opened(outbox := make_outbox(tmp_path, metas=())):
        file = outbox._keeper.file
        for _ in range(HELD_LOGS_MAX + 4):
            await outbox._order(file.open_log)
            file.ranges[file.current.no] = ((1, 2),)
        await outbox.flush()
        status = await Parts(outbox, Clock()).status()
    assert len(status.held) == HELD_LOGS_MAX
    assert status.extra["held_omitted"] == 4


@pytest.mark.parametrize("units", [1, 20, 247])
async def test_bus_details_go_before_what_the_centre_needs(tmp_path: Path, units: int) -> None:
    with opened(outbox := make_outbox(tmp_path)):
        parts = Parts(outbox, Clock())
        for number in range(32):
            line = {"fault": "", "units": {str(n): UNIT for n in range(units)}}
            parts.buses[f"bus{number}"] = line
        status = await parts.status()
    assert status.held
    if status.buses:
        assert len(status.buses) == 32
    else:
        assert status.extra["buses_omitted"] == 32


def test_what_is_worth_a_status_at_once(tmp_path: Path) -> None:
    hands = HandClock(wall=0)
    clock = Clock("none", hands=hands.hands())
    with opened(outbox := make_outbox(tmp_path, clock)):
        parts = Parts(outbox, clock)
        seen = [parts.health.changed()]
        parts.buses["bus0"]["units"]["7"]["ok"] = 99
        assert parts.health.changed() == seen[0], "counting on is no news"
        parts.buses["bus0"]["fault"] = "vanished"
        seen.append(parts.health.changed())
        parts.working = True
        seen.append(parts.health.changed())
        clock.hear(1_795_340_000_000, hands.mono - 10, hands.mono)
        seen.append(parts.health.changed())
        parts.pace["st0007"] = "event"
        seen.append(parts.health.changed())
        assert len(set(seen)) == 5


def test_the_last_will_says_offline_and_claims_nothing() -> None:
    health = Health(GATEWAY, None, None, dict, lambda: False)  # type: ignore[arg-type]
    will = decode_status(health.will())
    assert (will.gateway, will.online, will.held, will.current_log) == (GATEWAY, False, {}, "")


async def test_of_lists_that_are_too_long_it_tells_how_long_they_are(tmp_path: Path) -> None:
    with opened(outbox := make_outbox(tmp_path)):
        parts = Parts(outbox, Clock())
        keys = [f"{n:048}/{n:048}" for n in range(250)]
        parts.more = {"battery": {"step": 2, "shed": keys}}
        status = await parts.status()
        assert status.extra["battery"] == {"step": 2, "shed": keys}, "what fits is told"
        assert status.extra["pace"] == {"st0007": "normal"}
        parts.pace = {f"{n:048}": "event" for n in range(250)}
        status = await parts.status()
        assert status.extra["battery"] == {"step": 2, "shed_omitted": 250}
        assert status.extra["pace_omitted"] == 250
        assert status.outbox["bytes"] > 0, "the rest of it stays"
        assert parts.pace[f"{7:048}"] == "event"
        assert parts.more["battery"]["shed"] == keys, "and only the message is cut"
