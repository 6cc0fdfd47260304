"""Back up under load, run on, lose everything, put the backup back: nothing is missing.

Every reading that an outbox holds is in the restored centre once, the ledger's chain is whole, and
there was no manual step beside the restore.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from rig.console import CENTRE, typed
from rig.drill import RULES, running_drill
from rig.libmodbus import why_missing
from rig.line import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rig.drill import Drill

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(why_missing()), reason=why_missing() or "complete"),
]
ENOUGH = 60  # serials: a few dozen batches
LOW = RULES.replace("raise = 50.0, clear = 40.0", "raise = 0.3, clear = 0.2")  # soon met
SCALE = 120
# On a scaled clock the field box keeps the pace that its line can bear.
SCALED = {
    "period_s = 0.05": "period_s = 6",
    "cut_s = 0.1": "cut_s = 60",
}


async def warned(drill: Drill) -> bool:
    """Whether the river's warning is in the ledger; its id is that of its first event."""
    return bool((await drill.centre.get("/warnings"))["items"])


async def stored(drill: Drill, count: int) -> bool:
    return len(drill.stored()) >= count


async def said(*words: object) -> dict[str, Any]:
    """What a command answers; it must be content."""
    done = await typed(CENTRE, *words, "--json")
    assert done.code == 0, done
    return dict(json.loads(done.out))


async def test_a_centre_that_is_destroyed_goes_on_from_its_backup(tmp_path: Path) -> None:
    async with running_drill(tmp_path, rules=LOW) as drill:
        await drill.add_box("field", 1).field.start()
        await until(lambda: stored(drill, ENOUGH), "the centre has readings")
        await until(lambda: warned(drill), "a warning is on record, and so in the backup")
        made = await said("backup", drill.centre.config, "--to", tmp_path / "backup")
        count = len(drill.stored())
        await until(lambda: stored(drill, count + ENOUGH), "it runs on without the backup")
        await destroyed_and_restored(drill, tmp_path / "backup", made)


@pytest.mark.long
async def test_a_day_after_the_backup_everything_is_destroyed(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    hours = float(os.environ.get("EGRET_DRILL_HOURS", "24"))
    async with running_drill(tmp_path, scale=SCALE, rules=LOW) as drill:
        box = drill.add_box("field", 1)
        text = box.field.config.read_text()
        for quick, slow in SCALED.items():
            assert quick in text
            text = text.replace(quick, slow)
        box.field.config.write_text(text)
        await box.field.start()
        await until(lambda: stored(drill, ENOUGH), "the centre has readings")
        await until(lambda: warned(drill), "a warning is on record, and so in the backup")
        made = await said("backup", drill.centre.config, "--to", tmp_path / "backup")
        await asyncio.sleep(hours * 3600 / SCALE)
        await destroyed_and_restored(drill, tmp_path / "backup", made)
        count = len(drill.stored())
    record_property("restore drill", f"hours={hours:g} stored={count} lost=0 twice=0")


async def destroyed_and_restored(drill: Drill, backup: Path, made: dict[str, Any]) -> None:
    """Destroy the centre and put a backup back; check all that the drill promises."""
    centre, (box,) = drill.centre, drill.boxes
    box.look()
    before = await centre.get("/warnings")
    await centre.kill()
    shutil.rmtree(centre.data)

    put_back = await said("restore", centre.config, "--from", backup)
    assert (put_back["ledger_ok"], put_back["head"]) == (True, made["head"])
    await centre.start()
    await until(centre._ready, "the restored centre is ready")
    await box.progress()
    await drill.settle()
    assert min(drill.stored()) == 1
    after = await centre.get("/warnings")  # by the token of before
    # On a scaled clock its own absence is long enough for the centre to warn of.
    standing = [w["id"] for w in after["items"] if w["subject"] != "centre"]
    assert standing == [w["id"] for w in before["items"]] != []
    assert "event=ledger_behind_journal" not in centre.log.read_text()
    audit = await said("audit", "verify", centre.config)
    assert (audit["ok"], audit["lines"] > made["head"]["seq"]) == (True, True)
