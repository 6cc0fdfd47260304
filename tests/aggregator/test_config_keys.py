"""Each key of the centre's settings in turn: missing, of a wrong type, out of range, misspelt."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_aggregator.config import (
    ApiSettings,
    BrokerSettings,
    DatabaseSettings,
    JournalSettings,
    load,
)
from egret_aggregator.enrolment.settings import EnrolmentSettings
from egret_aggregator.store.settings import StoreSettings
from egret_aggregator.toml_table import TomlTable
from egret_core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


class Key(NamedTuple):
    """One key: its table, a good value, values of a wrong type, and ones out of range."""

    table: str
    name: str
    good: object
    wrong: tuple[object, ...]
    outside: tuple[object, ...] = ()


TEXT = (5, 1.5, True, ["a"], {"a": 1})
WHOLE = ("5", 1.5, True, [5], {"a": 1})
NUMBER = ("5", True, [5], {"a": 1})
FLAG = (1, 0, "true", [True])
KEYS = (
    Key("centre", "data", "data", TEXT, ("",)),
    Key("centre", "catalogue", "catalogue", TEXT, ("",)),
    Key("broker", "embedded", False, FLAG),
    Key("broker", "host", "127.0.0.1", TEXT, ("", " ", "a b", "127.0.0.1\n")),
    Key("broker", "port", 1883, WHOLE, (0, -1, 65_536)),
    Key("broker", "username", "u", TEXT),
    Key("broker", "password_file", "secret", TEXT, ("",)),
    Key("broker", "ca_file", "ca.pem", TEXT, ("",)),
    Key("broker", "cert_file", "centre.pem", TEXT, ("",)),
    Key("broker", "key_file", "centre.key", TEXT, ("",)),
    Key("enrolment", "host", "localhost", TEXT, ("", " ", "a b", "a	")),
    Key("enrolment", "folder", "accounts", TEXT, ("",)),
    Key("enrolment", "names", ["127.0.0.1"], ("a", 5, True, {"a": 1})),
    Key("enrolment", "broker", "mosquitto", TEXT, ("emqx", "")),
    Key("enrolment", "by", "certificate", TEXT, ("token", "")),
    Key("enrolment", "days", 400, NUMBER, (0, -1, 3651)),
    Key("enrolment", "bundle_days", 3, NUMBER, (0, -1, 61)),
    Key("enrolment", "overlap_h", 0, NUMBER, (-1, 8761)),
    Key("enrolment", "broker_data", "/mosquitto/data", TEXT, ("data", "/a b", "/a\nb")),
    Key("enrolment", "reload", ["true"], ("a", 5, True, {"a": 1})),
    Key("journal", "max_mb", 64, WHOLE, (0, -5, 1024 * 1024 + 1)),
    Key("journal", "keep_days", 7.5, NUMBER, (0, 0.009, 3651, float("inf"), float("nan"))),
    Key(
        "database",
        "url",
        "postgresql://egret@db/egret",
        TEXT,
        (
            *("mysql://egret@db/egret", "postgresql://db/egret", "postgresql://egret@db"),
            *("postgresql://egret@db/a/b", "postgresql://egret@/egret", "postgresql://e@db:x/e"),
            "postgresql://egret@db/egret?sslmod=require",
        ),
    ),
    Key("database", "password_file", "secret", TEXT, ("",)),
    Key("store", "kind", "influx", TEXT, ("", "postgresql", "Influx")),
    Key(
        "store",
        "url",
        "https://series.example:8086/influx",
        TEXT,
        (
            "",
            "series:8086",
            "ftp://a",
            "http://",
            "http://a:x",
            "http://a b",
            "http://a/?q",
            "http://a/#x",
        ),
    ),
    Key("store", "bucket", "egret/autogen", TEXT, ("", "a\nb")),
    Key("store", "org", "city", TEXT, ("", "a\tb")),
    Key("store", "token_file", "token", TEXT, ("",)),
    Key("store", "ca_file", "ca.pem", TEXT, ("",)),
    # The empty name would listen on every address of the machine.
    Key("api", "host", "::1", TEXT, ("", " ", "\t")),
    Key("api", "port", 0, WHOLE, (-1, 65_536)),
    Key("api", "page_max", 5, WHOLE, (0, 10_001)),
    Key("api", "span_max_days", 2, NUMBER, (0, -1, 4001, float("inf"), float("nan"))),
    Key("api", "body_max_kb", 3, WHOLE, (0, 10_241)),
    Key("clock.scaled", "scale", 60, NUMBER, (0, 0.5, 121, float("nan"))),
    Key("clock.scaled", "from_ms", 1, WHOLE, (-1, 4_102_444_800_001)),
    Key("clock.scaled", "to_ms", 1, WHOLE, (-1, 4_102_444_800_001)),
)
NEEDED = {"centre.data", "centre.catalogue", "store.url", "enrolment.host"} | {
    f"clock.scaled.{n}" for n in ("scale", "from_ms")
}


def toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\n", "\\n").replace("\t", "\\t") + '"'
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {toml(v)}" for k, v in value.items()) + " }"
    return str(value)


def whole_file(**changed: object) -> str:
    """Return a file with every key; `table.name` is changed, or left out where it is None."""
    tables: dict[str, dict[str, object]] = {}
    for key in KEYS:
        tables.setdefault(key.table, {})[key.name] = key.good
    for path, value in changed.items():
        table, _, name = path.rpartition(".")
        tables[table][name] = value
    return "".join(
        f"[{table}]\n"
        + "".join(f"{name} = {toml(value)}\n" for name, value in keys.items() if value is not None)
        for table, keys in tables.items()
    )


def refusal(tmp_path: Path, text: str) -> ConfigError:
    path = tmp_path / "centre.toml"
    path.write_text(text)
    tomllib.loads(text)  # it is TOML: what is wrong with it is ours to say
    with pytest.raises(ConfigError) as caught:
        load(path)
    error = caught.value
    assert error.file == str(path)
    assert error.remedy
    for word in (str(path), error.key, error.remedy):
        assert word in str(error)
    return error


def cases(*, outside: bool) -> list[Any]:
    return [
        pytest.param(key, value, id=f"{key.table}.{key.name}={value!r}")
        for key in KEYS
        for value in (key.outside if outside else key.wrong)
    ]


def test_the_whole_file_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "centre.toml"
    path.write_text(whole_file())
    assert load(path).api.host == "::1"


def test_no_setting_is_left_out_here() -> None:
    told = {(key.table, key.name) for key in KEYS}
    for table, kind in (
        ("broker", BrokerSettings),
        ("journal", JournalSettings),
        ("database", DatabaseSettings),
        ("store", StoreSettings),
        ("api", ApiSettings),
        ("enrolment", EnrolmentSettings),
    ):
        assert {name for of, name in told if of == table} == {item.name for item in fields(kind)}


@pytest.mark.parametrize(("key", "value"), cases(outside=False))
def test_a_wrong_type_is_named(tmp_path: Path, key: Key, value: object) -> None:
    error = refusal(tmp_path, whole_file(**{f"{key.table}.{key.name}": value}))
    assert (error.key, error.seen) == (f"{key.table}.{key.name}", value)
    assert error.remedy.startswith("write ")


@pytest.mark.parametrize(("key", "value"), cases(outside=True))
def test_a_value_out_of_range_is_named(tmp_path: Path, key: Key, value: object) -> None:
    error = refusal(tmp_path, whole_file(**{f"{key.table}.{key.name}": value}))
    assert error.key == f"{key.table}.{key.name}"
    assert repr(error.seen) == repr(float(value) if isinstance(error.seen, float) else value)  # type: ignore[arg-type]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key.table}.{key.name}")
def test_a_misspelt_key_is_told_the_right_one(tmp_path: Path, key: Key) -> None:
    swapped = key.name[:-2] + key.name[-1] + key.name[-2]
    wrong = swapped if len(key.name) > 2 else key.name + key.name[-1]
    path = f"{key.table}.{key.name}"
    error = refusal(
        tmp_path,
        whole_file(**{path: key.good if path in NEEDED or key.name == "to_ms" else None}).replace(
            f"[{key.table}]\n", f"[{key.table}]\n{wrong} = {toml(key.good)}\n"
        ),
    )
    assert error.key == f"{key.table}.{wrong}"
    assert f"did you mean {key.name!r}?" in error.remedy


@pytest.mark.parametrize("path", sorted(NEEDED))
def test_a_needed_key_that_is_missing_is_named(tmp_path: Path, path: str) -> None:
    error = refusal(tmp_path, whole_file(**{path: None}))
    assert (error.key, "is missing" in error.remedy) == (path, True)


@pytest.mark.parametrize(
    "table", ["centre", "broker", "journal", "database", "store", "api", "clock"]
)
def test_a_table_that_is_none_is_named(tmp_path: Path, table: str) -> None:
    rest = "" if table == "centre" else '[centre]\ndata = "d"\ncatalogue = "c"\n'
    for value in ("5", '"x"', "[1]", "true"):
        error = refusal(tmp_path, f"{table} = {value}\n{rest}")
        assert (error.key, f"[{table}]" in error.remedy) == (table, True)


@pytest.mark.parametrize("table", ["brokr", "Journal", "apis", "centre2", "clocks"])
def test_a_table_that_nobody_knows_is_refused(tmp_path: Path, table: str) -> None:
    error = refusal(tmp_path, whole_file() + f"[{table}]\n")
    assert error.key == table
    assert "did you mean" in error.remedy


def test_a_scaled_clock_stays_on_this_machine(tmp_path: Path) -> None:
    error = refusal(tmp_path, whole_file(**{"broker.host": "10.0.0.9"}))
    assert (error.key, error.seen) == ("clock.scaled", "10.0.0.9")


@pytest.mark.parametrize(
    "url",
    ["postgresql://egret:hunter2@db/egret", "postgresql://egret@db/egret?password=hunter2"],
)
def test_a_password_in_the_url_is_refused_and_not_shown(tmp_path: Path, url: str) -> None:
    error = refusal(tmp_path, whole_file(**{"database.url": url}))
    assert (error.key, "password_file" in error.remedy) == ("database.url", True)
    assert "hunter2" not in f"{error} {error.seen}"


def test_a_password_without_a_database_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, whole_file(**{"database.url": None}))
    assert (error.key, "name a url" in error.remedy) == ("database.password_file", True)


def test_a_relative_folder_starts_where_the_file_is(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    path = tmp_path / "deep" / "centre.toml"
    path.write_text(whole_file(**{"centre.data": "../data"}))
    assert load(path).data.resolve() == (tmp_path / "data").resolve()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=3,
)


@given(st.dictionaries(st.sampled_from(["text", "flag", "whole", "number", "other"]), VALUES))
def test_a_table_gives_what_was_asked_for_or_says_why_not(values: dict[str, Any]) -> None:
    table, refused = TomlTable("f.toml", "a.b", values), None
    read: tuple[Any, ...] = ()
    try:
        read = (
            table.text("text", "x"),
            table.flag("flag", default=True),
            table.whole("whole", 5, 0, 9),
            table.number("number", 5.0, 0.0, 9.0),
        )
        table.done()
    except ConfigError as error:
        refused = error
    if refused is not None:
        assert (refused.file, refused.key[:4]) == ("f.toml", "a.b.")
        return
    assert [type(item) for item in read] == [str, bool, int, float]
    assert 0 <= read[2] <= 9
    assert 0.0 <= read[3] <= 9.0
    assert "other" not in values


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("raw_days = 10\nten_min_days = 5", "ten_min_days"),
        ("ten_min_days = 5", "ten_min_days"),
        ("raw_days = 1\nten_min_days = 5\nhour_days = 4", "hour_days"),
        ("raw_days = -1", "raw_days"),
        ("raw_days = 1.5", "raw_days"),
        ("day = 1", "day"),
    ],
)
def test_retention_keeps_what_is_coarser_at_least_as_long(
    tmp_path: Path, text: str, key: str
) -> None:
    path = tmp_path / "centre.toml"
    path.write_text(f'[centre]\ndata = "d"\ncatalogue = "c"\n[retention]\n{text}\n')
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.key == f"retention.{key}"
