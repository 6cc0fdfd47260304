"""The README's production section without a chroot: what it names is there, and it starts right."""

from __future__ import annotations

import re
import shlex
import tomllib
from typing import TYPE_CHECKING

import pytest
from rig.bare_debian import ROOT
from rig.production import LINES, NAME, left, of_the_machine, section, started

from egret_aggregator import config
from egret_gateway import config as gateway

if TYPE_CHECKING:
    from pathlib import Path

PROGRAMS = {
    *("apt-get", "python3", "/opt/egret/bin/pip", "ln", "install", "cp", "cat", "curl"),
    *("systemd-sysusers", "systemctl", "runuser", "egret-gateway"),
}
CENTRE = ROOT / "firmware-config/centre/aggregator.toml"


def test_a_line_is_one_command_of_a_known_program() -> None:
    assert len(LINES) >= 20
    assert {shlex.split(line)[0] for line in LINES} == PROGRAMS
    assert not [line for line in LINES if line.endswith("\\") or "<<" in line]


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"(?:firmware-config|docker)/\S+", "\n".join(LINES))))
)
def test_what_is_laid_on_the_machine_is_there(name: str) -> None:
    assert list(ROOT.glob(name)), name


def test_every_unit_is_laid_and_what_is_started_is_one() -> None:
    units = {path.stem for path in (ROOT / "firmware-config/systemd").glob("egret-*.service")}
    names = [name for line in LINES for name in started(line)]
    assert names == ["egret-broker.path", "mosquitto", "egret-aggregator", "egret-gateway"]
    assert {name.partition(".")[0] for name in names} - {"mosquitto"} <= units


def test_which_lines_start_something() -> None:
    assert started("systemctl enable --now a.path b") == ["a.path", "b"]
    assert started("systemctl restart mosquitto") == ["mosquitto"]
    for line in ("systemctl enable a", "systemctl daemon-reload", "echo systemctl restart a"):
        assert started(line) == []
    assert left("systemctl enable --now a.path b") == "systemctl enable a.path b"
    assert left("systemctl restart mosquitto") == left("systemctl daemon-reload") == "true"
    assert left("echo --now") == "echo --now"


def test_the_sections_blocks_are_told_from_others() -> None:
    text = "```sh\na\n```\n```sh production\nb\nc\n```\n\n```sh production\nd\n```\n"
    assert section(text) == ["b", "c", "d"]


def test_the_centres_settings_are_accepted_and_bear_the_name() -> None:
    settings = config.load(CENTRE)
    assert settings.enrolment is not None
    assert settings.enrolment.host == NAME
    assert settings.store.url == "http://127.0.0.1:8086"
    assert f"put yours in the place of `{NAME}`" in (ROOT / "README.md").read_text("utf-8")


def test_the_lines_of_the_gateway_complete_what_enrol_writes(tmp_path: Path) -> None:
    text = (ROOT / "firmware-config/sites/stage.toml").read_text("utf-8")
    assert set(tomllib.loads(text)) == {"bus"}
    path = tmp_path / "gateway.toml"
    path.write_text(f'[gateway]\nid = "XM-TA-0042"\ndata = "{tmp_path}"\n{text}')
    assert [meta.station for meta in gateway.load(path).channels()] == ["st0007"]


def test_only_the_machines_own_ills_are_passed_over() -> None:
    assert of_the_machine(
        "ok    broker        x\nlook  clock         y\n      - a\n        do: b\n"
    )
    for said in ("ok    clock         y\n", "look  clock         y\nlook  broker        z\n", ""):
        assert not of_the_machine(said)
