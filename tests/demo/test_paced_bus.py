from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
import serial
from rig.paced import PacedLine

from egret_demo.paced_bus import STALE_B, PacedBus

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_S = 10


def opened(path: Path) -> serial.Serial:
    return serial.Serial(str(path), 9600, timeout=LIMIT_S)


def test_everyone_hears_everyone_and_nobody_hears_himself(tmp_path: Path) -> None:
    with (
        PacedLine(tmp_path, 2, 115200) as line,
        opened(line.master) as master,
        opened(line.slave(1)) as one,
        opened(line.slave(2)) as two,
    ):
        master.write(b"ask\x00\xff")
        assert one.read(5) == two.read(5) == b"ask\x00\xff"
        one.write(b"\r\n\x11\x13")
        assert master.read(4) == two.read(4) == b"\r\n\x11\x13"
        assert master.in_waiting == one.in_waiting == two.in_waiting == 0


def test_characters_take_their_time(tmp_path: Path) -> None:
    with (
        PacedLine(tmp_path, 1, 9600, 11) as line,
        opened(line.master) as master,
        opened(line.slave(1)) as slave,
    ):
        began = time.monotonic()
        master.write(bytes(100))
        slave.read(100)
        took_s = time.monotonic() - began
    assert took_s >= 100 * 11 / 9600
    assert line.report["chars"] == 100
    assert line.report["char_ms"] == pytest.approx(1000 * 11 / 9600, rel=0.05)
    assert 0 < line.report["busy_s"] <= line.report["wall_s"]


def test_a_wire_that_is_taken_away_hangs_up(tmp_path: Path) -> None:
    line = PacedLine(tmp_path, 1, 9600)
    with line:
        fd = os.open(line.master, os.O_RDWR | os.O_NOCTTY)
        line.unplug()
        assert not line.master.exists()
        assert select.select([fd], [], [], LIMIT_S)[0]
        os.close(fd)
        line.plug()
        assert line.master.exists()


def test_who_comes_late_finds_no_old_conversation(tmp_path: Path) -> None:
    bus = PacedBus(tmp_path, 1, 115200)
    with opened(tmp_path / "master") as master:
        for _ in range(3 * STALE_B // 100):
            master.write(bytes(100))
            while bus.chars % 100 or not bus.chars:
                bus.turn(0.1)
            bus.turn(0.05)
    fd = os.open(tmp_path / "s1", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    assert len(os.read(fd, 4096)) <= STALE_B + 256
    os.close(fd)
    bus.close()


def test_wrong_arguments_are_usage() -> None:
    command = [sys.executable, "-m", "egret_demo.paced_bus", "dir", "many"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "usage:" in done.stderr
