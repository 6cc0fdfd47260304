"""Chains: ordered stages with windows, against the definition at every single instant."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import pytest
from rig.jointbook import again, held

from egret_core.errors import ConfigError
from egret_core.rules.chain import AGAIN_MS, Chain, Stage, law
from egret_core.rules.joint import Held, Input

AT = ("rules.toml", "rule[0].parameters")
HOUR = 3_600_000
FLOOD = (Stage(((0, 1),), 0, 0), Stage(((1, 1),), 0, 6 * HOUR))


def run(chain: Chain, *steps: tuple[float, tuple[int, ...]]) -> list[int | None]:
    return [chain.judge(round(hour * HOUR), held(*ranks)) for hour, ranks in steps]


def test_rain_then_flood() -> None:
    chain = Chain(FLOOD, 2)
    assert run(chain, (0, (1, 0)), (2, (1, 1)), (3, (0, 1)), (20, (0, 1)), (21, (0, 0))) == [
        *(1, 2, 2),
        2,  # a flood outlasts the rain that brought it
        0,
    ]


def test_a_flood_without_rain_before_it_is_no_chain() -> None:
    assert run(Chain(FLOOD, 2), (0, (0, 1)), (1, (0, 1))) == [0, 0]


def test_a_flood_that_stands_already_when_it_rains_is_one() -> None:
    assert run(Chain(FLOOD, 2), (0, (0, 1)), (1, (1, 1))) == [0, 2]


def test_the_window_counts_from_the_end_of_the_rain() -> None:
    chain = Chain(FLOOD, 2)
    assert run(chain, (0, (1, 0)), (24, (0, 0))) == [1, 1]
    assert chain.wakes(24 * HOUR) == 30 * HOUR
    assert chain.evidence(1) == {"stage1_since_ms": 0, "stage1_until_ms": 30 * HOUR}
    late = again(chain, Chain(FLOOD, 2))
    assert run(chain, (29.999, (0, 1))) == [2]
    assert [late.judge(30 * HOUR, held(0, 0)), late.wakes(30 * HOUR)] == [0, None]
    assert late.judge(30 * HOUR + 1, held(0, 1)) == 0


def test_a_travel_time_is_waited_for() -> None:
    chain = Chain((FLOOD[0], Stage(((1, 1),), 2 * HOUR, 6 * HOUR)), 1)
    assert run(chain, (0, (1, 0)), (1, (1, 1))) == [0, 0], "one label: only the whole chain raises"
    assert chain.wakes(HOUR) == 2 * HOUR
    assert run(chain, (2, (1, 1))) == [1]


def test_a_window_does_not_run_out_while_nobody_watches_the_next_stage() -> None:
    two_gauges = (FLOOD[0], Stage(((1, 1), (2, 1)), 0, 6 * HOUR))
    chain = Chain(two_gauges, 2)
    assert run(chain, (0, (1, 0, 0)), (1, (0, 0, 0))) == [1, 1]
    blind = held(0, 0, 0, missing=(1, 2))
    assert chain.judge(7 * HOUR, blind) == 1
    assert chain.wakes(7 * HOUR) == 7 * HOUR + AGAIN_MS
    assert chain.judge(7 * HOUR + AGAIN_MS, held(0, 0, 0, missing=(1,))) == 0


def test_the_levels_are_those_of_the_last_stages() -> None:
    three = (*FLOOD, Stage(((2, 1),), 0, HOUR))
    steps = ((0, (1, 0, 0)), (1, (1, 1, 0)), (2, (1, 1, 1)))
    assert [run(Chain(three, n), *steps) for n in (1, 2, 3)] == [[0, 0, 1], [0, 1, 2], [1, 2, 3]]


class Dense(NamedTuple):
    """One stage of the definition, stepped through every instant."""

    on: bool = False
    since: int | None = None  # start of the newest run of L
    ended: int | None = None


def defined(stages: tuple[Stage, ...], history: list[tuple[int, ...]]) -> list[int]:
    """Return what is reached at every instant, by the definition in the file's docstring."""
    runs, out = [Dense() for _ in stages], []
    for now, ranks in enumerate(history):
        for k, stage in enumerate(stages):
            was = runs[k]
            holds = any(ranks[i] >= rank for i, rank in stage.holds)
            before = runs[k - 1].since
            begins = k == 0 or (before is not None and now - before >= stage.after_ms)
            on = holds and (was.on or begins)
            ended = now if was.on and not on else was.ended
            within = stages[k + 1].within_ms if k + 1 < len(stages) else 0
            lingers = on or (ended is not None and now - ended < within)
            since = (was.since if was.since is not None else now) if lingers else None
            runs[k] = Dense(on, since, ended)
        out.append(max((k for k, one in enumerate(runs, 1) if one.since is not None), default=0))
    return out


