"""The demo's slaves speak Modbus to us and to a foreign master, and misbehave as told."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest

from egret_demo.faults import Fate, Faults, suffer
from egret_demo.instruments import RAIN_WRAP, TIP_MM, Radar, RainBucket
from egret_demo.slave import Line, Unit
from egret_demo.valley import Valley
from egret_gateway.protocols.modbus_pdu import Shape
from egret_gateway.protocols.modbus_rtu import crc16, hunt, read_request
from egret_gateway.protocols.registers import decode

if TYPE_CHECKING:
    from pathlib import Path

SEED = 5
LIMIT_S = 20


def line(**faults: Faults) -> Line:
    valley = Valley(SEED)
    units = {
        246: Unit(Radar(valley, "bridge", SEED), faults.get("bridge", Faults())),
        192: Unit(RainBucket(valley), faults.get("rain", Faults())),
    }
    return Line(units, lambda: 1800.0, Random(1))


def asked(served: Line, unit: int, address: int, count: int) -> tuple[int, ...]:
    shape = Shape(unit, 4, count)
    (given,) = served.hear(read_request(shape, address))
    frame = hunt(given.frame, [shape]).frame
    assert frame is not None
    return frame.registers or (-frame.exception,)


def test_the_radar_shows_the_river() -> None:
    level = decode(asked(line(), 246, 2002, 2), "f32", "ABCD")
    assert level == pytest.approx(Valley(SEED).at(1800).bridge_m, abs=0.02)


def test_the_bucket_counts_whole_tips_and_wraps_in_the_storm() -> None:
    bucket = RainBucket(Valley(SEED))
    counts = [
        decode((image[8], image[9]), "u32", "CDAB")
        for image in (bucket.registers(minute * 60) for minute in range(81))
    ]
    steps = [(after - before) % RAIN_WRAP for before, after in pairwise(counts)]
    assert any(after < before for before, after in pairwise(counts))
    assert sum(steps) / 10_000 == pytest.approx(Valley(SEED).at(4800).rain_mm, abs=TIP_MM)
    assert all(step % 2794 <= 1 or step % 2794 >= 2793 for step in steps)


def test_what_is_not_there_is_refused_by_its_code() -> None:
    served = line()
    assert asked(served, 246, 2009, 2) == (-2,)
    other = read_request(Shape(246, 3, 1), 2002)
    (given,) = served.hear(other)
    assert given.frame[1:3] == bytes((0x83, 1))


def test_requests_are_found_in_noise_and_in_pieces() -> None:
    served = line()
    request = read_request(Shape(246, 4, 2), 2002)
    assert served.hear(b"\x00\xff" + request[:3]) == []
    assert len(served.hear(request[3:] + request)) == 2
    assert served.hear(read_request(Shape(9, 4, 2), 2002)) == []


def test_nothing_heard_is_kept_for_ever() -> None:
    served = line()
    for _ in range(100):
        served.hear(b"\x55" * 256)
    assert len(served._heard) <= 512


def test_a_dead_unit_says_nothing_and_is_counted() -> None:
    served = line(bridge=Faults(dead=True))
    assert served.hear(read_request(Shape(246, 4, 2), 2002)) == []
    assert served.fates == Counter({(246, Fate.DEAD): 1})


def test_faults_come_at_their_share_and_crc_finds_each_flip() -> None:
    faults = Faults(crc_share=0.1, late_share=0.2, late_s=0.7, turnaround_s=0.01)
    random = Random(2)
    good = read_request(Shape(1, 4, 1), 0)
    answers = [suffer(good, faults, random) for _ in range(5000)]
    fates = Counter(answer.fate for answer in answers)
    assert fates[Fate.CRC] == pytest.approx(500, rel=0.15)
    assert fates[Fate.LATE] == pytest.approx(1000, rel=0.15)
    for answer in answers:
        assert (crc16(answer.frame) == 0) == (answer.fate is not Fate.CRC)
        assert answer.delay_s == (0.7 if answer.fate is Fate.LATE else 0.01)


def test_the_same_dice_the_same_fates() -> None:
    faults = Faults(crc_share=0.3, late_share=0.3)
    first, second = Random(9), Random(9)
    frame = b"\x01\x04\x02\x00\x01\x78\xf0"
    assert [suffer(frame, faults, first) for _ in range(50)] == [
        suffer(frame, faults, second) for _ in range(50)
    ]


async def bridged(folder: Path) -> asyncio.subprocess.Process:
    if not shutil.which("socat"):
        pytest.skip("socat is not installed")
    ends = [f"pty,raw,echo=0,link={folder / name}" for name in ("master", "slave")]
    process = await asyncio.create_subprocess_exec("socat", *ends)
    async with asyncio.timeout(LIMIT_S):
        while not all((folder / name).exists() for name in ("master", "slave")):
            await asyncio.sleep(0.01)
    return process


@pytest.mark.system
async def test_a_foreign_master_reads_our_slaves(tmp_path: Path) -> None:
    if not shutil.which("mbpoll"):
        pytest.skip("mbpoll is not installed")
    bridge = await bridged(tmp_path)
    served = line()
    serving = asyncio.create_task(served.run(tmp_path / "slave"))
    try:
        # mbpoll counts registers from 1; -t 3 asks for input registers
        master = await asyncio.create_subprocess_exec(
            *("mbpoll", "-m", "rtu", "-a", "246", "-b", "9600", "-P", "none", "-t", "3:float"),
            *("-B", "-r", "2003", "-c", "1", "-1", str(tmp_path / "master")),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(LIMIT_S):
            said = (await master.communicate())[0].decode()
        assert master.returncode == 0, said
        seen = float(said.split("[2003]:")[1].split()[0])
        assert seen == pytest.approx(Valley(SEED).at(1800).bridge_m, abs=0.02)
        assert served.fates == Counter({(246, Fate.WHOLE): 1})
    finally:
        bridge.terminate()
        await bridge.wait()
        async with asyncio.timeout(LIMIT_S):
            await serving  # a line that is gone ends the serving by itself
