"""One influxd for many tests; each finds its database empty, and an alias of its own before it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from rig.influx_alias import running_alias
from rig.influxd import BUCKET, Influxd

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(scope="session")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    server = Influxd(tmp_path_factory.mktemp("influxd"))
    asyncio.run(server.start())
    yield server
    server.stop()


@pytest.fixture
async def server(process: Influxd) -> AsyncIterator[Influxd]:
    await process.ask(f'DROP DATABASE "{BUCKET}"')
    await process.ask(f'CREATE DATABASE "{BUCKET}"')
    async with running_alias(process.direct) as alias:
        process.alias, process.url = alias, alias.url
        yield process
