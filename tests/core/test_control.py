"""Acks, statuses and commands: both ways, and refused by name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_core import control
from egret_core.errors import WireError
from egret_core.messages import (
    ACK_GOT_MAX,
    CONTROL_MAX_B,
    Ack,
    CentreStatus,
    ClockStamp,
    Command,
    CommandAck,
    GatewayStatus,
    Outcome,
    Reject,
    Rejected,
    Taking,
)

if TYPE_CHECKING:
    from collections.abc import Callable

LOG = "ab" * 16
ACK = Ack(
    log=LOG,
    got=((40, "00" * 8), (43, "ff" * 8)),
    rejected=(Rejected("12" * 8, Reject.UNREADABLE), Rejected("34" * 8, Reject.CONFLICT, 44)),
    now_ms=1795340000123,
    run="r1",
)
STATUS = GatewayStatus(
    gateway="gw1",
    online=True,
    held={LOG: ((1, 5), (8, 8))},
    current_log=LOG,
    outbox={"bytes": 4096, "unsettled": 3, "oldest_ms": 1200},
    clock=ClockStamp("ntp", 3),
    buses={"bus0": {"ok": 12, "timeout": 1}},
    sent_ms=1795340000000,
    extra={"note": "later"},
)
COMMAND = Command("c1", 1795340060000, "resend", {"log": LOG, "seqs": [[1, 5]]}, 1795340000000)
COMMAND_ACK = CommandAck("c1", Outcome.QUEUED, LOG, ((1, 4),), ((5, 5),), "one gone")
CENTRE = CentreStatus(Taking.ALL, 1795340000000, "r1")

PAIRS: list[tuple[Any, Callable[[Any], bytes], Callable[[bytes], Any]]] = [
    (ACK, control.encode_ack, control.decode_ack),
    (STATUS, control.encode_status, control.decode_status),
    (GatewayStatus("gw1", online=False), control.encode_status, control.decode_status),
    (COMMAND, control.encode_command, control.decode_command),
    (COMMAND_ACK, control.encode_command_ack, control.decode_command_ack),
    (CENTRE, control.encode_centre_status, control.decode_centre_status),
]


@pytest.mark.parametrize(("message", "encode", "decode"), PAIRS)
def test_both_ways(
    message: object, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]
) -> None:
    assert decode(encode(message)) == message


@pytest.mark.parametrize(("message", "encode", "decode"), PAIRS)
def test_refused_by_name(
    message: object, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]
) -> None:
    body = json.loads(encode(message))
    for payload, why in (
        (b"", Reject.UNREADABLE),
        (b"\xff", Reject.UNREADABLE),
        (b"[]", Reject.MALFORMED),
        (json.dumps({**body, "v": 2}).encode(), Reject.VERSION),
        (json.dumps({"v": 1}).encode(), Reject.MALFORMED),
        (b" " * (CONTROL_MAX_B + 1), Reject.TOO_LARGE),
    ):
        with pytest.raises(WireError) as caught:
            decode(payload)
        assert caught.value.why == why


@pytest.mark.parametrize(("message", "encode", "decode"), PAIRS)
def test_no_field_of_a_wrong_type_gets_through_as_a_crash(
    message: object, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]
) -> None:
    body = json.loads(encode(message))
    for key in body:
        for wrong in (None, [], {}, "x", -1, [[1]], {"a": [[2, 1]]}):
            try:
                decode(json.dumps({**body, key: wrong}).encode())
            except WireError as error:
                assert error.why in {Reject.MALFORMED, Reject.VERSION}  # noqa: PT017


def test_the_ack_is_this_on_the_wire() -> None:
    assert json.loads(control.encode_ack(ACK)) == {
        "v": 1,
        "log": LOG,
        "got": [[40, "00" * 8], [43, "ff" * 8]],
        "rej": [
            {"hash": "12" * 8, "why": "unreadable"},
            {"hash": "34" * 8, "why": "conflict", "seq": 44},
        ],
        "now": 1795340000123,
        "run": "r1",
    }


def test_the_largest_ack_fits() -> None:
    got = tuple((2**53 - 1 - n, "f" * 16) for n in range(ACK_GOT_MAX))
    full = Ack(LOG, got, (), 1795340000123, "r" * 32)
    assert len(control.encode_ack(full)) <= CONTROL_MAX_B


@given(st.binary(max_size=200))
def test_no_bytes_break_a_reader(payload: bytes) -> None:
    for _, _, decode in PAIRS:
        for candidate in (payload, b'{"v":1' + payload):
            try:
                decode(candidate)
            except WireError as error:
                assert Reject(error.why)  # noqa: PT017  (any other exception fails the test)
