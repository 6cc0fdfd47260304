"""And, or, not in three values: tables written by hand, and every combination against them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from rig.jointbook import again, held

from egret_core.errors import ConfigError
from egret_core.rules.joint import Input
from egret_core.rules.logic import conjunction, disjunction, law, negation

AT = ("rules.toml", "rule[0].parameters")
THREE = (True, None, False)
INPUTS = [
    Input("rain", "rain@1", "st1/rn", "rain", ("yellow", "red"), ("st1", "rn")),
    Input("soil", "soil@1", "st1/rn", "soil", ("wet",), ("st1", "rn")),
    Input("works", "works@1", "st2/x", "works", ("on",), ("st2", "x")),
    Input("rain", "rain@1", "st3/rn", "rain", ("yellow", "red"), ("st3", "rn")),
]
ROWS = [
    {"level": "watch", "any": {"rain": "yellow", "soil": "wet"}},
    {"level": "act", "all": {"rain": "red", "soil": "wet"}, "none": {"works": "on"}},
]


def made(levels: object = ROWS) -> Any:
    return law(AT, {"levels": levels, "stale_s": 10800.0}, INPUTS)


def test_kleene_s_tables() -> None:
    # rows: true, unknown, false; as in the tables of 1938
    ands = {(a, b): conjunction((a, b)) for a in THREE for b in THREE}
    ors = {(a, b): disjunction((a, b)) for a in THREE for b in THREE}
    assert [ands[a, b] for a in THREE for b in THREE] == [
        *(True, None, False),
        *(None, None, False),
        *(False, False, False),
    ]
    assert [ors[a, b] for a in THREE for b in THREE] == [
        *(True, True, True),
        *(True, None, None),
        *(True, None, False),
    ]
    assert [negation(a) for a in THREE] == [False, None, True]
    assert (conjunction(()), disjunction(())) == (True, False)


def test_full_table_with_inputs_that_were_never_seen_or_are_missing() -> None:
    # ranks 0..2 of two gauges of rain, soil 0..1, works 0..1; each may have never been seen
    for rain, soil, works, other in itertools.product(range(3), range(2), range(2), range(3)):
        for unseen in itertools.product((False, True), repeat=4):
            ranks = (rain, soil, works, other)
            if any(rank and never for rank, never in zip(ranks, unseen, strict=True)):
                continue  # what was never seen holds nothing
            gone = [n for n, never in enumerate(unseen) if never]
            found = made().make().judge(0, held(*ranks, unseen=gone))
            assert found == by_words(ranks, unseen), (ranks, unseen)
            again_ = made().make().judge(0, held(*ranks, unseen=gone, missing=range(4)))
            assert again_ == found, "missing is not unknown: the last level counts"


def by_words(ranks: tuple[int, ...], unseen: tuple[bool, ...]) -> int:
    """From nothing, only what is surely true raises."""
    rain = max(ranks[0], ranks[3])
    no_works = ranks[2] == 0 and not unseen[2]
    if rain == 2 and ranks[1] and no_works:
        return 2
    return 1 if rain >= 1 or ranks[1] else 0


def test_what_becomes_unknown_stays_and_what_becomes_false_goes() -> None:
    joint = made([{"level": "act", "all": {"rain": "red"}, "none": {"works": "on"}}]).make()
    assert joint.judge(0, held(2, 0, 0, 0)) == 1
    assert joint.judge(1, held(2, 0, 0, 0, missing=(0, 1, 2, 3))) == 1
    assert joint.judge(2, held(2, 0, 0, 0, unseen=(2,))) == 1  # a new sensor of the works
    assert joint.judge(3, held(2, 0, 1, 0)) == 0
    assert joint.judge(4, held(2, 0, 0, 0, unseen=(2,))) == 0, "unknown raises nothing"


def test_a_restart_keeps_what_an_unknown_row_held() -> None:
    one = made()
    joint = one.make()
    joint.judge(0, held(2, 1, 0, 0))
    back = again(joint, one.make())
    assert back.judge(1, held(2, 1, 0, 0, unseen=(2,))) == 2
    assert (back.wakes(1), back.evidence(2)) == (None, {})


@pytest.mark.parametrize(
    ("row", "key", "says"),
    [
        ({"level": "act", "none": {"works": "on"}}, "levels[0]", "nothing rises by absence alone"),
        ({"level": "act", "all": {"rian": "red"}}, "levels[0].all.rian", "did you mean 'rain'?"),
        ({"level": "act", "any": {"rain": "rad"}}, "levels[0].any.rain", "did you mean 'red'?"),
        ({"level": "act", "all": {"soil": 3}}, "levels[0].all.soil", "unknown level"),
        ({"level": "act", "all": ["rain"]}, "levels[0].all", "make it a table"),
        ({"level": "act", "and": {}}, "levels[0].and", "unknown key"),
        ({"level": "", "all": {"rain": "red"}}, "levels[0].level", "printable"),
    ],
)
def test_a_wrong_row_is_refused(row: dict[str, object], key: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made([row])
    assert caught.value.key == f"{AT[1]}.{key}"
    assert says in caught.value.remedy
