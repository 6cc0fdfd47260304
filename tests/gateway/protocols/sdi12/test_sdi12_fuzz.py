"""Whatever comes in, whole, byte by byte or with a tail: an exact reply, or a named fault."""

from __future__ import annotations

import contextlib
import random
import re
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from egret_gateway.errors import ReplyError
from egret_gateway.protocols import sdi12
from egret_gateway.protocols.sdi12 import Kind, Lines

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = settings(max_examples=300, deadline=None, derandomize=True)
MUTATIONS = 10_000
ADDRESS = st.sampled_from(sdi12.ADDRESSES)
# Bytes that make up replies come often, so that half of what is drawn is nearly one.
NEARLY = st.lists(st.sampled_from(b"0123456789+-.\r\naAOqZ!\x00\xff"), max_size=100).map(bytes)
NOISE = st.one_of(st.binary(max_size=120), NEARLY)
NUMBER = st.builds(
    lambda sign, whole, part: f"{sign}{whole}.{part}",
    st.sampled_from("+-"),
    st.integers(0, 9999),
    st.integers(0, 99),
)
PARSERS: list[Callable[[bytes, str], object]] = [
    sdi12.acknowledged,
    sdi12.identity,
    lambda line, _: sdi12.queried(line),
    lambda line, a: sdi12.description(line, a, crc=False),
    *[lambda line, a, k=k: sdi12.promise(line, a, k) for k in "MCV"],
    *[lambda line, a, k=k: sdi12.values(line, a, k, crc=False) for k in Kind],
    *[lambda line, a, k=k: sdi12.values(line, a, k, crc=True) for k in Kind],
]


def lines(stream: bytes, echo: bytes, *, step: int) -> list[bytes]:
    """The lines of a stream that comes `step` bytes at a time, as a line's user takes them."""
    buffer, found = b"", []
    for at in range(0, len(stream), step):
        buffer += stream[at : at + step]
        split = Lines.of(buffer, echo)
        found += split.whole
        if split.whole:
            buffer = buffer[len(buffer) - split.left :]
    return found


@EXAMPLES
@given(NOISE, ADDRESS)
def test_any_line_is_a_reply_or_a_named_fault(line: bytes, address: str) -> None:
    for parse in PARSERS:
        with contextlib.suppress(ReplyError):
            parse(line, address)


@EXAMPLES
@given(NOISE, ADDRESS)
def test_lines_are_the_same_however_they_come(stream: bytes, address: str) -> None:
    echo = sdi12.send_data(address, 0)
    whole = lines(stream, echo, step=max(1, len(stream)))
    assert lines(stream, echo, step=1) == whole
    tailed = lines(stream + b"0+1", echo, step=max(1, len(stream) + 3))
    assert tailed[: len(whole)] == whole


@EXAMPLES
@given(st.lists(NUMBER, max_size=6), ADDRESS, st.sampled_from(list(Kind)), st.booleans())
def test_what_a_sensor_says_is_read_and_the_same_line_of_another_is_not(
    numbers: list[str],
    address: str,
    kind: Kind,
    crc: bool,  # noqa: FBT001  (hypothesis passes by position)
) -> None:
    body = f"{address}{''.join(numbers)[:35]}".encode()
    if re.search(rb"[+-]$|\.$", body) or kind is Kind.VERIFY:
        return
    line = sdi12.sealed(body) if crc else body
    found = sdi12.values(line, address, kind, crc=crc)
    assert "".join(f"{n:+g}" for n in found) is not None
    assert len(found) == sum(body.count(sign) for sign in (b"+", b"-"))
    other = "1" if address == "0" else "0"
    for parse in PARSERS[5:]:
        with contextlib.suppress(ReplyError):
            assert parse(line, other) is None, "another sensor's line was taken"


def test_ten_thousand_mutated_replies_with_crc_give_no_wrong_value() -> None:
    dice = random.Random("sdi-12")
    body = b"0+3.14-20.75+1013.2"
    line = sdi12.sealed(body)
    right = sdi12.values(line, "0", Kind.MEASURE, crc=True)
    taken = 0
    for _ in range(MUTATIONS):
        damaged = mutated(line, dice)
        with contextlib.suppress(ReplyError):
            taken += sdi12.values(damaged, "0", Kind.MEASURE, crc=True) != right
    assert taken == 0


def mutated(line: bytes, dice: random.Random) -> bytes:
    """Damage as lines do it: bits, lost and doubled characters, cut, glued, foreign."""
    data = bytearray(line)
    at = dice.randrange(len(data))
    way = dice.randrange(6)
    if way == 0:
        data[at] ^= 1 << dice.randrange(7)
    elif way == 1:
        del data[at]
    elif way == 2:
        data.insert(at, data[at])
    elif way == 3:
        del data[at:]
    elif way == 4:
        data += data[at:]
    else:
        data[0:1] = dice.choice(sdi12.ADDRESSES[1:]).encode()
    return bytes(data)
