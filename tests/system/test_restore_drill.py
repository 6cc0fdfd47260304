"""Back up under load, run on, lose everything, put the backup back: nothing is missing.

Every reading that an outbox holds is in the restored centre once, the ledger's chain is whole, and
there was no manual step beside the restore.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from rig.console import CENTRE, typed
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


async def stored(drill: Drill, count: int) -> bool:
    return len(drill.stored()) >= count


async def said(*words: object) -> dict[str, Any]:
    """What a command answers; it must be content."""
    done = await typed(CENTRE, *words, "--json")
    assert done.code == 0, done
    return dict(json.loads(done.out))


async def test_a_centre_that_is_destroyed_goes_on_from_its_backup(tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    async with running_drill(tmp_path) as drill:
        centre = drill.centre
        box = drill.add_box("field", 1)
        await box.field.start()
        await until(lambda: stored(drill, ENOUGH), "the centre has readings")
        made = await said("backup", centre.config, "--to", backup)
        count = len(drill.stored())
        await until(lambda: stored(drill, count + ENOUGH), "it runs on without the backup")
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
        assert [w["id"] for w in after["items"]] == [w["id"] for w in before["items"]]
        assert "event=ledger_behind_journal" not in centre.log.read_text()
        audit = await said("audit", "verify", centre.config)
        assert (audit["ok"], audit["lines"] > made["head"]["seq"]) == (True, True)
