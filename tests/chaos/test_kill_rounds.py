"""Kill -9 every program in turn, and freeze the link, under load: nothing lost, nothing twice.

A foreign slave serves unique serials. Before each kill the outbox is read: what was committed
then must be in the store in the end, and no serial may be there twice. A broker killed -9 forgets
what it had acknowledged (mosquitto up to a second of it) or delivers it again: neither may show.
Where readings are kept in InfluxDB its server is killed like the others.
"""

from __future__ import annotations

import asyncio
import os
import random
from typing import TYPE_CHECKING

import pytest
from rig.broker import BROKERS, without
from rig.drill import running_drill
from rig.influxd import why_no_influxd
from rig.libmodbus import why_missing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rig.drill import Drill

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(why_missing()), reason=why_missing() or "complete"),
]
ROUNDS = 10  # for each broker and store
ROUNDS_LONG = 100
TARGETS = {
    "sqlite": ("gateway", "broker", "centre", "link"),
    "influx": ("gateway", "broker", "centre", "link", "server"),
}


async def strike(drill: Drill, target: str, dice: random.Random) -> None:
    """End one of them without warning, and bring it back."""
    box = drill.boxes[0]
    box.look()
    if target == "link":
        drill.proxy.freeze()
        await asyncio.sleep(dice.uniform(0.2, 0.9))
        drill.proxy.thaw()
    elif target == "gateway":
        await box.field.kill()
        box.look()
        await box.field.start()
    elif target == "broker":
        drill.broker.kill()
        await drill.broker.start()
    elif target == "server":
        assert drill.server is not None
        drill.server.kill()
        await asyncio.sleep(dice.uniform(0.0, 0.9))
        await drill.server.start()
    else:
        await drill.centre.kill()
        await drill.centre.up()


@pytest.mark.parametrize("store", TARGETS)
@pytest.mark.parametrize("broker", BROKERS)
async def test_no_serial_is_lost_and_none_counted_twice(
    tmp_path: Path, record_property: Callable[[str, object], None], broker: str, store: str
) -> None:
    if without(broker):
        pytest.skip(without(broker))
    if store == "influx" and why_no_influxd():
        pytest.skip(why_no_influxd())
    rounds = ROUNDS_LONG if os.environ.get("EGRET_LONG") else ROUNDS
    seed = int(os.environ.get("EGRET_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    dice = random.Random(seed)
    async with running_drill(tmp_path, broker, store=store) as drill:
        box = drill.add_box("field", 1)
        await box.field.start()
        await box.progress()
        for number in range(rounds):
            await asyncio.sleep(dice.uniform(0.05, 0.6))
            await strike(drill, TARGETS[store][number % len(TARGETS[store])], dice)
            await box.progress()
        await drill.settle()
        stored = drill.stored()
    totals = f"committed={len(box.seen)} stored={len(stored)} lost=0 twice=0"
    told = f"broker={broker} store={store} rounds={rounds} seed={seed} {totals}"
    record_property("kill rounds", told)
    assert len(stored) > rounds
