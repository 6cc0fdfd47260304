"""Kill -9 in the middle of writing: what was reported as committed is there, in order."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from rig.box_file import opened, rows
from rig.field_box import make_outbox

from egret_core.codec import decode_batch, payload_hash
from egret_core.entries import read_readings

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system
WRITER = """
import sys, threading
from pathlib import Path
from rig.field_box import make_outbox, samples
outbox = make_outbox(Path(sys.argv[1]))
outbox.open()
def told(parcels):
    for parcel in parcels:
        print(parcel.seq, parcel.hash, flush=True)
outbox.listen(told, lambda first_id: None)
emit = outbox.emitter(0.0)
number = int(sys.argv[2])
pause = threading.Event()
while True:
    emit(samples(7, number), {"st1/rain": str(number + 7)})
    number += 7
    while outbox.stats()["buffered"] > 100:
        pause.wait(0.0005)
    if number % 70 == 0:
        outbox.settle([number // 7])
"""


def write_and_kill(folder: Path, first: int, after: int) -> dict[int, str]:
    """Let a process write until it has reported so many commits, then kill it."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(first)],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": "tests"},
    )
    assert process.stdout is not None
    told: list[str] = []
    try:
        for line in process.stdout:
            told.append(line)
            if len(told) >= after:
                break
    finally:
        process.send_signal(signal.SIGKILL)
        told.extend(process.stdout)
        process.stdout.close()
        process.wait()
    whole = [line.split() for line in told if line.endswith("\n")]
    return {int(seq): digest for seq, digest in whole}


def check(folder: Path, reported: dict[int, str]) -> int:
    """Hold the file against the reports; return the number of the next value."""
    stored = rows(folder, "seq, hash, payload, kind")
    assert [row[0] for row in stored] == list(range(1, len(stored) + 1))
    assert all(payload_hash(row[2]) == row[1] for row in stored)
    found = {row[0]: row[1] for row in stored}
    assert {seq: found.get(seq) for seq in reported} == reported
    values = [
        reading.value
        for row in stored
        if row[3] == "readings"
        for reading in read_readings(decode_batch(row[2])).dated
    ]
    assert values == [float(number) for number in range(len(values))]
    with opened(outbox := make_outbox(folder)):
        memory = outbox.memory()
        assert outbox.held().ranges == {outbox.current_log: ((1, len(stored)),)}
    assert memory.get("st1/rain", "0") == str(len(values))
    return len(values)


def drill(folder: Path, rounds: int) -> None:
    chance = random.Random(7)
    reported: dict[int, str] = {}
    first = 0
    for _ in range(rounds):
        reported |= write_and_kill(folder, first, chance.randint(1, 40))
        first = check(folder, reported)
    assert len(reported) >= rounds


def test_no_reported_commit_is_missing_after_kills(tmp_path: Path) -> None:
    drill(tmp_path, 8)


@pytest.mark.long
def test_no_reported_commit_is_missing_after_many_kills(tmp_path: Path) -> None:
    drill(tmp_path, 200)
