"""Whether the machine's own clock can be believed: the kernel's word, or a battery's.

The kernel says by adjtimex(2) whether anything disciplines its clock (STA_UNSYNC is set at boot,
and again when no update came for hours). A machine that set its clock at boot from an RTC says so
in /sys/class/rtc/*/hctosys. A box with neither starts in 1970, or where it was switched off.
"""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

STA_UNSYNC = 0x0040  # linux/timex.h
LOOK_S = 1.0  # the kernel is asked so often at most: every dating wants to know
HELD_S = 21_600.0  # so long after its last good word: hours offline cost seconds, not minutes
_RTCS = Path("/sys/class/rtc")


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


class Verified:
    """Tells whether the clock was ever disciplined, or set by an RTC, since the process began.

    Once verified it stays so: the kernel forgets after hours without an update, while the clock
    is off by a second a day. Disciplined it is for `HELD_S` more: a clock that nothing has moved
    for so long, or that was set by hand, is no better than an RTC's.
    """

    def __init__(self, rtcs: Path = _RTCS, mono_s: Callable[[], float] = time.monotonic) -> None:
        self._mono_s = mono_s
        self._asked_s: float | None = None
        self._good_s: float | None = None  # when the kernel last called it synchronised
        self._by_rtc = set_by_rtc(rtcs)

    def __call__(self) -> bool:
        """Return True from the first moment on at which the clock could be believed."""
        self._ask()
        return self._good_s is not None or self._by_rtc

    @property
    def disciplined(self) -> bool:
        """Whether it is disciplined, or was within `HELD_S`: by more than an RTC."""
        self._ask()
        return self._good_s is not None and self._mono_s() - self._good_s <= HELD_S

    def _ask(self) -> None:
        now_s = self._mono_s()
        if self._asked_s is not None and now_s - self._asked_s < LOOK_S:
            return
        if disciplined():
            self._good_s = now_s
        self._asked_s = None if self._good_s is None else now_s  # at first, at every look


def disciplined() -> bool:
    """Return whether the kernel calls its clock synchronised; False where it cannot be asked."""
    asked = _Timex()  # modes 0: read only, no privilege is needed
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.byref(asked))
    except (AttributeError, OSError):
        return False
    return state >= 0 and not asked.status & STA_UNSYNC


def set_by_rtc(rtcs: Path = _RTCS) -> bool:
    """Return whether the kernel set its clock from an RTC at boot."""
    for switch in sorted(rtcs.glob("rtc*/hctosys")):
        try:
            if switch.read_text().strip() == "1":
                return True
        except OSError:
            continue
    return False
