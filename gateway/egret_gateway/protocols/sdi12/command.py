"""Commands of an SDI-12 recorder as bytes; the table is in the package's docstring."""

from __future__ import annotations

import re
from enum import StrEnum
from string import ascii_letters, digits
from typing import NamedTuple

ADDRESSES = digits + ascii_letters
PAGES = 10  # D0 to D9
PLACE_MAX = 999
_MEASUREMENT = re.compile(r"([MC])([1-9]?)|(R)([0-9])|(V)")


class Kind(StrEnum):
    """How a measurement is asked for."""

    MEASURE = "M"  # the line waits for it
    CONCURRENT = "C"  # others are asked meanwhile
    CONTINUOUS = "R"  # always ready
    VERIFY = "V"


class Measurement(NamedTuple):
    """One measurement command without its address.

    Attributes:
        kind: which; number: of an additional measurement, 0 for the first.
        crc: its data are asked for with CRC.
    """

    kind: Kind
    number: int = 0
    crc: bool = False


def measurement(text: str, *, crc: bool = False) -> Measurement:
    """Return the measurement that a profile writes as `M`, `M1`, `C2`, `R0` or `V`.

    Raises:
        ValueError: no such command; a verification knows no CRC, and is asked without.
    """
    found = _MEASUREMENT.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not M, M1 to M9, C, C1 to C9, R0 to R9 or V")
    kind = Kind(text[0])
    return Measurement(kind, int(text[1:] or "0"), crc and kind is not Kind.VERIFY)


def acknowledge(address: str) -> bytes:
    """Return `a!`; ValueError for what is no address."""
    return _command(address, "")


def query() -> bytes:
    """Return `?!`, which every sensor on the line answers."""
    return b"?!"


def identify(address: str) -> bytes:
    """Return `aI!`; ValueError for what is no address."""
    return _command(address, "I")


def change_address(address: str, new: str) -> bytes:
    """Return `aAb!`; ValueError for what is no address."""
    _checked(new)
    return _command(address, f"A{new}")


def start(address: str, asked: Measurement) -> bytes:
    """Return the command that begins a measurement, or asks for a continuous one.

    Raises:
        ValueError: no address, or a number that the wire cannot carry.
    """
    if not 0 <= asked.number < PAGES:
        raise ValueError(f"measurement {asked.number} cannot be asked")
    number = str(asked.number) if asked.number or asked.kind is Kind.CONTINUOUS else ""
    return _command(address, f"{asked.kind}{'C' if asked.crc else ''}{number}")


def describe(address: str, asked: Measurement, place: int) -> bytes:
    """Return `aIM_001!` and the like: what stands at a place of a measurement's data, v1.4.

    Raises:
        ValueError: no address, or a number that the wire cannot carry.
    """
    if not 1 <= place <= PLACE_MAX:
        raise ValueError(f"place {place} cannot be asked")
    begun = start(address, asked).decode()
    return f"{begun[0]}I{begun[1:-1]}_{place:03d}!".encode()


def send_data(address: str, page: int) -> bytes:
    """Return `aD0!` to `aD9!`; ValueError for what is no address or page."""
    if not 0 <= page < PAGES:
        raise ValueError(f"page {page} cannot be asked")
    return _command(address, f"D{page}")


def _command(address: str, body: str) -> bytes:
    return f"{_checked(address)}{body}!".encode()


def _checked(address: str) -> str:
    if len(address) != 1 or address not in ADDRESSES:
        raise ValueError(f"{address!r} is no address: 0-9, A-Z, a-z")
    return address
