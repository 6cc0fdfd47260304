"""Settings of a broker that lose or delay messages, read from its own file. Pure.

Mosquitto: mosquitto.conf(5); nats-server: `jetstream` and `mqtt` blocks. What is not set is judged
by the program's default.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from egret_aggregator.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

QUEUED_LEAST = 100_000  # messages: a minute of a city's gateways while the centre restarts
INFLIGHT_LEAST = 100  # messages: with 20, the default, a distant link waits for each round trip
AUTOSAVE_MOST_S = 60  # of acknowledged messages a killed broker may forget; gateways resend them
SYNC_MOST_S = 10  # between two fsyncs of nats-server
_UNIT_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def findings(text: str) -> tuple[str, list[Finding]]:
    """Return what program a configuration is for, and what is unsafe in it."""
    if re.search(r"^\s*(jetstream|mqtt)\b\s*[:={]", text, re.MULTILINE):
        return "nats-server", list(_nats(text))
    return "mosquitto", list(_mosquitto(mosquitto_settings(text)))


def mosquitto_settings(text: str) -> dict[str, str]:
    """Return the last value of each key; a remark begins a line."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        if key and not key.startswith("#"):
            found[key] = value.strip()
    return found


def _mosquitto(settings: Mapping[str, str]) -> Iterator[Finding]:
    queued = _number(settings, "max_queued_messages", 1000)
    if queued == 0:
        yield Finding(
            "max_queued_messages 0: some versions then drop every message",
            "set max_queued_messages 10000000",
        )
    elif queued < QUEUED_LEAST:
        yield Finding(
            f"max_queued_messages {queued}: what comes beyond it is dropped after its PUBACK",
            "set max_queued_messages 10000000",
        )
    if _number(settings, "max_inflight_messages", 20) not in range(INFLIGHT_LEAST, 65536):
        yield Finding(
            f"max_inflight_messages {settings.get('max_inflight_messages', 20)}: the intake waits",
            "set max_inflight_messages 1000",
        )
    if settings.get("set_tcp_nodelay", "false") != "true":
        yield Finding("set_tcp_nodelay is off: 40 ms stalls", "set set_tcp_nodelay true")
    if settings.get("persistence", "false") != "true":
        yield Finding(
            "persistence is off: a restart forgets retained states and queues",
            "set persistence true and a persistence_location",
        )
    elif _number(settings, "autosave_interval", 1800) not in range(1, AUTOSAVE_MOST_S + 1):
        yield Finding(
            f"autosave_interval {settings.get('autosave_interval', 1800)}: a killed broker forgets "
            "so many seconds",
            "set autosave_interval 1",
        )
    if settings.get("allow_anonymous", "false") == "true":
        yield Finding(
            "allow_anonymous true: anybody may publish as any gateway",
            "set allow_anonymous false, a password_file and an acl_file",
        )


def _nats(text: str) -> Iterator[Finding]:
    found = re.search(r"\bsync_interval\s*[:=]?\s*[\"']?(always|\d+(?:ms|s|m|h))\b", text)
    span = found[1] if found else "2m"
    if span != "always" and _seconds(span) > SYNC_MOST_S:
        yield Finding(
            f"sync_interval {span}: a power cut loses what was acknowledged in that time",
            'set sync_interval: "1s" in jetstream (2.10 or later)',
        )
    if re.search(r"\bno_auth_user\b", text):
        yield Finding("no_auth_user: anybody may publish as any gateway", "take no_auth_user out")


def _seconds(span: str) -> float:
    unit = "ms" if span.endswith("ms") else span[-1]
    return int(span.removesuffix(unit)) * _UNIT_S[unit]


def _number(settings: Mapping[str, str], key: str, default: int) -> int:
    text = settings.get(key, str(default))
    return int(text) if text.isdecimal() else -1
