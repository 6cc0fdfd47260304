"""Fusion, the full truth table (D14): red needs two, what is missing lowers nothing."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from rig.jointbook import COLOURS, again, held

from egret_core.errors import ConfigError
from egret_core.rules.fusion import Fusion, independent, law
from egret_core.rules.joint import Input

AT = ("rules.toml", "rule[0].parameters")
GIVEN = {"levels": list(COLOURS), "confirm": "red", "confirm_by": "either", "stale_s": 10800.0}
RED = 4


def given_inputs(*rows: tuple[str, str]) -> list[Input]:
    """Return inputs by line of evidence and station."""
    return [
        Input(line, f"{line}@1", f"{station}/x", line, COLOURS, (station, "x"))
        for line, station in rows
    ]


# angle and inverse velocity on one crack meter, angle on a second one, rain
SLOPE = given_inputs(("angle", "st1"), ("velocity", "st1"), ("angle", "st2"), ("rain", "st3"))

BLACK = [replace(one, levels=("red", "black")) for one in SLOPE]


def defined(ranks: tuple[int, ...], rows: list[Input], by: str) -> int:
    """Return the level by the words of the rule, level by level from the top."""
    for rank in range(RED, 0, -1):
        at = [one for one, have in zip(rows, ranks, strict=True) if have >= rank]
        two_lines = len({one.line for one in at}) >= 2
        two_sensors = len({one.subject for one in at}) >= 2
        enough = {"lines": two_lines, "sensors": two_sensors, "either": two_lines or two_sensors}
        if at and (rank < RED or enough[by]):
            return rank
    return 0


@pytest.mark.parametrize("by", ["lines", "sensors", "either"])
def test_truth_table_red_needs_two(by: str) -> None:
    made = law(AT, {**GIVEN, "confirm_by": by}, SLOPE)
    for ranks in itertools.product(range(5), repeat=4):
        found = made.make().judge(0, held(*ranks))
        assert found == defined(ranks, SLOPE, by), ranks
        assert found is not None
        assert found >= min(max(ranks), RED - 1), "one alone gives everything below red"


def test_truth_table_missing_inputs_keep_their_level() -> None:
    made = law(AT, GIVEN, SLOPE)
    for ranks in itertools.product((0, 2, 4), repeat=4):
        expected = made.make().judge(0, held(*ranks))
        for n in range(1, 5):
            for gone in itertools.combinations(range(4), n):
                joint = made.make()
                assert joint.judge(0, held(*ranks)) == expected
                assert joint.judge(1, held(*ranks, missing=gone)) == expected


def test_one_line_on_one_sensor_is_capped_and_says_so() -> None:
    joint = law(AT, {**GIVEN, "confirm_by": "lines"}, SLOPE).make()
    assert joint.judge(0, held(4, 0, 4, 0)) == 3
    told = joint.evidence(3)
    assert told["unconfirmed"] is True
    assert (told["lines"], told["sensors"], told["need"]) == (1, 2, 2)
    assert joint.judge(1, held(4, 0, 0, 4)) == RED
    assert joint.evidence(RED)["unconfirmed"] is False


def test_a_lower_level_of_a_second_line_does_not_confirm() -> None:
    joint = law(AT, GIVEN, SLOPE).make()
    assert joint.judge(0, held(4, 3, 3, 3)) == 3


def test_from_orange_on_each_level_needs_its_own_two() -> None:
    joint = law(AT, {**GIVEN, "confirm": "orange", "confirm_by": "lines"}, SLOPE).make()
    table = {(4, 0, 0, 0): 2, (4, 3, 0, 0): 3, (4, 4, 0, 0): 4, (1, 3, 0, 2): 2, (1, 0, 0, 0): 1}
    assert {ranks: joint.judge(n, held(*ranks)) for n, ranks in enumerate(table)} == table


def under(*rows: tuple[str, str]) -> list[Input]:
    """Return joint inputs by the lines and the stations underneath them."""
    return [
        Input(
            f"j{n}",
            f"j{n}@1",
            f"area/j{n}",
            "vote",
            COLOURS,
            None,
            frozenset((station, "x") for station in stations),
            frozenset(lines.split()),
        )
        for n, (lines, stations) in enumerate(rows)
    ]


def test_joint_inputs_over_one_sensor_and_one_line_confirm_nothing() -> None:
    rows = [*given_inputs(("level", "1")), *under(("level", "12"), ("rain", "3"))]
    joint = law(AT, GIVEN, rows).make()
    assert joint.judge(0, held(4, 4, 0)) == RED - 1
    assert (joint.evidence(3)["lines"], joint.evidence(3)["sensors"]) == (1, 1)
    assert joint.judge(1, held(4, 0, 4)) == RED
    assert (joint.evidence(4)["lines"], joint.evidence(4)["sensors"]) == (2, 2)


def test_of_several_that_overlap_the_pair_that_is_apart_is_found() -> None:
    sets = [frozenset("ab"), frozenset("acd"), frozenset("bef")]
    assert independent(sets) == 2
    assert independent([frozenset("ab"), frozenset("abc"), frozenset("bc")]) == 1
    assert independent([frozenset("a"), frozenset("ab"), frozenset("a")]) == 1
    assert independent([frozenset("a"), frozenset("b"), frozenset("abc"), frozenset("d")]) == 3
    assert independent([]) == 0


def test_a_restart_keeps_its_evidence() -> None:
    joint = law(AT, GIVEN, SLOPE).make()
    joint.judge(0, held(4, 0, 4, 1))
    fresh: Any = law(AT, GIVEN, SLOPE).make()
    assert isinstance(fresh, Fusion)
    assert again(joint, fresh).evidence(4) == joint.evidence(4)


@pytest.mark.parametrize(
    ("given", "rows", "key", "says"),
    [
        ({"confirm": ""}, SLOPE, "confirm", "lowest level that needs two"),
        ({"levels": ["red", "black"], "confirm": "black"}, BLACK, "confirm", "write red"),
        ({}, under(("level", "12"), ("level", "23")), "confirm", "one alone never"),
        ({"confirm": "rad"}, SLOPE, "confirm", "did you mean 'red'?"),
        ({"confirm_by": "lines"}, [SLOPE[0], SLOPE[2]], "confirm", "two lines"),
        ({"confirm_by": "sensors"}, SLOPE[:2], "confirm", "two sensors"),
        ({}, SLOPE[:1], "confirm", "one alone never gives it"),
    ],
)
def test_what_could_never_be_confirmed_is_refused(
    given: dict[str, Any], rows: list[Input], key: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        law(AT, {**GIVEN, **given}, rows)
    assert caught.value.key == f"{AT[1]}.{key}"
    assert says in caught.value.remedy