def test_it_equals_the_definition_at_every_instant_and_after_every_restart() -> None:
    dice = random.Random(11)
    for _ in range(150):
        stages = tuple(
            Stage(((k, dice.randint(1, 2)),), after, after + dice.randint(0, 30))
            for k, after in enumerate(dice.choice((0, 5, 12)) for _ in range(dice.randint(2, 4)))
        )
        history = steps(dice, len(stages), 200)
        expected = defined(stages, history)
        assert by_events(stages, history, dice) == expected, stages


def steps(dice: random.Random, count: int, length: int) -> list[tuple[int, ...]]:
    ranks, out = [0] * count, []
    for _ in range(length):
        if dice.random() < 0.15:
            ranks[dice.randrange(count)] = dice.randint(0, 2)
        out.append(tuple(ranks))
    return out


def by_events(
    stages: tuple[Stage, ...], history: list[tuple[int, ...]], dice: random.Random
) -> list[int]:
    """Judge only where an input changed, or where the chain itself asked to be woken."""
    chain: Any = Chain(stages, len(stages))
    out: list[int] = []
    for now, ranks in enumerate(history):
        if now == 0 or ranks != history[now - 1] or chain.wakes(now - 1) == now:
            out.append(chain.judge(now, held(*ranks)))
        else:
            out.append(out[-1])
        if dice.random() < 0.1:
            chain = again(chain, Chain(stages, len(stages)))
    return out


INPUTS = [
    Input("rain", "rain@1", "st1/rn", "rain", ("yellow", "red"), ("st1", "rn")),
    Input("river", "river@1", "st1/wl", "level", ("blue", "red"), ("st1", "wl")),
    Input("river", "river@1", "st2/wl", "level", ("blue", "red"), ("st2", "wl")),
]
STAGES = [
    {"input": "rain", "level": "red"},
    {"input": "river", "level": "blue", "after_s": 60, "within_s": 3600},
]


def test_a_law_finds_the_inputs_of_a_name() -> None:
    made = law(AT, {"stages": STAGES, "levels": ["watch", "act"], "stale_s": 900.0}, INPUTS)
    chain = made.make()
    rows = [(0, (1, 2, 0)), (1, (2, 0, 0)), (60_001, (2, 0, 1))]
    assert [chain.judge(at, [Held(rank) for rank in ranks]) for at, ranks in rows] == [0, 1, 2]


@pytest.mark.parametrize(
    ("stages", "levels", "key", "says"),
    [
        (STAGES[:1], ["a"], "stages", "list 2 to 8 stages"),
        ([STAGES[1], STAGES[1]], ["a"], "stages[0].after_s", "unknown key"),
        ([STAGES[0], {"input": "rain"}], ["a"], "stages[1].level", "unknown level of st1/rn"),
        ([STAGES[0], {**STAGES[1], "input": "rivr"}], ["a"], "stages[1].level", "'river'?"),
        ([STAGES[0], {**STAGES[1], "within_s": 59}], ["a"], "stages[1].within_s", "after_s"),
        ([STAGES[0], {**STAGES[1], "within_s": 1e9}], ["a"], "stages[1].within_s", "2592000"),
        ([STAGES[0], {"input": "river", "level": "red"}], ["a"], "stages[1].within_s", "number"),
        (STAGES, ["a", "b", "c"], "levels", "there are 2 stages"),
        (STAGES, [], "levels", "list 1 to"),
    ],
)
def test_a_wrong_chain_is_refused(
    stages: list[Any], levels: list[str], key: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        law(AT, {"stages": stages, "levels": levels, "stale_s": 900.0}, INPUTS)
    assert caught.value.key == f"{AT[1]}.{key}"
    assert says in caught.value.remedy
