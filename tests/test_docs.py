"""What the pages say is so: commands run, links lead somewhere, settings are all explained."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import pytest

from egret_aggregator import catalogue
from egret_aggregator import config as centre
from egret_aggregator.deadman import settings as deadman
from egret_gateway import config as gateway
from egret_gateway import profiles

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], key=lambda page: page.as_posix()
)
LIMIT_S = 180
FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<to>[^)\s]+)\)")

# A test cannot run all tests again, and the demo has a test of its own (tests/system).
STAND_INS = {
    "./dev test": "./dev test --collect-only -q tests/test_docs.py",
    "./dev demo": "./dev demo --help",
}


class Block(NamedTuple):
    """One fenced block of a page."""

    page: str
    info: str
    body: str


def blocks(info: str) -> list[Block]:
    return [
        Block(page.relative_to(ROOT).as_posix(), match["info"], match["body"])
        for page in PAGES
        for match in FENCE.finditer(page.read_text(encoding="utf-8"))
        if match["info"] == info
    ]


def named(found: list[Block]) -> list[str]:
    return [f"{block.page}-{number}" for number, block in enumerate(found)]


SH = blocks("sh")


@pytest.mark.system
@pytest.mark.parametrize("block", SH, ids=named(SH))
def test_commands_run(block: Block) -> None:
    script = "\n".join(STAND_INS.get(line, line) for line in block.body.splitlines())
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, f"{block.page}\n{script}\n{done.stdout}{done.stderr}"


def test_every_block_has_a_kind_that_is_tested() -> None:
    kinds = {match["info"] for page in PAGES for match in FENCE.finditer(page.read_text("utf-8"))}
    assert kinds <= {"sh", "sh demo", "sh production", "toml", "text"}
    assert len(SH) >= 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for match in LINK.finditer(text):
        target, _, anchor = match["to"].partition("#")
        if target.startswith(("http:", "https:")):
            continue
        place = (page.parent / target).resolve() if target else page
        assert place.exists(), f"{page.name}: {match['to']}"
        assert place.is_relative_to(ROOT), f"{page.name}: {match['to']} leaves the repository"
        if anchor:
            assert anchor in anchors(place), f"{page.name}: {match['to']}"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in headings}


def settings_block(section: str) -> str:
    page = (ROOT / "docs/operator/settings.md").read_text(encoding="utf-8")
    return next(
        match["body"]
        for match in FENCE.finditer(page, page.index(section))
        if match["info"] == "toml"
    )


def test_the_gateways_settings_page_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(settings_block("## The gateway"), encoding="utf-8")
    config = gateway.load(path)
    assert [meta.channel for meta in config.channels()] == ["wl"]


def test_the_centres_settings_page_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "aggregator.toml"
    path.write_text(settings_block("## The centre"), encoding="utf-8")
    config = centre.load(path)
    # What the page shows for a key that may be left out is what leaving it out gives.
    assert config.broker == centre.BrokerSettings()
    assert config.journal == centre.JournalSettings()
    assert config.database == centre.DatabaseSettings()
    assert config.store == centre.StoreSettings()
    assert config.api == centre.ApiSettings()
    assert config.retention == centre.RetentionSettings()


def test_the_dead_mans_settings_page_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "deadman.toml"
    path.write_text(settings_block("## The dead man's switch"), encoding="utf-8")
    config = deadman.load(path)
    assert config.silence_s == deadman.DeadmanSettings("u", path).silence_s


def test_the_catalogue_on_the_settings_page_is_accepted(tmp_path: Path) -> None:
    for name in ("stations.toml", "rules.toml"):
        (tmp_path / name).write_text(settings_block(f"### `catalogue/{name}`"), encoding="utf-8")
    found = catalogue.load(tmp_path)
    assert {"river-level", "rain", "silence"} <= {rule.id for rule in found.rules}


GATEWAY_KEYS = (
    gateway.BrokerSettings,
    gateway.OutboxSettings,
    gateway.ClockSettings,
    gateway.BusSettings,
    profiles.DeviceSettings,
    profiles.ChannelSettings,
    gateway.GatewayConfig,
)
CENTRE_KEYS = (
    centre.BrokerSettings,
    centre.EnrolmentSettings,
    centre.JournalSettings,
    centre.DatabaseSettings,
    centre.StoreSettings,
    centre.ApiSettings,
    centre.RetentionSettings,
    centre.CentreConfig,
)
DEADMAN_KEYS = (deadman.DeadmanSettings, deadman.WebhookSettings)
# Fields whose key has another name, or that are no key.
RENAMED = {
    "gateway": "id",
    "buses": "bus",
    "devices": "device",
    "timescale": "scaled",
    "operator": "range",
    "item": "channels",
    "file": "",
    "data_bits": "",
}


@pytest.mark.parametrize(
    ("section", "kinds"),
    [
        ("## The gateway", GATEWAY_KEYS),
        ("## The centre", CENTRE_KEYS),
        ("## The dead man's switch", DEADMAN_KEYS),
    ],
    ids=["gateway", "centre", "deadman"],
)
def test_every_setting_is_explained(section: str, kinds: tuple[type, ...]) -> None:
    page = (ROOT / "docs/operator/settings.md").read_text(encoding="utf-8")
    text = settings_block(section) + page[page.index("## A scaled clock") :]
    for kind in kinds:
        for field in fields(kind):
            key = RENAMED.get(field.name, field.name)
            assert re.search(rf"\b{key}\b", text), f"{kind.__name__}.{field.name}: not on the page"


def test_toml_blocks_are_toml() -> None:
    for block in blocks("toml"):
        tomllib.loads(block.body)


def test_the_readme_is_short_and_shows_true_output() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert "@@" not in text


def test_every_decision_is_listed_and_whole() -> None:
    folder = ROOT / "docs/decisions"
    listed = (folder / "README.md").read_text(encoding="utf-8")
    for page in sorted(folder.glob("0*.md")):
        assert page.name in listed
        text = page.read_text(encoding="utf-8")
        for part in ("Context", "Decision", "Consequences", "Alternatives", "In the code"):
            assert f"\n## {part}\n" in text, f"{page.name}: no {part}"
