"""Every room looked at side by side, each for a limited time; a look that fails is a finding."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import TYPE_CHECKING, Any

from egret_aggregator import catalogue
from egret_aggregator.catalogue_doubts import doubts
from egret_aggregator.data_lock import is_held
from egret_aggregator.doctor import files, rooms
from egret_aggregator.doctor.broker import broker
from egret_aggregator.doctor.certificates import certificates
from egret_aggregator.doctor.clock import clock
from egret_aggregator.doctor.disk import disk
from egret_aggregator.doctor.finding import Finding, Result
from egret_aggregator.errors import AggregatorError
from egret_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from egret_aggregator.clock import Clock
    from egret_aggregator.config import CentreConfig

LOOK_S = 5.0  # at one room, whatever it does; all of them run side by side
ANSWER_MAX_B = 64 * 1024  # of /readyz: a few hundred bytes
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (what is listened on, not by us)


async def examine(settings: CentreConfig, now: Clock, conf: Path | None) -> list[Result]:
    """Return what each room says, in a fixed order; nothing is changed.

    Args:
        settings: of a centre that runs or not.
        now: its clock.
        conf: the foreign broker's own configuration, None where it is not at hand.
    """
    running = await asyncio.to_thread(is_held, settings.data)
    data, at_ms = settings.data, now.now_ms()
    looks: dict[str, Awaitable[Result]] = {
        "centre": asyncio.to_thread(_centre, settings, running=running),
        "broker": broker(settings.broker, now, running=running, conf=conf),
        "journal": asyncio.to_thread(rooms.journal, settings),
        "store": asyncio.to_thread(rooms.store, settings),
        "ledger": asyncio.to_thread(rooms.ledger, settings),
        "disk": asyncio.to_thread(disk, settings),
        "clock": asyncio.to_thread(clock, data, at_ms),
        "files": asyncio.to_thread(files.modes, settings, data),
        "certificates": asyncio.to_thread(certificates, settings, at_ms),
        "catalogue": asyncio.to_thread(_catalogue, settings),
    }
    return await asyncio.gather(*(_looked(room, look) for room, look in looks.items()))


async def _looked(room: str, look: Awaitable[Result]) -> Result:
    try:
        async with asyncio.timeout(LOOK_S):
            return await look
    except TimeoutError:
        slow = Finding(f"no answer within {LOOK_S:g} s", "see what holds it up: disk or network")
        return Result(room, "", (slow,))
    except ConfigError as error:
        what = f"{error.file}: {error.key} = {error.seen!r}"
        return Result(room, "", (Finding(what, error.remedy),))
    except (AggregatorError, OSError) as error:
        return Result(room, "", (Finding(str(error), "see that this user may read it"),))


def _catalogue(settings: CentreConfig) -> Result:
    places = catalogue.load(settings.catalogue)
    channels = sum(len(station.channels) for station in places.stations.values())
    found = [
        Finding(f"{doubt.file}: {doubt.key} = {doubt.seen!r}", doubt.remedy)
        for doubt in doubts(places, str(settings.catalogue / catalogue.RULES))
    ]
    if not places.rules:
        found.append(Finding("no rule: nothing is judged", "write catalogue/rules.toml"))
    return Result("catalogue", f"{places.version}, {channels} channels", tuple(found))


def _centre(settings: CentreConfig, *, running: bool) -> Result:
    if not running:
        return Result("centre", "not running")
    host = _EVERYWHERE.get(settings.api.host, settings.api.host)
    if settings.api.port == 0:
        return Result("centre", "running, on a port of the system's choice: not asked")
    answer = _ready(host, settings.api.port)
    why = answer.get("why", [])
    remedy = "see its log and `/metrics`; docs/operator/metrics.md says what each figure means"
    found = tuple(Finding(f"not ready: {reason}", remedy) for reason in why)
    return Result("centre", f"running, {answer.get('status', 'unknown')}", found)


def _ready(host: str, port: int) -> dict[str, Any]:
    connection = http.client.HTTPConnection(host, port, timeout=LOOK_S)
    try:
        connection.request("GET", "/readyz")
        body = json.loads(connection.getresponse().read(ANSWER_MAX_B))
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"{host}:{port}/readyz: {error!r}") from error
    finally:
        connection.close()
    return body if isinstance(body, dict) else {}
