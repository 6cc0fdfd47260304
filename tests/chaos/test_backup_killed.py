"""kill -9 at any line of a backup or of a restore: it is recognised, and the next one succeeds.

A first run counts the lines of ours that are run; each round dies at one of them, by the dice.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from rig.small_centre import SmallCentre

from egret_aggregator import data_lock
from egret_aggregator.backup import folder as place
from egret_aggregator.backup.manifest import FILE
from egret_aggregator.errors import BackupError, DataFolderError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.system
ROUNDS = 2
ROUNDS_LONG = 60
LIMIT_S = 120
CHILD = """
import os, signal, sys
from egret_aggregator.backup import folder, inventory, making, restoring
from egret_aggregator.cli import main
from egret_aggregator.database import portable, snapshot
from egret_aggregator.journal import copying, pin

OURS = {module.__file__ for module in
        (folder, inventory, making, restoring, portable, snapshot, copying, pin)}
left = int(sys.argv[1])
lines = 0

def line(frame, event, argument):
    global lines
    if event == "line":
        lines += 1
        if lines == left:
            os.kill(os.getpid(), signal.SIGKILL)
    return line

sys.settrace(lambda frame, *_: line if frame.f_code.co_filename in OURS else None)
code = main(sys.argv[2:])
sys.settrace(None)
print(f"lines {lines}")
sys.exit(code)
"""


def died(dies_at: int, *words: object) -> tuple[int, int]:
    """Run a command that kills itself at a line, 0 for none; return its code and its lines."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(dies_at), *map(str, words)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("lines ")]
    return done.returncode, int(lines[0].split()[1]) if lines else 0


def quiet(*_: object) -> None:
    """Progress that nobody looks at."""


async def test_whenever_it_is_killed(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    rounds = ROUNDS_LONG if os.environ.get("EGRET_LONG") else ROUNDS
    seed = int(os.environ.get("EGRET_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    dice = random.Random(seed)
    centre, backup = SmallCentre(tmp_path), tmp_path / "backup"
    async with centre.running():
        await centre.levels(1, 2.0, 4.5, 4.6)
        (warning,) = await centre.standing()
        cut = killed_backups(centre, backup, dice, rounds)
    torn = killed_restores(centre, backup, dice, rounds)
    async with centre.running():
        assert await centre.standing() == [warning]
        assert await centre.values() == [2.0, 4.5, 4.6]
    totals = f"backups={rounds} recognised={cut} restores={rounds} recognised={torn} lost=0"
    record_property("backup killed", f"seed={seed} {totals}")


def killed_backups(centre: SmallCentre, backup: Path, dice: random.Random, rounds: int) -> int:
    """Kill backups into one folder; the last one is let be. Return how many were cut short."""
    words = ("backup", centre.settings.file, "--to", backup)
    code, lines = died(0, *words)
    assert code == 0
    assert lines > 100
    cut = 0
    for _ in range(rounds):
        if (backup / FILE).exists():
            shutil.rmtree(backup)
        code, _ = died(dice.randrange(1, lines), *words)
        assert code == -signal.SIGKILL
        if backup.exists() and not (backup / FILE).exists():
            cut += 1
            with pytest.raises(BackupError, match="it has no manifest"):
                place.checked(backup, quiet)
    if not (backup / FILE).exists():
        assert died(0, *words)[0] == 0
    place.checked(backup, quiet)
    return cut


def killed_restores(centre: SmallCentre, backup: Path, dice: random.Random, rounds: int) -> int:
    """Kill restores into one folder; the last one is let be. Return how many were cut short."""
    shutil.rmtree(centre.data)
    words = ("restore", centre.settings.file, "--from", backup)
    code, lines = died(0, *words)
    assert code == 0
    torn = 0
    for _ in range(rounds):
        if not (centre.data / data_lock.RESTORING).exists():
            shutil.rmtree(centre.data, ignore_errors=True)
        code, _ = died(dice.randrange(1, lines), *words)
        assert code == -signal.SIGKILL
        if (centre.data / data_lock.RESTORING).exists():
            torn += 1
            with pytest.raises(DataFolderError, match="cut short here: run"):
                data_lock.held(centre.data).__enter__()
    if (centre.data / data_lock.RESTORING).exists() or not (centre.data / "journal.db").exists():
        assert died(0, *words)[0] == 0
    return torn
