"""The Dockerfiles: pinned, small in rights, and their own lines run without a docker."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from rig import docker_folder as docker

if TYPE_CHECKING:
    from pathlib import Path

FILES = ("aggregator.Dockerfile", "gateway.Dockerfile")
BASE = re.compile(r"python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}( AS build)?")
IGNORED = (docker.ROOT / ".dockerignore").read_text("utf-8").splitlines()


def texts(name: str, step: str) -> list[str]:
    return [text for kind, text in docker.steps(name) if kind == step]


@pytest.mark.parametrize("name", FILES)
def test_an_image_is_pinned_and_runs_as_nobody(name: str) -> None:
    bases = texts(name, "FROM")
    assert len(bases) == 2
    assert all(BASE.fullmatch(base) for base in bases), bases
    assert len({base.removesuffix(" AS build") for base in bases}) == 1
    assert texts(name, "USER") == ["10001:10001"]
    kinds = [kind for kind, _ in docker.steps(name)]
    assert kinds.index("USER") > kinds.index("COPY")
    for kind in ("HEALTHCHECK", "ENTRYPOINT", "CMD"):
        assert kinds.count(kind) == 1
    assert "curl" not in (docker.DOCKER / name).read_text("utf-8")


@pytest.mark.parametrize("name", FILES)
def test_uv_is_the_one_that_dev_fetches(name: str) -> None:
    dev = (docker.ROOT / "dev").read_text("utf-8")
    (version,) = re.findall(r'^UV_VERSION = "(.*)"$', dev, re.MULTILINE)
    (install,) = [text for text in texts(name, "RUN") if "pip install" in text]
    assert install.endswith(f" uv=={version}")


@pytest.mark.parametrize("name", FILES)
def test_what_is_copied_is_there_and_let_through(name: str) -> None:
    for text in texts(name, "COPY"):
        if text.startswith("--from"):
            continue
        *sources, _ = text.split()
        for source in sources:
            assert (docker.ROOT / source).exists()
            assert f"!{source}" in IGNORED
    assert IGNORED[1] == "*"


def test_the_platforms_are_those_that_the_files_name() -> None:
    bake = json.loads((docker.DOCKER / "docker-bake.json").read_text("utf-8"))
    version = re.search(
        r'^version = "(.*)"$', (docker.ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert version is not None
    for name in FILES:
        target = bake["target"][name.partition(".")[0]]
        text = (docker.DOCKER / name).read_text("utf-8")
        assert target["dockerfile"] == f"docker/{name}"
        (named,) = re.findall(r"^# Platforms: ([^.:]*)", text, re.MULTILINE)
        assert named == ", ".join(target["platforms"])
        assert target["tags"] == [f"egret-{name.partition('.')[0]}:{version[1]}"]


class Built:
    """What the build stage would make: its COPY and uv lines, in a folder."""

    def __init__(self, name: str, folder: Path) -> None:
        source, self.venv = folder / "src", folder / "egret"
        source.mkdir(parents=True)
        for text in texts(name, "COPY"):
            if text.startswith("--from"):
                continue
            *parts, _ = text.split()
            for part in parts:
                self._copy(docker.ROOT / part, source / part)
        (line,) = [text for text in texts(name, "RUN") if "uv sync" in text]
        env = dict(pair.split("=") for pair in texts(name, "ENV")[0].split())
        assert env["UV_PROJECT_ENVIRONMENT"] == "/opt/egret"
        env["UV_PROJECT_ENVIRONMENT"] = str(self.venv)
        done = self.run("sh", "-c", line, cwd=source, UV_PYTHON=sys.executable, **env)
        assert done.returncode == 0, done.stderr

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)

    def run(
        self, *command: str | Path, cwd: Path | None = None, **more: str
    ) -> subprocess.CompletedProcess[str]:
        env = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
        own = docker.ROOT / ".uv/bin"
        env["PATH"] = os.pathsep.join([str(self.venv / "bin"), env["PATH"], str(own)])
        env.setdefault("UV_SYSTEM_CERTS", "1")
        return subprocess.run(
            command,
            cwd=cwd or "/",
            env={**env, **more},
            capture_output=True,
            text=True,
            timeout=docker.LIMIT_S,
            check=False,
        )

    def has(self, module: str) -> bool:
        return self.run("python", "-c", f"import {module}").returncode == 0


def healthcheck(name: str) -> list[str]:
    (text,) = texts(name, "HEALTHCHECK")
    command: list[str] = json.loads(text[text.index("[") :])
    return command


@pytest.mark.system
def test_the_aggregators_image_reads_its_settings(tmp_path: Path) -> None:
    built = Built(FILES[0], tmp_path)
    settings = (docker.DOCKER / "aggregator/aggregator.toml").read_text("utf-8")
    settings = settings.replace("/etc/egret/broker", str(tmp_path / "broker"))
    settings = settings.replace("/etc/egret", str(docker.DOCKER / "aggregator"))
    settings = settings.replace("/run/secrets", str(docker.prepared(tmp_path) / "secrets"))
    (tmp_path / "aggregator.toml").write_text(settings)
    done = built.run("egret-aggregator", "ca", "init", tmp_path / "aggregator.toml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "broker/mosquitto.conf").exists()
    done = built.run("egret-aggregator", "check", tmp_path / "aggregator.toml", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert built.has("influxdb_client")
    assert built.has("asyncpg")
    assert not built.has("pytest")
    assert not (built.venv / "bin/nats-server").exists(), "the broker is a service of its own"
    # Nobody listens: the health check says so.
    assert built.run(*healthcheck(FILES[0])).returncode == 1


@pytest.mark.system
def test_the_gateways_image_reads_its_settings_and_profiles(tmp_path: Path) -> None:
    built = Built(FILES[1], tmp_path)
    text = (docker.DOCKER / "gateway/gateway.toml").read_text("utf-8")
    settings = tmp_path / "gateway.toml"
    settings.write_text(text.replace("/var/lib/egret-gateway", str(tmp_path / "data")))
    (tmp_path / "data/credentials").mkdir(parents=True)
    (tmp_path / "data/credentials/XM-TA-0042.1.password").write_text("as enrol wrote it")
    shutil.copy(docker.prepared(tmp_path) / "ca/ca.pem", tmp_path / "data/ca.pem")
    done = built.run("egret-gateway", "check", settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not built.has("fastapi"), "the gateway's dependencies alone"
    # Nobody runs: the health check says so.
    command = [
        part.replace("/etc/egret/gateway.toml", str(settings)) for part in healthcheck(FILES[1])
    ]
    assert command[:2] == ["egret-gateway", "status"]
    done = built.run(*command)
    assert done.returncode == 3, done.stdout + done.stderr


def test_settings_in_docker_are_those_of_the_image() -> None:
    settings: dict[str, Any] = tomllib.loads(
        (docker.DOCKER / "aggregator/aggregator.toml").read_text("utf-8")
    )
    places = {settings["centre"]["data"], settings["enrolment"]["folder"]}
    assert places == set(texts(FILES[0], "VOLUME")[0].split())
    assert str(settings["api"]["port"]) in texts(FILES[0], "EXPOSE")
    assert f"127.0.0.1:{settings['api']['port']}/healthz" in " ".join(healthcheck(FILES[0]))
    assert settings["broker"]["host"] in docker.compose()["services"]
