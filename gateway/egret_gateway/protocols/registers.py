"""16-bit registers to numbers and back: types and the four word and byte orders.

| order | 32-bit value 0x41424344 ("ABCD") travels as |
|---|---|
| ABCD | 4142 4344: high word first |
| CDAB | 4344 4142: low word first |
| BADC | 4241 4443: bytes swapped in each word |
| DCBA | 4443 4241: both |

64-bit types alike: words from the highest or from the lowest. A 16-bit type knows ABCD and BADC
only. `sign16` is bit 15 = minus (0x8005 = -5). `bcd16` and `bcd32` carry a decimal digit in every
four bits (0x1234 = 1234); other digits than 0 to 9 are no number. `bit` is a coil or a discrete
input, 0 or 1.
"""

from __future__ import annotations

import struct
from math import nan
from typing import TYPE_CHECKING

from egret_gateway.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Sequence

BIT = "bit"
ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
_FORMATS = {
    BIT: ">H",
    "u16": ">H",
    "i16": ">h",
    "sign16": ">H",
    "bcd16": ">H",
    "u32": ">I",
    "i32": ">i",
    "f32": ">f",
    "bcd32": ">I",
    "u64": ">Q",
    "i64": ">q",
    "f64": ">d",
}
WORDS = {kind: struct.calcsize(code) // 2 for kind, code in _FORMATS.items()}
_SIGN_BIT = 0x8000


def decode(words: Sequence[int], kind: str, order: str) -> float:
    """Return the number in `words`: an int for integer types, NaN where they hold none.

    Raises:
        DecodeError: not as many words as the type has.
    """
    if len(words) != WORDS[kind]:
        raise DecodeError(f"{kind} takes {WORDS[kind]} registers, got {len(words)}")
    if kind == "u16" and order == "ABCD":  # most registers there are
        return words[0]
    value: float = struct.unpack(_FORMATS[kind], _arranged(words, order))[0]
    if kind == "sign16" and int(value) & _SIGN_BIT:
        return -(int(value) & ~_SIGN_BIT)
    return _from_digits(int(value)) if kind.startswith("bcd") else value


def bits_of(value: float, low: int, high: int) -> float:
    """Return the number in bits `low` to `high`, 0 the lowest, of an unsigned integer."""
    return int(value) >> low & (1 << high - low + 1) - 1


def encode(value: float, kind: str, order: str) -> tuple[int, ...]:
    """Return the registers that hold `value`; integer types are rounded to the nearest.

    Raises:
        DecodeError: the type cannot hold the value.
    """
    number: float = value if kind[0] == "f" else round(value)
    if kind == "sign16" and number < 0:
        number = _SIGN_BIT | -int(number)
    if kind.startswith("bcd"):
        number = _to_digits(int(number))
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


def _from_digits(value: int) -> float:
    digits = f"{value:x}"
    return int(digits) if digits.isdecimal() else nan


def _to_digits(value: int) -> int:
    return int(str(value), 16) if value >= 0 else value  # a minus fits nowhere: struct refuses it
