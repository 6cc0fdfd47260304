"""The embedded broker: which one, with what settings, and that it never outlives us."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import stat
import sys
from pathlib import Path

import pytest
from rig.centre_half import free_port, until

from egret_aggregator.errors import BrokerError
from egret_aggregator.intake import BrokerChild, broker, find_nats, nats

pytestmark = pytest.mark.system


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def fake(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "nats-server"
    program.write_text(f"#!/bin/sh\necho 'nats-server: v{version}'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def test_the_variable_then_path_then_the_wheel_then_an_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = fake(tmp_path / "old", "2.9.10"), fake(tmp_path / "new", "2.11.3")
    wheel = fake(tmp_path / "wheel", "2.15.1")
    monkeypatch.setattr(sys, "executable", str(wheel.parent / "python"))
    monkeypatch.delenv(nats.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", f"{new.parent}:/bin")
    assert find_nats() == new
    monkeypatch.setenv("PATH", f"{old.parent}:/bin")
    assert find_nats() == wheel
    wheel.unlink()
    assert find_nats() == old
    assert "event=broker_old" in caplog.text
    monkeypatch.setenv("PATH", "/bin")
    with pytest.raises(BrokerError, match="no nats-server found: install"):
        find_nats()
    monkeypatch.setenv(nats.VARIABLE, str(old))
    assert find_nats() == old
    monkeypatch.setenv(nats.VARIABLE, "/bin/true")
    with pytest.raises(BrokerError, match="'/bin/true' is not a nats-server"):
        find_nats()


def test_only_a_new_enough_server_is_told_to_sync_each_second() -> None:
    old = nats.render((2, 9, 10), Path("/data"), "127.0.0.1", 1883, log=Path("/l"))
    new = nats.render((2, 10, 0), Path("/data"), "127.0.0.1", 1883, log=Path("/l"))
    assert "sync_interval" not in old
    assert new == old.replace("4GB", '4GB, sync_interval: "1s"')


async def test_its_log_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    render = nats.render
    monkeypatch.setattr(
        broker, "render", lambda *a, **k: render(*a, **k).replace("limit: 8MB", "limit: 1KB")
    )
    for number in range(9):
        (tmp_path / f"nats.log.2020.01.01.00.00.00.{number}").write_text("old")
    for _ in range(4):
        child = BrokerChild(tmp_path, "127.0.0.1", free_port())
        await child.start()
        await child.stop()
    sizes = {name: size for name, size in sizes_in(tmp_path).items() if name.startswith("nats.log")}
    assert 2 <= len(sizes) <= nats.LOG_FILES
    assert not [name for name in sizes if "2020" in name]
    assert sum(sizes.values()) < 100_000


def sizes_in(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def test_only_the_end_of_a_log_is_read(tmp_path: Path) -> None:
    child = BrokerChild(tmp_path, "127.0.0.1", 1)
    assert child._last_words() == ""
    with (tmp_path / "nats.log").open("wb") as log:
        log.truncate(2**34)  # sparse: nobody must read it whole
        log.seek(0, os.SEEK_END)
        log.write(b"the end")
    assert child._last_words().endswith("the end")
    (tmp_path / "nats.out").write_text("panic: why")
    assert child._last_words() == "panic: why"


async def test_it_starts_stops_and_starts_again(tmp_path: Path) -> None:
    port = free_port()
    for _ in range(2):
        child = BrokerChild(tmp_path, "127.0.0.1", port)
        await child.start()
        assert answers(port)
        assert child.pid is not None
        await child.stop()
        assert not answers(port)
        assert not (tmp_path / "pid").exists()


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(BrokerError, match=f"port 127.0.0.1:{port} is taken: stop"):
            await BrokerChild(tmp_path, "127.0.0.1", port).start()


async def test_it_comes_back_when_it_is_killed(tmp_path: Path) -> None:
    port = free_port()
    child = BrokerChild(tmp_path, "127.0.0.1", port)
    await child.start()
    try:
        first = child.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: child.restarts == 1)
        assert answers(port)
        assert child.pid != first
    finally:
        await child.stop()


PARENT = """
import asyncio, sys
from pathlib import Path
from egret_aggregator.intake import BrokerChild

async def main():
    child = BrokerChild(Path(sys.argv[1]), "127.0.0.1", int(sys.argv[2]))
    await child.start()
    sys.stdout.write(f"{child.pid}\\n")
    sys.stdout.flush()
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_it_dies_with_its_parent_and_a_stale_one_of_ours_is_replaced(tmp_path: Path) -> None:
    port = free_port()
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path), str(port), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await asyncio.wait_for(parent.stdout.readline(), 60))
    parent.kill()
    await parent.wait()
    await until(lambda: not answers(port))
    assert (tmp_path / "pid").read_text() == str(pid)
    # One that was left behind all the same, e.g. by an older kernel.
    stale = await asyncio.create_subprocess_exec(
        find_nats(), "-c", tmp_path / "nats.conf", stderr=asyncio.subprocess.DEVNULL
    )
    (tmp_path / "pid").write_text(str(stale.pid))
    await until(lambda: answers(port))
    child = BrokerChild(tmp_path, "127.0.0.1", port)
    await child.start()
    try:
        assert await asyncio.wait_for(stale.wait(), 30) == -signal.SIGKILL
        assert answers(port)
    finally:
        await child.stop()


async def test_a_pid_file_that_names_somebody_else_kills_nobody(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(str(os.getpid()))
    child = BrokerChild(tmp_path, "127.0.0.1", free_port())
    await child.start()
    await child.stop()


async def test_it_is_tried_again_until_it_can_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The program is gone, the port is taken, the folder cannot be written: it goes on trying."""
    monkeypatch.setattr(broker, "RESTART_S", (0.05,))
    program = tmp_path / "nats-server"
    program.symlink_to(find_nats())
    monkeypatch.setenv(nats.VARIABLE, str(program))
    port = free_port()
    child = BrokerChild(tmp_path / "data", "127.0.0.1", port)
    await child.start()
    watching = asyncio.create_task(child.watch())
    try:
        program.unlink()
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        await until(lambda: "No such file" in child.last_error)
        assert child.pid is None
        with socket.socket() as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", port))
            holder.listen()
            await until(lambda: "is taken" in child.last_error)
        await until(lambda: "No such file" in child.last_error)
        program.symlink_to(find_nats_elsewhere(program))
        await until(lambda: child.restarts == 1)
        assert answers(port)
        assert (child.last_error, watching.done()) == ("", False)
        told = [r.getMessage() for r in caplog.records if "restart_failed" in r.getMessage()]
        assert len(told) == 3, "the same failure is told once"
    finally:
        watching.cancel()
        await child.stop()


def find_nats_elsewhere(program: Path) -> Path:
    """Return the server that is found without the variable."""
    wheel = Path(sys.executable).parent / "nats-server"
    found = wheel if wheel.exists() else Path(shutil.which("nats-server") or program)
    assert found != program
    return found


async def test_whoever_watches_learns_that_nobody_keeps_it_any_more(tmp_path: Path) -> None:
    child = BrokerChild(tmp_path, "127.0.0.1", free_port())
    await child.watch()
    await child.start()
    watching = asyncio.create_task(child.watch())
    await asyncio.sleep(0)
    await child.stop()
    await asyncio.wait([watching], timeout=30)
    assert watching.done()
