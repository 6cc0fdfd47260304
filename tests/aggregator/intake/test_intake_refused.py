"""A broker that lets us in and grants no subscription: a deaf centre must not look alive."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from rig.centre_half import CentreHalf, free_port, until

from egret_aggregator.config import BrokerSettings
from egret_aggregator.intake import Intake, find_nats
from egret_core.timescale import Timescale

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system

CONFIG = """
server_name: deaf
listen: "127.0.0.1:-1"
jetstream {{ store_dir: "{folder}/store" }}
mqtt {{ listen: "127.0.0.1:{port}" }}
authorization {{ users: [ {{ user: "centre", password: "secret", permissions: {{
  publish: ">", subscribe: {{ allow: ">", deny: "egret.v1.*.data" }} }} }} ] }}
"""


async def test_a_refused_subscription_is_an_error_and_no_tick_is_made(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "nats.conf").write_text(CONFIG.format(folder=tmp_path, port=port))
    (tmp_path / "password").write_text("secret\n")
    server = await asyncio.create_subprocess_exec(
        find_nats(), "-c", tmp_path / "nats.conf", stderr=asyncio.subprocess.DEVNULL
    )
    centre = CentreHalf(tmp_path / "data", port, scale=Timescale(120.0, 0, 0))
    settings = BrokerSettings(
        host="127.0.0.1", port=port, username="centre", password_file=tmp_path / "password"
    )
    await centre.journal.open()
    intake = Intake(settings, centre.journal, centre.clock)
    running = asyncio.create_task(intake.run())
    try:
        await until(lambda: "subscription refused" in intake.health()["error"])
        assert not intake.health()["connected"]
        assert centre.journal.head == 0
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await centre.journal.close()
        server.kill()
        await server.wait()
