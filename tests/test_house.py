"""The style of the house is a test: one per rule, and each rule is seen to fail on a bad file."""

from __future__ import annotations

import subprocess
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig import house

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parent.parent
TEXT = (
    *(".py", ".c", ".h", ".toml", ".md", ".ini", ".mako", ".json", ".csv", ".txt", ".sh"),
    *(".service", ".conf", ".yml", ".yaml"),
)


def listed(*arguments: str) -> list[str]:
    done = subprocess.run(
        ["git", "ls-files", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@lru_cache(maxsize=1)
def files() -> Mapping[str, str]:
    """Every text file that is, or is about to be, in the repository."""
    paths = listed("--cached", "--others", "--exclude-standard")
    return {
        path: (ROOT / path).read_text(encoding="utf-8")
        for path in sorted(set(paths))
        if (path.endswith(TEXT) or path in ("dev", ".ci/run")) and (ROOT / path).is_file()
    }


@pytest.mark.parametrize("rule", house.RULES, ids=lambda rule: rule.__name__)
def test_house_keeps(rule: Callable[[Mapping[str, str]], list[str]]) -> None:
    found = rule(files())
    assert not found, f"{rule.__doc__}\n" + "\n".join(found)


def test_house_is_read_at_all() -> None:
    assert {"dev", "README.md", "core/egret_core/codec.py", "tests/test_house.py"} <= set(files())


def test_dev_and_ci_can_be_executed() -> None:
    modes = {line.split("\t")[1]: line[:6] for line in listed("-s", "dev", ".ci/run")}
    assert modes == {"dev": "100755", ".ci/run": "100755"}, "git update-index --chmod=+x FILE"


GATEWAY = "gateway/egret_gateway/bad.py"
CORE = "core/egret_core/bad.py"
CENTRE = "aggregator/egret_aggregator/bad.py"
LONG_FUNCTION = '"""D."""\ndef f():\n' + "    x = 1\n" * 60
BOTH_MQTT = {
    "gateway/egret_gateway/uplink.py": "import aiomqtt\n",
    "aggregator/egret_aggregator/intake/mqtt.py": "import aiomqtt\n",
}

# rule, files that break it, where the finding must point
BAD: tuple[tuple[Callable[[Mapping[str, str]], list[str]], dict[str, str], str], ...] = (
    (house.file_length, {GATEWAY: "x = 1\n" * 401}, f"{GATEWAY}:401"),
    (house.file_length, {"tests/rig/slave.c": "\n" * 401}, "tests/rig/slave.c:401"),
    (house.file_median, {GATEWAY: "x = 1\n" * 151}, f"{GATEWAY}:151"),
    (house.function_length, {GATEWAY: LONG_FUNCTION}, f"{GATEWAY}:2"),
    (house.no_print, {GATEWAY: 'x = 1\nprint("x")\n'}, f"{GATEWAY}:2"),
    (house.no_naive_datetime, {GATEWAY: "datetime.now()\n"}, f"{GATEWAY}:1"),
    (house.no_naive_datetime, {GATEWAY: "datetime.datetime.utcnow()\n"}, f"{GATEWAY}:1"),
    (house.no_naive_datetime, {GATEWAY: "datetime.fromtimestamp(1)\n"}, f"{GATEWAY}:1"),
    (house.no_naive_datetime, {"tests/test_x.py": "date.today()\n"}, "tests/test_x.py:1"),
    (house.wall_clock, {CORE: "import time\nx = time.time()\n"}, f"{CORE}:2"),
    (house.wall_clock, {CORE: "now = datetime.now(tz=UTC)\n"}, f"{CORE}:1"),
    (house.wall_clock, {CENTRE: "from time import time_ns\n"}, f"{CENTRE}:1"),
    (house.wall_clock, {CENTRE: "def f(now=time.time): ...\n"}, f"{CENTRE}:1"),
    (house.no_orphan, {GATEWAY: "x = 1\n", CORE: "import os\n"}, f"{GATEWAY}:1"),
    (house.documented, {GATEWAY: "x = 1\n"}, f"{GATEWAY}:1"),
    (house.documented, {GATEWAY: '"""D."""\ndef f(): ...\n'}, f"{GATEWAY}:2"),
    (house.documented, {GATEWAY: '"""D."""\nclass A:\n  """D."""\n  def f(s): ...\n'}, ":4"),
    (house.nothing_unfinished, {"README.md": "a\nTO" + "DO: b\n"}, "README.md:2"),
    (house.no_machine_paths, {"docs/a.md": "see /ro" + "ot/x\n"}, "docs/a.md:1"),
    (house.enough_tests, {GATEWAY: "x = 1\n" * 9, "tests/test_x.py": "x = 1\n" * 8}, "tests:8"),
    (house.mqtt_in_two_files, {**BOTH_MQTT, CENTRE: "import aiomqtt\n"}, f"{CENTRE}:1"),
    (house.mqtt_in_two_files, {**BOTH_MQTT, CORE: "from paho.mqtt import client\n"}, f"{CORE}:1"),
    (house.mqtt_in_two_files, {}, "gateway/egret_gateway/uplink:1"),
    (house.sql_in_its_rooms, {CENTRE: "x = 1\nimport sqlite3\n"}, f"{CENTRE}:2"),
    (
        house.sql_in_its_rooms,
        {"aggregator/egret_aggregator/warnings/a.py": "import sqlite3\n"},
        "a.py:1",
    ),
    (house.core_is_pure, {CORE: "import asyncio\n"}, f"{CORE}:1"),
    (house.core_is_pure, {CORE: "from importlib.resources import files\n"}, f"{CORE}:1"),
    (house.core_is_pure, {CORE: "x = open('f')\n"}, f"{CORE}:1"),
    (house.dev_is_short, {"dev": "x = 1\n" * 121}, "dev:121"),
    (house.dev_is_short, {"dev": "import egret_core\n"}, "dev:1"),
    (house.dev_is_short, {}, "dev:0"),
)


@pytest.mark.parametrize(
    ("rule", "bad", "place"),
    BAD,
    ids=[f"{rule.__name__}-{number}" for number, (rule, _, _) in enumerate(BAD)],
)
def test_rule_can_fail(
    rule: Callable[[Mapping[str, str]], list[str]], bad: dict[str, str], place: str
) -> None:
    found = rule(bad)
    assert any(place in finding for finding in found), found
    assert all(";" in finding for finding in found), "no remedy named"


def test_every_rule_is_seen_to_fail() -> None:
    assert set(house.RULES) == {rule for rule, _, _ in BAD}


GOOD = {
    "gateway/egret_gateway/__init__.py": '"""G."""\nfrom . import good\n',
    "gateway/egret_gateway/good.py": (
        '"""G."""\nimport datetime\nfrom .uplink import x\nfrom egret_gateway import deep\n'
        "y = datetime.datetime.fromtimestamp(1, tz=datetime.UTC)\n"
    ),
    "gateway/egret_gateway/uplink.py": '"""U."""\nimport aiomqtt\nx = 1\n',
    "gateway/egret_gateway/deep.py": (
        '"""D."""\n\n\ndef _hidden(): ...\n\n\nclass P(Protocol):\n    """Has x."""\n\n'
        "    @property\n    def x(self) -> int: ...\n"
    ),
    "gateway/egret_gateway/clock.py": '"""C."""\nimport time\nnow = time.time()\n',
    "gateway/egret_gateway/cli.py": '"""C."""\nimport egret_gateway.clock\n',
    "aggregator/egret_aggregator/intake/mqtt.py": '"""M."""\nimport aiomqtt\n',
    "pyproject.toml": 'go = "egret_gateway.cli:main"\n"egret_aggregator.intake.mqtt"\n',
    "dev": "import sys\n",
    "tests/test_all.py": "x = 1\n" * 60,
}


@pytest.mark.parametrize("rule", house.RULES, ids=lambda rule: rule.__name__)
def test_rule_lets_good_code_pass(rule: Callable[[Mapping[str, str]], list[str]]) -> None:
    assert rule(GOOD) == []
