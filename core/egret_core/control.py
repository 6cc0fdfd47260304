"""Acks, statuses and commands to bytes and back; they are small, and never compressed.

| message | keys |
|---|---|
| ack | v, log, got [[seq, hash]], rej [{hash, why, seq?}], now, run |
| status | v, gw, state, held {log: [[lo, hi]]}, cur, outbox, clk, buses, now |
| cmd | v, id, exp, do, args, now |
| cmdack | v, id, out, log, queued, gone, detail |
| centre status | v, taking, now, run |
"""

from __future__ import annotations

import json
from typing import Any

from egret_core.codec import canonical_json, is_plain_json
from egret_core.errors import WireError
from egret_core.messages import (
    CONTROL_MAX_B,
    INTEGER_MAX,
    VERSION,
    Ack,
    CentreStatus,
    ClockStamp,
    Command,
    CommandAck,
    GatewayStatus,
    Reject,
    Rejected,
)
from egret_core.seqranges import told

_STATUS_KNOWN = frozenset(("v", "gw", "state", "held", "cur", "outbox", "clk", "buses", "now"))


def encode_ack(ack: Ack) -> bytes:
    """Return the bytes of an ack."""
    refused: list[dict[str, Any]] = []
    for item in ack.rejected:
        entry: dict[str, Any] = {"hash": item.hash, "why": str(item.why)}
        if item.seq is not None:
            entry["seq"] = item.seq
        refused.append(entry)
    return canonical_json(
        {
            "v": VERSION,
            "log": ack.log,
            "got": ack.got,
            "rej": refused,
            "now": ack.now_ms,
            "run": ack.run,
        }
    )


def decode_ack(payload: bytes) -> Ack:
    """Return the ack in a payload; WireError where it is none."""
    body = _body(payload)
    try:
        return Ack(
            log=str(body["log"]),
            got=tuple((int(seq), str(digest)) for seq, digest in body["got"]),
            rejected=tuple(
                Rejected(str(item["hash"]), str(item["why"]), item.get("seq"))
                for item in body["rej"]
            ),
            now_ms=int(body["now"]),
            run=str(body["run"]),
        )
    except _MISSHAPEN as error:
        raise _malformed("ack", error) from None


def encode_status(status: GatewayStatus) -> bytes:
    """Return the bytes of a gateway's status; the last will is one with `online` False."""
    return canonical_json(
        {
            "v": VERSION,
            "gw": status.gateway,
            "state": "online" if status.online else "offline",
            "held": dict(status.held),
            "cur": status.current_log,
            "outbox": dict(status.outbox),
            "clk": {"src": str(status.clock.source), "off_ms": status.clock.offset_ms},
            "buses": {name: dict(health) for name, health in status.buses.items()},
            "now": status.sent_ms,
            **status.extra,
        }
    )


def decode_status(payload: bytes) -> GatewayStatus:
    """Return the gateway status in a payload; WireError where it is none."""
    body = _plain_body(payload)
    try:
        clock = body["clk"]
        return GatewayStatus(
            gateway=str(body["gw"]),
            online=body["state"] == "online",
            held={str(log): told(pairs) for log, pairs in body["held"].items()},
            current_log=str(body["cur"]),
            outbox={str(key): _whole(value) for key, value in body["outbox"].items()},
            clock=ClockStamp(str(clock["src"]), _whole(clock["off_ms"])),
            buses={str(name): dict(health) for name, health in body["buses"].items()},
            sent_ms=_whole(body["now"]),
            extra={key: value for key, value in body.items() if key not in _STATUS_KNOWN},
        )
    except _MISSHAPEN as error:
        raise _malformed("status", error) from None


def encode_command(command: Command) -> bytes:
    """Return the bytes of a command."""
    return canonical_json(
        {
            "v": VERSION,
            "id": command.id,
            "exp": command.expires_ms,
            "do": command.do,
            "args": dict(command.args),
            "now": command.now_ms,
        }
    )


def decode_command(payload: bytes) -> Command:
    """Return the command in a payload; WireError where it is none."""
    body = _plain_body(payload)
    try:
        return Command(
            id=str(body["id"]),
            expires_ms=int(body["exp"]),
            do=str(body["do"]),
            args=dict(body["args"]),
            now_ms=int(body["now"]),
        )
    except _MISSHAPEN as error:
        raise _malformed("cmd", error) from None


def encode_command_ack(ack: CommandAck) -> bytes:
    """Return the bytes of a command's outcome."""
    return canonical_json(
        {
            "v": VERSION,
            "id": ack.id,
            "out": str(ack.outcome),
            "log": ack.log,
            "queued": ack.queued,
            "gone": ack.gone,
            "detail": ack.detail,
        }
    )


def decode_command_ack(payload: bytes) -> CommandAck:
    """Return the outcome in a payload; WireError where it is none."""
    body = _body(payload)
    try:
        return CommandAck(
            id=str(body["id"]),
            outcome=str(body["out"]),
            log=str(body["log"]),
            queued=told(body["queued"]),
            gone=told(body["gone"]),
            detail=str(body["detail"]),
        )
    except _MISSHAPEN as error:
        raise _malformed("cmdack", error) from None


def encode_centre_status(status: CentreStatus) -> bytes:
    """Return the bytes of the centre's status."""
    return canonical_json(
        {"v": VERSION, "taking": str(status.taking), "now": status.now_ms, "run": status.run}
    )


def decode_centre_status(payload: bytes) -> CentreStatus:
    """Return the centre's status in a payload; WireError where it is none."""
    body = _body(payload)
    try:
        return CentreStatus(str(body["taking"]), int(body["now"]), str(body["run"]))
    except _MISSHAPEN as error:
        raise _malformed("centre status", error) from None


_MISSHAPEN = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)


def _malformed(name: str, error: Exception) -> WireError:
    return WireError(Reject.MALFORMED, f"{name}: {type(error).__name__} {error}"[:200])


def _body(payload: bytes) -> dict[str, Any]:
    if len(payload) > CONTROL_MAX_B:
        raise WireError(Reject.TOO_LARGE, f"{len(payload)} B, at most {CONTROL_MAX_B} B")
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise WireError(Reject.UNREADABLE, f"not JSON: {error}"[:200]) from None
    if not isinstance(body, dict):
        raise WireError(Reject.MALFORMED, "the body is not an object")
    if body.get("v") != VERSION:
        raise WireError(Reject.VERSION, f"version {body.get('v')!r}, this side speaks {VERSION}")
    return body


def _plain_body(payload: bytes) -> dict[str, Any]:
    """Return the body of a message with free-form facts, which are stored and shown as they are."""
    body = _body(payload)
    if not is_plain_json(body):
        raise WireError(Reject.MALFORMED, "infinite numbers, half characters or too many brackets")
    return body


def _whole(value: Any) -> int:  # noqa: ANN401  (what a peer wrote)
    """Return a whole number that a peer told; ValueError where JSON readers disagree on it."""
    number = int(value)
    if abs(number) > INTEGER_MAX:
        raise ValueError("a number is out of range")
    return number
