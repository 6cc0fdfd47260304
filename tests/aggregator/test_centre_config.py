"""Settings: every key is checked, and an error names file, key, value and remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from egret_aggregator.config import load
from egret_core.errors import ConfigError
from egret_core.timescale import REAL, Timescale

if TYPE_CHECKING:
    from pathlib import Path

CENTRE = '[centre]\ndata = "data"\ncatalogue = "/etc/egret/catalogue"\n'
SCALED = "[clock.scaled]\nscale = 60\nfrom_ms = 1000\nto_ms = 2000\n"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "centre.toml"
    path.write_text(text)
    return path


def test_the_least_there_can_be(tmp_path: Path) -> None:
    config = load(written(tmp_path, CENTRE))
    assert config.data == tmp_path / "data"  # relative to the file it stands in
    assert str(config.catalogue) == "/etc/egret/catalogue"
    assert (config.broker.embedded, config.broker.port) == (True, 1883)
    assert (config.api.host, config.api.port, config.api.page_max) == ("127.0.0.1", 8420, 1000)
    assert (config.journal.max_mb, config.journal.keep_days) == (8192, 7.0)
    assert config.timescale == REAL


def test_everything_there_is(tmp_path: Path) -> None:
    text = (
        CENTRE
        + '[broker]\nembedded = false\nhost = "127.0.0.1"\nport = 2883\nusername = "u"\n'
        + 'password_file = "secret"\n[journal]\nmax_mb = 100\nkeep_days = 1\n'
        + '[api]\nhost = "::1"\nport = 0\npage_max = 5\nspan_max_days = 2\nbody_max_kb = 3\n'
        + SCALED
    )
    config = load(written(tmp_path, text))
    assert config.broker.password_file == tmp_path / "secret"
    assert (config.broker.embedded, config.broker.username) == (False, "u")
    assert (config.journal.max_mb, config.journal.keep_days) == (100, 1.0)
    assert (config.api.port, config.api.body_max_kb) == (0, 3)
    assert config.timescale == Timescale(60, 1000, 2000)


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("", "centre.data", "is missing"),
        ("[centre]\ndata = 5\n", "centre.data", "text"),
        ('[centre]\ndata = ""\n', "centre.data", "name a folder"),
        (CENTRE + "[brocker]\nport = 1\n", "brocker", "did you mean 'broker'?"),
        (CENTRE + "[broker]\nprot = 1\n", "broker.prot", "did you mean 'port'?"),
        (CENTRE + "[broker]\nzzz = 1\n", "broker.zzz", "known here: password_file, ca_file"),
        (CENTRE + '[broker]\nport = "1883"\n', "broker.port", "a whole number"),
        (CENTRE + "[broker]\nport = 0\n", "broker.port", "from 1 to 65535"),
        (CENTRE + "[broker]\nport = true\n", "broker.port", "a whole number"),
        (CENTRE + "[broker]\nembedded = 1\n", "broker.embedded", "true or false"),
        (CENTRE + "[journal]\nmax_mb = 0\n", "journal.max_mb", "from 1"),
        (CENTRE + "[journal]\nkeep_days = nan\n", "journal.keep_days", "from 0.01"),
        (CENTRE + "[api]\npage_max = 100000\n", "api.page_max", "to 10000"),
        (CENTRE + "[api]\nspan_max_days = -1\n", "api.span_max_days", "from 0.01"),
        (CENTRE + "[clock]\nscale = 5\n", "clock.scale", "did you mean 'scaled'?"),
        (CENTRE + "[clock.scaled]\nscale = 121\n", "clock.scaled.scale", "from 1 to 120"),
        (CENTRE + "[clock.scaled]\nscale = 60\n", "clock.scaled.from_ms", "is missing"),
        (CENTRE + '[broker]\nhost = "mqtt.example"\n' + SCALED, "clock.scaled", "127.0.0.1"),
        ('broker = "x"\n' + CENTRE, "broker", "[broker]"),
        ("[centre", "file", "valid TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, key: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    error = caught.value
    assert (error.file, error.key) == (str(path), key)
    assert words in error.remedy
    assert str(path) in str(error)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name a file that exists"):
        load(tmp_path / "nothing.toml")
    with pytest.raises(ConfigError, match="Is a directory"):
        load(tmp_path)
    path = tmp_path / "bytes.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(path)
    path.write_bytes(b"#" * (4 * 1024 * 1024 + 1))
    with pytest.raises(ConfigError, match="at most"):
        load(path)
