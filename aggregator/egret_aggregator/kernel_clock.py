"""Whether the kernel calls its clock synchronised (adjtimex(2)); the machine is only asked."""

from __future__ import annotations

import ctypes

STA_UNSYNC = 0x0040  # linux/timex.h


class _Timex(ctypes.Structure):
    """`struct timex` up to what is read; the rest is room for the kernel."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("room", ctypes.c_long * 48),
    )


def synchronised() -> bool:
    """Return whether anything disciplines the clock; False where the kernel cannot be asked."""
    asked = _Timex()  # modes 0: read only, no privilege is needed
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.byref(asked))
    except (AttributeError, OSError):
        return False
    return state >= 0 and not asked.status & STA_UNSYNC
