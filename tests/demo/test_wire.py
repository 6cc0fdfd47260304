"""The paced wire in more detail: its ends, its time, its end; driven without a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from rig.paced import PacedLine

from egret_demo.paced_bus import BITS, STALE_B, PacedBus, main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT_S = 20


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[PacedBus]:
    found = PacedBus(tmp_path, 3, 115200)
    yield found
    found.close()


def opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)


def said(fd: int) -> bytes:
    try:
        return os.read(fd, 4096)
    except BlockingIOError:
        return b""


def carried(bus: PacedBus, fd: int, count: int) -> bytes:
    """Turn the wire until so many bytes have come."""
    end, data = time.monotonic() + LIMIT_S, b""
    while len(data) < count:
        assert time.monotonic() < end, data
        bus.turn(0.05)
        data += said(fd)
    return data


def test_it_has_a_master_and_as_many_slaves_as_asked(bus: PacedBus, tmp_path: Path) -> None:
    assert sorted(path.name for path in tmp_path.iterdir()) == ["master", "s1", "s2", "s3"]
    assert all(path.is_symlink() for path in tmp_path.iterdir())
    assert bus.char_s == pytest.approx(BITS / 115200)


def test_every_byte_value_passes_unchanged(bus: PacedBus, tmp_path: Path) -> None:
    master, slave = opened(tmp_path / "master"), opened(tmp_path / "s2")
    os.write(master, bytes(range(256)))
    assert carried(bus, slave, 256) == bytes(range(256))
    os.close(master)
    os.close(slave)


def test_nothing_comes_before_its_time(tmp_path: Path) -> None:
    slow = PacedBus(tmp_path, 1, 1200)
    master, slave = opened(tmp_path / "master"), opened(tmp_path / "s1")
    began = time.monotonic()
    os.write(master, b"0123456789")
    arrived = []
    while len(arrived) < 10:
        slow.turn(0.05)
        arrived += [(byte, time.monotonic() - began) for byte in said(slave)]
    for place, (byte, at_s) in enumerate(arrived):
        assert byte == ord("0") + place
        assert at_s >= (place + 1) * slow.char_s - 1e-4
    assert slow.chars == 10
    assert slow.measured_char_s == pytest.approx(10 / 1200, rel=0.25)
    os.close(master)
    os.close(slave)
    slow.close()


def test_two_who_talk_at_once_are_each_paced_for_themselves(bus: PacedBus, tmp_path: Path) -> None:
    one, two, ear = (opened(tmp_path / name) for name in ("s1", "s2", "master"))
    os.write(one, b"a" * 20)
    os.write(two, b"b" * 20)
    heard = carried(bus, ear, 40)
    assert sorted(heard) == sorted(b"a" * 20 + b"b" * 20), "collisions are not modelled"
    for fd in (one, two, ear):
        os.close(fd)


def test_a_user_may_come_and_go(bus: PacedBus, tmp_path: Path) -> None:
    slave = opened(tmp_path / "s1")
    for word in (b"first", b"second"):
        master = opened(tmp_path / "master")
        os.write(master, word)
        assert carried(bus, slave, len(word)) == word
        os.close(master)
        bus.turn(0.0)
    os.close(slave)


def test_an_end_that_nobody_reads_never_blocks_the_wire(bus: PacedBus, tmp_path: Path) -> None:
    master, slave = opened(tmp_path / "master"), opened(tmp_path / "s1")
    for _ in range(40):
        os.write(master, b"x" * 100)
        assert carried(bus, slave, 100) == b"x" * 100
    deaf = opened(tmp_path / "s3")
    assert len(said(deaf)) <= STALE_B + 256
    for fd in (master, slave, deaf):
        os.close(fd)


def test_an_idle_wire_sleeps_and_has_no_measure_of_its_own(bus: PacedBus) -> None:
    used = time.process_time()
    for _ in range(5):
        bus.turn(0.05)
    assert time.process_time() - used < 0.1
    assert bus.measured_char_s == bus.char_s
    assert bus.chars == 0


def test_an_old_link_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "master").symlink_to("/nowhere")
    bus = PacedBus(tmp_path, 1, 9600)
    assert str((tmp_path / "master").readlink()).startswith("/dev/pts/")
    bus.close()
    assert list(tmp_path.iterdir()) == []


NO_WIRES = (
    [], ["dir"], ["dir", "1"], ["dir", "x", "9600"], ["dir", "1", "fast"],
    ["dir", "1", "9600", "x"],
)  # fmt: skip


@pytest.mark.parametrize("arguments", NO_WIRES)
def test_arguments_that_make_no_wire_are_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "usage: python -m egret_demo.paced_bus DIR N BAUD [BITS]" in capsys.readouterr().err


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_reports_at_its_end_and_takes_its_links_away(
    tmp_path: Path, how: signal.Signals
) -> None:
    command = [sys.executable, "-m", "egret_demo.paced_bus", str(tmp_path), "2", "9600"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(how)
    out, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0
    report = json.loads(out)
    assert report["chars"] == 0
    assert report["busy_s"] == 0
    assert report["wall_s"] >= 0
    assert list(tmp_path.iterdir()) == []


def test_a_replugged_wire_is_a_new_one_under_the_old_name(tmp_path: Path) -> None:
    line = PacedLine(tmp_path, 1, 115200)
    with line:
        first = opened(line.master)
        line.unplug()
        line.plug()
        again, slave = opened(line.master), opened(line.slave(1))
        os.write(again, b"hello")
        end, data = time.monotonic() + LIMIT_S, b""
        while len(data) < 5:
            assert time.monotonic() < end
            data += said(slave)
        assert data == b"hello"
        for fd in (first, again, slave):
            os.close(fd)
