"""Voting: k of n, at one time or within a skew."""

from __future__ import annotations

import itertools
import random

import pytest
from rig.jointbook import COLOURS, again, held, inputs

from egret_core.errors import ConfigError
from egret_core.rules.joint import Input
from egret_core.rules.vote import Vote, law

AT = ("rules.toml", "rule[0].parameters")
GIVEN = {"levels": [], "need": 2, "skew_s": 0.0, "stale_s": 10800.0}


def vote(need: int = 2, skew_ms: int = 0, count: int = 3) -> Vote:
    return Vote(((0, 1, 2, 3, 4),) * count, range(count), need, skew_ms)


def test_two_of_three_is_the_second_highest_in_every_case() -> None:
    for ranks in itertools.product(range(5), repeat=3):
        for gone in itertools.chain.from_iterable(
            itertools.combinations(range(3), n) for n in range(4)
        ):
            found = vote().judge(0, held(*ranks, missing=gone))
            assert found == sorted(ranks)[1], "a missing input keeps its last level"


def test_what_is_missing_lowers_nothing_and_what_returns_does() -> None:
    two = vote()
    assert two.judge(0, held(4, 4, 0)) == 4
    assert two.judge(1, held(4, 4, 0, missing=(0, 1))) == 4
    assert two.judge(2, held(4, 3, 0, missing=(0, 1))) == 3


def test_an_ended_level_counts_for_the_skew_and_no_longer() -> None:
    two = vote(skew_ms=600)
    assert two.judge(1000, held(3, 0, 0)) == 0
    assert two.judge(2000, held(0, 0, 0)) == 0
    assert two.wakes(2000) == 2600
    assert two.judge(2599, held(0, 3, 0)) == 3
    assert two.evidence(3) == {"holding": 2, "need": 2, "of": 3, "skew_s": 0.6}
    assert two.judge(2600, held(0, 3, 0)) == 0
    assert two.wakes(2600) is None


def test_a_part_of_a_level_that_ended_counts_too() -> None:
    two = vote(skew_ms=600)
    two.judge(0, held(4, 0, 0))
    two.judge(1000, held(1, 0, 0))
    assert [two.judge(1000 + n, held(1, rank, 0)) for n, rank in ((1, 2), (2, 4), (600, 4))] == [
        2,
        4,
        1,
    ]


def test_it_equals_the_definition_and_a_restart_changes_nothing() -> None:
    dice = random.Random(5)
    for _ in range(60):
        need, skew, count = dice.randint(1, 4), dice.choice((0, 7, 40)), 4
        one, now, history = vote(need, skew, count), 0, [(0, [0] * count)]
        for _ in range(80):
            now += dice.randint(1, 12)
            ranks = [max(0, min(4, r + dice.choice((-2, 0, 0, 1)))) for r in history[-1][1]]
            history.append((now, ranks))
            if dice.random() < 0.2:
                one = again(one, vote(need, skew, count))  # type: ignore[assignment]
            assert one.judge(now, held(*ranks)) == defined(history, need, skew)


def defined(history: list[tuple[int, list[int]]], need: int, skew: int) -> int:
    """Return the level by definition: an input has held R at some time in (t - skew, t]."""
    now = history[-1][0]
    ends = [at for at, _ in history[1:]] + [now + 1]
    recent = [ranks for (_, ranks), end in zip(history, ends, strict=True) if end > now - skew]
    reach = [max(column) for column in zip(*(recent or [history[-1][1]]), strict=True)]
    return sorted(reach, reverse=True)[need - 1]


def test_the_law_takes_the_inputs_own_levels_and_counts_a_sensor_once() -> None:
    made = law(AT, GIVEN, inputs(3))
    assert (made.levels, made.stale_ms) == (COLOURS, 10_800_000)
    twice = [*inputs(2), Input("rise", "rise@1", "st1/wl", "rise", COLOURS, ("st1", "wl"))]
    joint = law(AT, GIVEN, twice).make()
    assert joint.judge(0, held(4, 0, 4)) == 0
    assert joint.judge(1, held(4, 2, 4)) == 2
    assert joint.evidence(2)["of"] == 2


@pytest.mark.parametrize(
    ("given", "count", "key", "says"),
    [
        ({"need": 4}, 3, "need", "there are 3 inputs"),
        ({"need": 0}, 3, "need", "at least 1"),
        ({"need": 1.5}, 3, "need", "whole number"),
        ({"levels": ["orange", "rad"]}, 3, "levels[1]", "did you mean 'red'?"),
        ({"levels": ["red", "blue"]}, 3, "levels", "orders them blue, yellow, orange, red"),
        ({"levels": ["red", "red"]}, 3, "levels[1]", "once"),
        ({"levels": "red"}, 3, "levels", "list 1 to"),
    ],
)
def test_what_cannot_be_is_refused(
    given: dict[str, object], count: int, key: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        law(AT, {**GIVEN, **given}, inputs(count))
    assert caught.value.key == f"{AT[1]}.{key}"
    assert says in caught.value.remedy


def test_inputs_of_different_labels_must_be_brought_together() -> None:
    mixed = [*inputs(2), *inputs(1, levels=("prepare", "move"))]
    with pytest.raises(ConfigError, match="different levels"):
        law(AT, GIVEN, mixed)
    with pytest.raises(ConfigError, match="none of them is listed"):
        law(AT, {**GIVEN, "levels": ["orange", "red"]}, mixed)


def test_a_label_that_is_not_listed_counts_as_the_listed_one_below() -> None:
    joint = law(AT, {**GIVEN, "levels": ["yellow", "orange"], "need": 1}, inputs(1)).make()
    found = [joint.judge(n, held(rank)) for n, rank in enumerate((0, 1, 2, 3, 4))]
    assert found == [0, 0, 1, 2, 2]
