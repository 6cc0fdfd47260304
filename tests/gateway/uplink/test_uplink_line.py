"""Outbox to centre over a real broker: what is settled, resent, refused, and asked for again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rig.broker import running_broker
from rig.centre import running_centre
from rig.field_box import GATEWAY, running_box

from egret_core.messages import Kind
from egret_core.topics import Leaf

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system


async def test_every_reading_arrives_once_and_is_settled(tmp_path: Path) -> None:
    async with (
        running_broker(tmp_path / "broker") as broker,
        running_centre(broker.host, broker.port, GATEWAY) as centre,
        running_box(tmp_path / "box", broker.host, broker.port) as box,
    ):
        box.feed(1000)
        await centre.until(lambda: len(centre.values()) >= 1000)
        await box.settled()
        assert centre.values() == [float(i) for i in range(1000)]
        assert {leaf for _, leaf, _ in centre.came} == {Leaf.DATA}
        assert centre.came[0][2].kind == Kind.META
