"""The page on docker: its commands name what there is, and those of our own scripts run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from typing import TYPE_CHECKING

import pytest
from rig import docker_folder as docker

from egret_aggregator.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (docker.ROOT / "docs/operator/docker.md").read_text("utf-8")
BLOCKS = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines()]
OWN = [line for line in LINES if line.startswith(("./", "cp "))]
BOX = [line for line in LINES if line.startswith("install ")]  # beside a gateway
COMPOSE = [line for line in LINES if line.startswith("docker compose")]
SERVICES = docker.compose()["services"]


def test_the_page_has_nothing_but_these() -> None:
    assert len(LINES) == len(OWN) + len(BOX) + len(COMPOSE)
    assert len(OWN) >= 3


@pytest.mark.system
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here")
def test_our_own_lines_run_in_order(tmp_path: Path) -> None:
    made = docker.own_copy(tmp_path)
    for line in OWN:
        done = docker.run("sh", "-euc", line, cwd=made)
        assert done.returncode == 0, f"{line}: {done.stderr}"
    assert (made / ".env").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_bundle_is_laid_where_the_image_may_take_it(tmp_path: Path) -> None:
    (tmp_path / "XM-TA-0042.enrol").write_text("a bundle")
    for line in BOX:
        done = docker.run("sh", "-euc", line, cwd=tmp_path)
        assert done.returncode == 0, f"{line}: {done.stderr}"
    text = (docker.DOCKER / "gateway.Dockerfile").read_text("utf-8")
    for path in (tmp_path / "enrol", tmp_path / "enrol/XM-TA-0042.enrol"):
        assert f"USER {path.stat().st_uid}:" in text
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("line", COMPOSE)
def test_a_compose_line_names_services_and_secrets(line: str) -> None:
    command = shlex.split(line.partition("|")[0])
    verb, *rest = command[2:]
    named = [word for word in rest if not word.startswith("-")]
    if verb in ("build", "up"):
        assert set(named) <= {*SERVICES, "gateway"}
    elif verb == "cp":
        assert named[0].partition(":")[0] in SERVICES
    elif verb == "run":
        assert {*SERVICES, "gateway"} & set(named)
    else:
        assert verb == "exec"
        assert named[0] in SERVICES
    for secret in re.findall(r"> secrets/(\w+)", line):
        assert secret in docker.compose()["secrets"]
        assert secret in SERVICES["grafana"]["secrets"]


def test_the_viewers_token_is_got_as_the_page_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = [line for line in COMPOSE if "token add" in line]
    command, _, cut = line.partition("|")
    words = shlex.split(command)
    arguments = words[words.index("egret-aggregator") + 1 :]
    settings = (docker.DOCKER / "aggregator/aggregator.toml").read_text("utf-8")
    settings = settings.replace("/etc/egret/broker", str(tmp_path / "broker"))
    settings = settings.replace("/etc/egret", str(docker.DOCKER / "aggregator"))
    settings = settings.replace("/var/lib/egret-aggregator", str(tmp_path / "data"))
    settings = settings.replace("/run/secrets", str(docker.prepared(tmp_path) / "secrets"))
    (tmp_path / "aggregator.toml").write_text(settings)
    arguments[arguments.index("/etc/egret/aggregator.toml")] = str(tmp_path / "aggregator.toml")
    assert main(arguments) == 0
    said = capsys.readouterr().out
    (tmp_path / "said").write_text(said)
    (tmp_path / "secrets").mkdir()
    done = docker.run("sh", "-euc", f"cat said | {cut}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    token = (tmp_path / "secrets/egret_viewer_token").read_text()
    assert token == json.loads(said)["token"]
