"""Whether the machine's clock can be believed: an RTC set it, or the kernel disciplines it."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import pytest

from egret_gateway import system_clock
from egret_gateway.system_clock import (
    HELD_S,
    LOOK_S,
    STA_UNSYNC,
    Verified,
    disciplined,
    set_by_rtc,
)

if TYPE_CHECKING:
    from pathlib import Path


def rtc(folder: Path, number: int, text: str) -> None:
    place = folder / f"rtc{number}"
    place.mkdir()
    (place / "hctosys").write_text(text)


def test_an_rtc_that_set_the_clock_at_boot_vouches_for_it(tmp_path: Path) -> None:
    assert not set_by_rtc(tmp_path)
    rtc(tmp_path, 0, "0\n")
    assert not set_by_rtc(tmp_path)
    rtc(tmp_path, 1, "1\n")
    assert set_by_rtc(tmp_path)
    assert not set_by_rtc(tmp_path / "no such folder")


def test_an_rtc_that_cannot_be_read_vouches_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "rtc0" / "hctosys").mkdir(parents=True)
    assert not set_by_rtc(tmp_path)


class Kernel:
    """adjtimex(2) with the answers of a test."""

    def __init__(self, state: int, status: int) -> None:
        self.state, self.status = state, status

    def adjtimex(self, asked: ctypes._Pointer[system_clock._Timex]) -> int:
        asked._obj.status = self.status  # type: ignore[attr-defined]
        return self.state


@pytest.mark.parametrize(
    ("state", "status", "expected"),
    [
        (0, 0x2001, True),  # TIME_OK, STA_PLL and STA_NANO: timesyncd at work
        (5, STA_UNSYNC, False),  # TIME_ERROR: nothing disciplines it
        (0, STA_UNSYNC | 0x0001, False),
        (-1, 0, False),  # the call is not allowed here
    ],
)
def test_the_kernel_s_word(
    monkeypatch: pytest.MonkeyPatch, state: int, status: int, *, expected: bool
) -> None:
    monkeypatch.setattr(system_clock.ctypes, "CDLL", lambda _: Kernel(state, status))
    assert disciplined() is expected


def test_a_library_without_the_call_verifies_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_clock.ctypes, "CDLL", lambda _: object())
    assert not disciplined()


def test_the_real_kernel_answers() -> None:
    asked = system_clock._Timex()
    assert ctypes.CDLL(None).adjtimex(ctypes.byref(asked)) >= 0
    assert disciplined() is not bool(asked.status & STA_UNSYNC)


def test_what_was_verified_once_stays_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Kernel(5, STA_UNSYNC)
    monkeypatch.setattr(system_clock.ctypes, "CDLL", lambda _: kernel)
    verified = Verified(tmp_path)
    assert not verified()
    kernel.state, kernel.status = 0, 0
    assert verified()
    kernel.state, kernel.status = 5, STA_UNSYNC
    assert verified(), "hours offline cost seconds, not the date"


def test_an_rtc_verifies_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_clock.ctypes, "CDLL", lambda _: Kernel(5, STA_UNSYNC))
    rtc(tmp_path, 0, "1")
    verified = Verified(tmp_path)
    assert verified()
    assert not verified.disciplined


def test_a_clock_set_by_an_rtc_may_be_disciplined_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Kernel(5, STA_UNSYNC)
    monkeypatch.setattr(system_clock.ctypes, "CDLL", lambda _: kernel)
    rtc(tmp_path, 0, "1")
    verified = Verified(tmp_path)
    assert verified()
    kernel.state, kernel.status = 0, 0
    assert verified()
    assert verified.disciplined


def test_hours_after_the_last_update_it_is_no_longer_disciplined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel, now = Kernel(0, 0), [1000.0]
    monkeypatch.setattr(system_clock.ctypes, "CDLL", lambda _: kernel)
    verified = Verified(tmp_path, lambda: now[0])
    assert verified.disciplined
    kernel.state, kernel.status = 5, STA_UNSYNC
    now[0] += HELD_S
    assert verified.disciplined
    now[0] += LOOK_S
    assert not verified.disciplined, "the centre may contradict it"
    assert verified(), "and until it does, it is believed"
    kernel.state, kernel.status = 0, 0
    now[0] += LOOK_S
    assert verified.disciplined


def test_the_kernel_is_asked_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, now = [], [0.0]

    def library(_: object) -> Kernel:
        asked.append(now[0])
        return Kernel(0, 0)

    monkeypatch.setattr(system_clock.ctypes, "CDLL", library)
    verified = Verified(tmp_path, lambda: now[0])
    for n in range(40):
        now[0] = n / 10
        assert verified()
        assert verified.disciplined
    assert asked == [0.0, 1.0, 2.0, 3.0]
