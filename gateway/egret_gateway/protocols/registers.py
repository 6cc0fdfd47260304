"""16-bit registers to numbers and back: types and the four word and byte orders.

| order | 32-bit value 0x41424344 ("ABCD") travels as |
|---|---|
| ABCD | 4142 4344: high word first |
| CDAB | 4344 4142: low word first |
| BADC | 4241 4443: bytes swapped in each word |
| DCBA | 4443 4241: both |

A 16-bit type knows ABCD and BADC only. `sign16` is bit 15 = minus (0x8005 = -5).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from egret_gateway.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Sequence

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
WORDS = {"u16": 1, "i16": 1, "sign16": 1, "u32": 2, "i32": 2, "f32": 2}
_FORMATS = {"u16": ">H", "i16": ">h", "sign16": ">H", "u32": ">I", "i32": ">i", "f32": ">f"}
_SIGN_BIT = 0x8000


def decode(words: Sequence[int], kind: str, order: str) -> float:
    """Return the number in `words`; an int for integer types, possibly NaN for f32.

    Raises:
        DecodeError: not as many words as the type has.
    """
    if len(words) != WORDS[kind]:
        raise DecodeError(f"{kind} takes {WORDS[kind]} registers, got {len(words)}")
    value: float = struct.unpack(_FORMATS[kind], _arranged(words, order))[0]
    if kind == "sign16" and int(value) & _SIGN_BIT:
        return -(int(value) & ~_SIGN_BIT)
    return value


def encode(value: float, kind: str, order: str) -> tuple[int, ...]:
    """Return the registers that hold `value`; integer types are rounded to the nearest.

    Raises:
        DecodeError: the type cannot hold the value.
    """
    number: float = value if kind == "f32" else round(value)
    if kind == "sign16" and number < 0:
        number = _SIGN_BIT | -int(number)
    try:
        packed = struct.pack(_FORMATS[kind], number)
    except (struct.error, OverflowError) as error:
        raise DecodeError(f"{kind} cannot hold {value}: {error}") from error
    words = [int.from_bytes(packed[i : i + 2], "big") for i in range(0, len(packed), 2)]
    data = _arranged(words, order)
    return tuple(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))


def _arranged(words: Sequence[int], order: str) -> bytes:
    """Return the bytes high first; each of the four orders undoes itself."""
    if order in ("CDAB", "DCBA"):
        words = words[::-1]
    if order in ("BADC", "DCBA"):
        return b"".join(word.to_bytes(2, "little") for word in words)
    return b"".join(word.to_bytes(2, "big") for word in words)
