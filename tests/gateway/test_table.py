from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from egret_core.errors import ConfigError
from egret_gateway.table import Table, read_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def table(**data: Any) -> Table:
    return Table(data, "site.toml", "bus[0]")


@pytest.mark.parametrize(
    ("data", "ask", "remedy"),
    [
        ({"k": 1}, lambda t: t.text("k"), "quotes"),
        ({"k": "Q"}, lambda t: t.text("k", one_of=("N", "E")), "one of N, E"),
        ({"k": "ntp2"}, lambda t: t.text("k", one_of=("ntp", "rtc")), "did you mean 'ntp'"),
        ({"k": 1.0}, lambda t: t.integer("k", 0, 9), "whole number from 0 to 9"),
        ({"k": 10}, lambda t: t.integer("k", 0, 9), "from 0 to 9"),
        ({"k": True}, lambda t: t.integer("k", 0, 9), "whole number"),
        ({"k": "1"}, lambda t: t.number("k", 0, 9), "without quotes"),
        ({"k": float("nan")}, lambda t: t.number("k", 0, 9), "number"),
        ({"k": float("inf")}, lambda t: t.number("k", 0, 9), "number"),
        ({"k": True}, lambda t: t.number("k", 0, 9), "number"),
        ({"k": "yes"}, lambda t: t.flag("k", default=False), "true or false"),
        ({"k": "a"}, lambda t: t.array("k", str), "list of str"),
        ({"k": ["a", 1]}, lambda t: t.array("k", str), "list of str"),
        ({"k": [True]}, lambda t: t.array("k", float), "list of float"),
        ({"k": 1}, lambda t: t.table("k"), "[bus[0].k]"),
        ({"k": {}}, lambda t: t.tables("k"), "[[k]]"),
        ({"k": [1]}, lambda t: t.tables("k"), "[[k]]"),
        ({"k": "a b"}, lambda t: t.id("k"), "an id is"),
        ({"k": ""}, lambda t: t.id("k"), "an id is"),
        ({}, lambda t: t.text("k"), "missing: write k = ..."),
    ],
)
def test_each_wrong_type_is_told_with_its_remedy(
    data: dict[str, Any], ask: Callable[[Table], object], remedy: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        ask(table(**data))
    assert caught.value.key == "bus[0].k"
    assert caught.value.seen == data.get("k") or data.get("k") != data.get("k")
    assert remedy in caught.value.remedy


def test_what_is_right_comes_back_as_its_type() -> None:
    one = table(t="x", i=3, n=2, f=True, a=[1, 2.5], s={"b": 1}, l=[{"c": 2}, {"c": 3}])
    assert (one.text("t"), one.integer("i", 0, 9), one.flag("f", default=False)) == ("x", 3, True)
    assert isinstance(one.number("n", 0, 9), float)
    assert one.array("a", float) == [1, 2.5]
    assert one.table("s").integer("b", 0, 9) == 1
    assert [entry.integer("c", 0, 9) for entry in one.tables("l")] == [2, 3]
    assert one.tables("l")[1].path == "bus[0].l[1]"
    assert one.text("absent", "default") == "default"
    assert one.tables("none") == []
    one.done()


def test_a_key_that_nobody_knows_is_told_with_the_nearest_that_is() -> None:
    one = table(baud=9600, partiy="N")
    one.integer("baud", 0, 9600)
    one.text("parity", "N")
    with pytest.raises(ConfigError, match="did you mean 'parity'") as caught:
        one.done()
    assert caught.value.key == "bus[0].partiy"
    assert "known here: baud, parity" in caught.value.remedy


def test_a_missing_key_points_at_its_misspelling() -> None:
    with pytest.raises(ConfigError, match="is it 'stationn'"):
        table(stationn="a").text("station")
    one = table(datun="gauge", channel="wl")
    assert one.text("datum", "") == ""
    with pytest.raises(ConfigError, match=r"needs a datum \(is it 'datun'\?\)"):
        one.fail("datum", "needs a datum")


def test_a_file_is_read_whole_and_shown_as_the_user_named_it(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('name = "x"\n')
    assert read_table(path, "shown.toml").file == "shown.toml"
    path.write_text("name = \n")
    with pytest.raises(ConfigError, match=r"shown\.toml: .*line 1"):
        read_table(path, "shown.toml")
