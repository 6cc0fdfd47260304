"""`egret-gateway status`: what a technician sees of a running box, and what is to be looked at."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from rig.broker import running_broker
from rig.centre import running_centre
from rig.site import site, stage

from egret_gateway import status as status_socket
from egret_gateway.cli import main
from egret_gateway.cli.status import findings, lines
from egret_gateway.errors import AskError, NotRunningError, StatusError
from egret_gateway.status import FILE, answering, ask

if TYPE_CHECKING:
    from pathlib import Path

WAIT_S = 60.0
WELL: dict[str, Any] = {
    "gateway": "XM-TA-0042",
    "up_s": 12.5,
    "uplink": {"connected": True, "last_ack_s": 1.0, "in_flight": 0, "ack_ms": 7, "unreadable": 0},
    "outbox": {"bytes": 2_500_000, "unsettled": 0, "drafts": 0, "buffered": 0},
    "clock": {"source": "ntp", "offset_ms": 0},
    "maintenance": False,
    "pace": {"st0007": "normal"},
    "battery": {"step": 0, "shed": []},
    "buses": {
        "bus0": {"port": "/dev/x", "fault": "", "units": {"7": {"ok": 3, "open": False}}},
    },
}


def ill(**parts: Any) -> list[str]:
    facts = {**WELL, **{name: {**WELL[name], **more} for name, more in parts.items()}}
    return list(findings(facts))


def test_a_box_that_is_well_has_nothing_to_look_at() -> None:
    assert ill() == []
    assert list(lines(WELL)) == [
        "gateway  XM-TA-0042, up 12 s",
        "uplink   connected, last ack 1 s ago, 0 in flight, 7 ms an ack",
        "outbox   0 batches wait, 2.5 MB",
        "clock    ntp, 0 ms to walk off",
        "bus0     /dev/x: unit 7 3 good",
    ]


def test_a_station_that_is_read_faster_is_shown() -> None:
    assert "pace     st0007: event" in list(lines({**WELL, "pace": {"st0007": "event"}}))


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"battery": {"step": 1, "shed": ["st/a", "st/b"]}}, "not read are: st/a, st/b"),
        ({"uplink": {"connected": False}}, "no connection to the broker"),
        ({"outbox": {"unsettled": 4}, "uplink": {"last_ack_s": 61.0}}, "acknowledges nothing"),
        ({"outbox": {"unsettled": 4}, "uplink": {"last_ack_s": None}}, "acknowledges nothing"),
        ({"clock": {"source": "none"}}, "no time is known"),
        (
            {"buses": {"bus0": {"port": "/dev/x", "fault": "missing", "units": {}}}},
            "bus0: /dev/x: missing",
        ),
        (
            {
                "buses": {
                    "b": {"port": "p", "fault": "", "units": {"9": {"ok": 0, "open": True}}},
                }
            },
            "b: unit 9 does not answer",
        ),
        (
            {
                "buses": {
                    "b": {
                        "port": "p",
                        "fault": "",
                        "units": {},
                        "load": 1.2,
                        "strides": {"service": 3},
                    },
                }
            },
            "b: polls take 120% of the line's time: service channels are read only every 3. time",
        ),
        (
            {
                "buses": {
                    "b": {
                        "port": "p",
                        "fault": "",
                        "units": {
                            "9": {
                                "ok": 1,
                                "open": False,
                                "suggestions": ["[[modbus.holes]]\nfc = 3"],
                            }
                        },
                    },
                }
            },
            "b: unit 9: its profile lacks\n[[modbus.holes]]\nfc = 3",
        ),
        (
            {
                "buses": {
                    "b": {
                        "port": "p",
                        "fault": "",
                        "units": {"9": {"ok": 1, "open": False, "suggestions": ["two: refused"]}},
                    },
                }
            },
            "b: unit 9: two: refused",
        ),
    ],
)
def test_what_is_to_be_looked_at(parts: dict[str, dict[str, Any]], says: str) -> None:
    (found,) = [one for one in ill(**parts) if says in one]
    assert found


def test_what_waits_is_no_matter_while_acks_come() -> None:
    assert ill(outbox={"unsettled": 400}) == []


def test_maintenance_is_not_forgotten() -> None:
    (found,) = findings({**WELL, "maintenance": True})
    assert "readings raise no alarm" in found


async def test_whoever_asks_is_told_and_nothing_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("of a process that was killed")
    async with answering(tmp_path, lambda: {"text": "准备" * 50_000}):
        assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o660
        found = await asyncio.gather(*(asyncio.to_thread(ask, tmp_path) for _ in range(5)))
        assert all(facts == {"text": "准备" * 50_000} for facts in found)
    assert not (tmp_path / FILE).exists()


async def read(bus: str, unit: str) -> list[dict[str, Any]]:
    if bus != "bus0":
        raise AskError(f"there is no bus {bus!r}")
    return [{"unit": unit, "fault": "ok"}]


async def test_a_question_is_answered_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    async with answering(tmp_path, lambda: {"gateway": "g"}, read):

        async def asked(**question: str) -> dict[str, Any]:
            return await asyncio.to_thread(ask, tmp_path, question)

        assert await asyncio.to_thread(ask, tmp_path) == {"gateway": "g"}
        found = await asked(do="read", bus="bus0", unit="7")
        assert found == {"ok": True, "reads": [{"unit": "7", "fault": "ok"}]}
        assert await asked(do="read", bus="bus1", unit="7") == {
            "ok": False, "detail": "there is no bus 'bus1'",
        }  # fmt: skip
        assert "ask {" in (await asked(do="read", bus="bus0"))["detail"]
        assert "answers: read" in (await asked(do="write"))["detail"]
    async with answering(tmp_path, lambda: {"gateway": "g"}):
        assert "answers: read" in (await asked(do="read", bus="bus0", unit="7"))["detail"]


@pytest.mark.parametrize("said", [b"{not json\n", b"[1]\n", b"7\n", b"\xff\xfe\n"])
async def test_nonsense_is_answered_with_what_may_be_asked(tmp_path: Path, said: bytes) -> None:
    async with answering(tmp_path, dict, read):
        reader, writer = await asyncio.open_unix_connection(tmp_path / FILE)
        writer.write(said)
        assert json.loads(await reader.read())["ok"] is False
        writer.close()


async def test_who_says_nothing_or_too_much_is_told_how_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_socket, "QUESTION_S", 0.05)
    async with answering(tmp_path, lambda: {"gateway": "g"}, read):
        for said in (b"", b"x" * 5000 + b"\n"):
            reader, writer = await asyncio.open_unix_connection(tmp_path / FILE)
            writer.write(said)
            assert json.loads(await reader.read()) == {"gateway": "g"}
            writer.close()


async def test_a_folder_too_deep_for_a_socket_stops_no_gateway(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    async with answering(deep, dict):
        assert "event=no_status_socket" in caplog.text
    with pytest.raises(StatusError):
        ask(deep)
    with pytest.raises(NotRunningError):
        ask(tmp_path)


def test_a_service_that_does_not_run_is_named_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = site(tmp_path, swap=('"data"', f'"{tmp_path}/data"'))
    assert main(["status", str(path)]) == 3
    assert "does not run" in capsys.readouterr().err
    (tmp_path / "data").mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "data" / FILE))
    assert main(["status", str(path), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"] == "status"


def test_a_service_that_hangs_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_socket, "ANSWER_S", 0.2)
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / FILE))
        mute.listen()
        with pytest.raises(StatusError, match="it hangs"):
            ask(tmp_path)


def test_an_answer_that_is_no_json_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as odd:
        odd.bind(str(tmp_path / FILE))
        odd.listen()

        def answer() -> None:
            peer, _ = odd.accept()
            peer.sendall(b"{broken")
            peer.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(StatusError):
            ask(tmp_path)


@pytest.mark.system
async def test_a_running_gateway_tells_of_itself(tmp_path: Path) -> None:
    async with (
        running_broker(tmp_path / "broker") as broker,
        running_centre(broker.host, broker.port, "XM-TA-0042") as centre,
    ):
        data = ('"data"', f'"{tmp_path}/data"')
        path = site(tmp_path, devices=stage(period_s=0.2), swap=data)
        path.write_text(f"{path.read_text()}\n[broker]\nport = {broker.port}\n")
        code = "import sys; from egret_gateway.cli import main; sys.exit(main())"
        box = await asyncio.create_subprocess_exec(sys.executable, "-c", code, "run", str(path))
        try:
            await centre.until(lambda: len(centre.batches()) >= 2)
            async with asyncio.timeout(WAIT_S):
                facts: dict[str, Any] = {"uplink": {"last_ack_s": None}}
                while facts["uplink"]["last_ack_s"] is None:
                    await asyncio.sleep(0.05)
                    facts = await asyncio.to_thread(ask, tmp_path / "data")
            assert facts["gateway"] == "XM-TA-0042"
            assert facts["uplink"]["connected"]
            assert facts["buses"]["bus0"]["fault"] == "missing"
            assert await asyncio.to_thread(main, ["status", str(path)]) == 1
        finally:
            box.send_signal(signal.SIGTERM)
            await box.communicate()
    assert not (tmp_path / "data" / FILE).exists()
