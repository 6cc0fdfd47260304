"""The doubt a reading carries: one QARTOD primary flag and a set of reason bits.

Flags follow IOC Manuals and Guides 54 vol. 3 and QARTOD (1 good, 2 not evaluated, 3 suspect,
4 fail, 9 missing). Reason bits are Egret's; bits are only ever added.

| bit | name | set when |
|---|---|---|
| 1 | MAINTENANCE | a technician has declared work on the site |
| 2 | RANGE | outside the physical range of the channel |
| 4 | CLOCK | the time stamp is from an unverified clock, or was worked out afterwards |
| 8 | SENSOR_FAULT | the device itself says that it is faulty |
| 16 | STALE | the device served an old value |
| 32 | SUBSTITUTED | a value put in place of a measurement |
| 64 | CALIBRATION_DUE | the calibration has run out |
| 128 | TIMEOUT | no reply in time |
| 256 | CRC | replies came damaged |
| 512 | EXCEPTION | the device refused the request |
| 1024 | SENTINEL | the device's own "no value" number |
| 2048 | NOT_A_NUMBER | NaN or infinity read from the device |
| 4096 | GAP | first reading after a gap longer than the channel allows |
| 8192 | COUNTER_RESET | a counter started again; the total goes on |
| 16384 | UNDATED | it could never be dated |
| 32768 | PORT | the port could not be opened or vanished |
| 65536 | SPIKE | spike test |
| 131072 | RATE | rate-of-change test |
| 262144 | FLAT_LINE | flat-line test |
| 524288 | BACKED_OFF | not asked: the device is backed off after failures |
| 1048576 | INPUT | another channel that its conversion needs was old, doubtful or missing |
| 2097152 | BOUNCE | a contact closed more often than a bucket can tip |
| 4194304 | SHED | not asked: the battery is low |
| 8388608 | SEASONAL | outside what is believed in that month |
| 16777216 | NEIGHBOUR | unlike its neighbours |
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Flag(IntEnum):
    """QARTOD primary flag."""

    GOOD = 1
    NOT_EVALUATED = 2
    SUSPECT = 3
    FAIL = 4
    MISSING = 9


class Reason(IntFlag):
    """Why a reading is not simply good; the module's table is the meaning."""

    NONE = 0
    MAINTENANCE = 1
    RANGE = 2
    CLOCK = 4
    SENSOR_FAULT = 8
    STALE = 16
    SUBSTITUTED = 32
    CALIBRATION_DUE = 64
    TIMEOUT = 128
    CRC = 256
    EXCEPTION = 512
    SENTINEL = 1024
    NOT_A_NUMBER = 2048
    GAP = 4096
    COUNTER_RESET = 8192
    UNDATED = 16384
    PORT = 32768
    SPIKE = 65536
    RATE = 131072
    FLAT_LINE = 262144
    BACKED_OFF = 524288
    INPUT = 1048576
    BOUNCE = 2097152
    SHED = 4194304
    SEASONAL = 8388608
    NEIGHBOUR = 16777216


FLAGS = frozenset(int(flag) for flag in Flag)
REASONS_MAX = 2**31 - 1  # the store's column is a 32-bit signed integer

# A wrong value is worse than none, and none is worse than a doubtful one.
WORST_ORDER = (Flag.GOOD, Flag.NOT_EVALUATED, Flag.SUSPECT, Flag.MISSING, Flag.FAIL)
_RANK = {int(flag): rank for rank, flag in enumerate(WORST_ORDER)}

_JUDGED = frozenset((1, 2, 3))
_MAINTENANCE = int(Reason.MAINTENANCE)


def bit_names(bits: int, kind: type[IntFlag]) -> list[str]:
    """Return the names of set bits, unknown ones of later versions as `BIT_n`."""
    known = [str(item.name) for item in kind if item.value & bits]
    rest = bits & ~sum(item.value for item in kind)
    return known + [f"BIT_{n}" for n in range(rest.bit_length()) if rest >> n & 1]


def worst(a: int, b: int) -> int:
    """Return the worse of two flags by `WORST_ORDER` (not by number: 9 is not the worst)."""
    return a if _RANK[a] >= _RANK[b] else b


def counts(flag: int, reasons: int) -> bool:
    """Tell whether a value enters sums, minima and maxima, and may raise a hazard.

    Good, not evaluated and suspect values count: a true flash flood may well look suspect.
    Failed and missing ones do not, and nothing read during maintenance does.
    """
    return flag in _JUDGED and not reasons & _MAINTENANCE


def is_base(flag: int, reasons: int) -> bool:
    """Tell whether a total was read during maintenance: sums begin anew there, and count nothing.

    What was poured into a gauge to try it is no rain; left out altogether, the first total after
    the work would bring it as one step.
    """
    return flag in _JUDGED and bool(reasons & _MAINTENANCE)


def is_good(flag: int, reasons: int) -> bool:
    """Tell whether a reading ends an absence: good or not evaluated, outside maintenance."""
    return flag in (1, 2) and not reasons & _MAINTENANCE
