"""Settings of the dead man's switch: wholly checked, each mistake named."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from egret_aggregator.deadman import load
from egret_aggregator.deadman.settings import WebhookSettings
from egret_core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = f"""\
[deadman]
url = "https://centre.example:8420/"
state = "state.json"
silence_s = 90
token_file = "token"
command = ["{sys.executable}", "-c", "pass"]
[deadman.webhook]
url = "https://bureau.example/hook?x=1"
token_file = "token"
"""


def written(folder: Path, text: str = GOOD) -> Path:
    (folder / "token").write_text("swordfish\n")
    path = folder / "deadman.toml"
    path.write_text(text)
    return path


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    settings = load(written(tmp_path))
    assert settings.url == "https://centre.example:8420"
    assert settings.state == tmp_path / "state.json"
    assert settings.silence_s == 90
    assert settings.command == (sys.executable, "-c", "pass")
    token = tmp_path / "token"
    assert settings.webhook == WebhookSettings("https://bureau.example/hook?x=1", token)


@pytest.mark.parametrize(
    ("right", "wrong", "key", "remedy"),
    [
        ("https://centre", "ftp://centre", "deadman.url", "http:// or https://"),
        ("https://centre", "https://a:b@centre", "deadman.url", "no password in it"),
        ("centre.example:8420/", "centre.example:port/", "deadman.url", "http://"),
        ("silence_s = 90", "silence_s = 1", "deadman.silence_s", "from 10"),
        ("silence_s", "silense_s", "deadman.silense_s", "silence_s"),
        ('state = "state.json"\n', "", "deadman.state", "missing"),
        ('= "token"\ncommand', '= "tokn"\ncommand', "deadman.token_file", "no such file"),
        (sys.executable, "python3", "deadman.command", "whole path"),
        (sys.executable, "/nonexistent/x", "deadman.command", "no such program"),
        (f'"{sys.executable}"', "7", "deadman.command", "list of text"),
        ('url = "https://bureau', 'uri = "https://bureau', "deadman.webhook.", "url"),
        ("[deadman.webhook]", "[deadman.hook]", "deadman.", "hook"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, right: str, wrong: str, key: str, remedy: str) -> None:
    assert right in GOOD
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, GOOD.replace(right, wrong, 1)))
    assert caught.value.key.startswith(key)
    assert remedy in str(caught.value)


def test_somebody_must_be_called(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, '[deadman]\nurl = "http://c"\nstate = "s"\n'))
    assert "say whom to call" in str(caught.value)
