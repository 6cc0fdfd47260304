"""`[store]`: which store, and no secret in what is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from egret_aggregator.store import SqliteStore, chosen
from egret_aggregator.store.influx import InfluxStore
from egret_aggregator.store.settings import StoreSettings, read
from egret_aggregator.toml_table import TomlTable
from egret_core.errors import ConfigError

FILE = {"token_file": "token"}
URL = "http://127.0.0.1:8086"


def given(**keys: object) -> StoreSettings:
    return read(TomlTable("/etc/egret/centre.toml", "store", keys))


def refusal(**keys: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        given(**keys)
    return caught.value


def test_sqlite_is_what_nothing_gives() -> None:
    assert given() == given(kind="sqlite") == StoreSettings()
    assert isinstance(chosen.store(StoreSettings(), Path("/data")), SqliteStore)


def test_influx_needs_an_address_and_has_names_for_the_rest() -> None:
    found = given(kind="influx", url=f"{URL}/", **FILE)
    assert found == StoreSettings("influx", URL, "egret", "-", Path("/etc/egret/token"))
    assert isinstance(chosen.store(found, Path("/data")), InfluxStore)
    assert refusal(kind="influx").key == "store.url"


def test_keys_of_the_other_kind_are_refused() -> None:
    error = refusal(url=URL)
    assert (error.key, "kind = 'influx'" in error.remedy) == ("store.url", True)
    assert refusal(kind="sqlite", **FILE).key == "store.token_file"


def test_a_misspelt_kind_is_told_before_the_rest() -> None:
    assert "did you mean 'kind'?" in refusal(kidn="influx", url=URL).remedy


def test_a_name_has_a_limit() -> None:
    error = refusal(kind="influx", url=URL, bucket="b" * 201)
    assert (error.key, error.seen) == ("store.bucket", "b" * 200)


def test_a_certificate_is_for_https() -> None:
    error = refusal(kind="influx", url=URL, ca_file="ca.pem")
    assert (error.key, "https" in error.remedy) == ("store.ca_file", True)
    found = given(kind="influx", url="https://series", ca_file="ca.pem")
    assert found.ca_file == Path("/etc/egret/ca.pem")


@pytest.mark.parametrize(
    "url",
    ["http://egret:hunter2@series", "https://hunter2@series/", "http://:hunter2@series:8086/a"],
)
def test_a_password_in_the_address_is_refused_and_not_shown(url: str) -> None:
    error = refusal(kind="influx", url=url)
    assert "hunter2" not in str(error)
    assert (error.key, "token_file" in error.remedy) == ("store.url", True)
