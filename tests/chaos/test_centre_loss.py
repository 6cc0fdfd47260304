"""The centre loses its disk, or gets an older one back; a card is cloned: all heal by themselves.

Each time every reading in the outboxes is in the centre once, without a manual step.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from rig.drill import running_drill
from rig.libmodbus import why_missing
from rig.line import until

if TYPE_CHECKING:
    from pathlib import Path

    from rig.drill import Drill

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(why_missing()), reason=why_missing() or "complete"),
]
ENOUGH = 60  # serials: a few dozen batches


async def test_a_centre_that_lost_its_disk_gets_every_reading_back(tmp_path: Path) -> None:
    async with running_drill(tmp_path) as drill:
        box = drill.add_box("field", 1)
        await box.field.start()
        await until(lambda: stored_at_least(drill, ENOUGH), "the centre has readings")
        await drill.centre.kill()
        shutil.rmtree(drill.centre.data)
        await drill.centre.up()
        await box.progress()
        await drill.settle()
        assert min(drill.stored()) == 1, "the readings from before the loss are back"


async def test_a_centre_with_an_older_disk_catches_up(tmp_path: Path) -> None:
    older = tmp_path / "older"
    async with running_drill(tmp_path) as drill:
        box = drill.add_box("field", 1)
        await box.field.start()
        await until(lambda: stored_at_least(drill, ENOUGH), "the centre has readings")
        await drill.centre.kill()
        shutil.copytree(drill.centre.data, older)
        await drill.centre.up()
        await until(lambda: stored_at_least(drill, 3 * ENOUGH), "it goes on without the copy")
        await drill.centre.kill()
        shutil.rmtree(drill.centre.data)
        older.rename(drill.centre.data)
        await drill.centre.up()
        await box.progress()
        await drill.settle()


async def test_a_cloned_card_loses_nothing_and_is_named(tmp_path: Path) -> None:
    async with running_drill(tmp_path) as drill:
        first = drill.add_box("field", 1)
        await first.field.start()
        await until(lambda: stored_at_least(drill, ENOUGH), "the centre has readings")
        await first.field.stop()
        second = drill.add_box("clone", 30_000)
        shutil.copytree(first.field.data, second.field.data)
        await first.field.start()
        await second.field.start()
        for _ in range(3):
            await first.progress()
            await second.progress()
        await until(lambda: named_as_clone(drill), "the clone is named by the API")
        await drill.settle()
        stored = drill.stored()
        assert min(stored) == 1
        assert max(stored) >= 30_000


async def stored_at_least(drill: Drill, count: int) -> bool:
    """Whether the store holds so many serials."""
    path = drill.centre.data
    return path.exists() and len(drill.stored()) >= count


async def named_as_clone(drill: Drill) -> bool:
    """Whether the API says that two boxes use one gateway's id."""
    gateways = await drill.centre.get("/gateways")
    return any((gateway["status"] or {}).get("clone") for gateway in gateways["items"])
