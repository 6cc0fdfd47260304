"""The log of a centre: one line a thing, for people or for collectors, without secrets."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from typing import TYPE_CHECKING

import pytest
from rig.centre_half import free_port
from rig.centre_process import COMMAND, PATIENCE_S, CentreProcess, command, settings_file
from rig.gatewaylike import GatewayLike

from egret_aggregator import log as centre_log
from egret_aggregator.log import Lines
from egret_gateway import log as gateway_log

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


def record(template: str, *values: object, name: str = "egret_aggregator.intake.mqtt") -> str:
    return Lines(as_json=False).format(
        logging.LogRecord(name, logging.WARNING, "f", 1, template, values, None)
    )


def test_a_line_says_when_how_bad_and_where_first() -> None:
    line = record("event=broker_lost error=%r", "no route")
    when, rest = line.split(" ", 1)
    assert when.startswith("time=20")
    assert when.endswith("Z")
    assert rest == 'level=warning room=intake.mqtt event=broker_lost error="no route"'


def test_a_foreign_library_s_line_is_an_event() -> None:
    assert record("odd %(x)s", {"x": 1}).endswith('event="odd 1"')


def test_a_line_that_cannot_be_filled_is_not_lost() -> None:
    assert record("a=%d %d", "x").endswith('event="a=%d %d" text="(\'x\',)"')


def test_a_traceback_is_on_the_same_line() -> None:
    try:
        int("a\nb")
    except ValueError:
        about = sys.exc_info()
    one = logging.LogRecord("x", logging.ERROR, "f", 1, "event=died", (), about)
    line = Lines(as_json=False).format(one)
    assert "\n" not in line
    assert "ValueError: invalid" in line
    assert json.loads(Lines(as_json=True).format(one))["detail"].startswith("Traceback")


@pytest.mark.parametrize("module", [centre_log, gateway_log], ids=["centre", "gateway"])
def test_set_up_writes_to_its_stream_and_silences_chatter(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.Logger("root")  # noqa: LOG001  (the real one stays as it is)
    monkeypatch.setattr(logging, "root", root)
    out = io.StringIO()
    module.set_up("json", stream=out)
    root.debug("event=quiet")
    root.info("event=said n=%d", 7)
    (line,) = out.getvalue().splitlines()
    assert json.loads(line) | {"time": "", "room": ""} == {
        "time": "",
        "level": "info",
        "room": "",
        "event": "said",
        "n": 7,
    }
    assert logging.getLogger("mqtt").level == logging.WARNING


@pytest.mark.system
async def test_every_line_of_a_centre_is_an_object_and_holds_no_secret(tmp_path: Path) -> None:
    port = free_port()
    path = settings_file(tmp_path, broker_port=port)
    code, out, _ = await command(
        "token", "add", str(path), "--role", "admin", "--name", "li", "--json"
    )
    assert code == 0
    token = json.loads(out)["token"]
    child = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("run", str(path), "--json", "--log", "json", "--verbose"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        assert await child.stdout.readline()
        async with GatewayLike(port, gateway="XM-TA-0042") as gateway:
            while not gateway.rejected:  # until the centre has subscribed nobody hears it
                await gateway.raw(b"\x00 level=critical\n")
                await asyncio.sleep(0.1)
        child.terminate()
        _, err = await child.communicate()
    lines = [json.loads(line) for line in err.decode().splitlines() if line[0] == "{"]
    assert {"broker_connected", "batch_refused"} <= {line.get("event") for line in lines}
    assert {"up", "stopping", "stopped"} <= {line.get("state") for line in lines}
    assert all({"time", "level", "room"} <= set(line) for line in lines)
    assert token.split("_", 2)[2].encode() not in err


@pytest.mark.system
async def test_a_line_for_people_is_logfmt(tmp_path: Path) -> None:
    async with CentreProcess(settings_file(tmp_path)) as centre:
        # Python warns of how the rig starts it; what follows is ours.
        first = next(line for line in centre.log().splitlines() if " room=" in line)
        assert first.startswith("time=")
        assert " level=info room=" in first
        assert "event=centre state=up api=" in centre.log()
