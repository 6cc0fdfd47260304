"""A bucket for tests: on a server of the user's own, else on an influxd started here.

`EGRET_INFLUX_URL`, and `EGRET_INFLUX_TOKEN`, `EGRET_INFLUX_BUCKET`, `EGRET_INFLUX_ORG`, name a
server; each test writes a measurement of its own there and leaves it behind.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

from rig.influxd import BUCKET, running_influxd, why_no_influxd

from egret_aggregator.store.influx import line
from egret_aggregator.store.settings import StoreSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

URL = os.environ.get("EGRET_INFLUX_URL", "")


def why_no_bucket() -> str:
    """Return what is missing, "" for nothing."""
    return "" if URL else why_no_influxd()


@contextmanager
def bucket(folder: Path) -> Iterator[StoreSettings]:
    """Give the settings of a bucket."""
    if URL:
        yield of_user(folder)
        return
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        server = runner.run(
            stack.enter_async_context(running_influxd(folder / "influxd", own_process=True))
        )
        try:
            yield StoreSettings("influx", server.url, BUCKET)
        finally:
            runner.run(stack.aclose())


def of_user(folder: Path) -> StoreSettings:
    """Return the settings of the server that the environment names."""
    token = os.environ.get("EGRET_INFLUX_TOKEN", "")
    file = folder / "token"
    if token:
        file.write_text(token)
    return StoreSettings(
        "influx",
        URL.rstrip("/"),
        os.environ.get("EGRET_INFLUX_BUCKET", BUCKET),
        os.environ.get("EGRET_INFLUX_ORG", "-"),
        file if token else None,
    )


def fresh_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what follows write and read a measurement that nobody had before."""
    monkeypatch.setattr(line, "MEASUREMENT", f"egret_test_{secrets.token_hex(8)}")
