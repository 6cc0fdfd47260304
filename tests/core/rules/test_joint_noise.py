"""Joint rules whose inputs all move by 2 % around a level: one raise, one proposal at most."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from rig.jointbook import PACKS, STATIONS, of
from rig.rulebook import fold_of, place, play, prompt, reading, timeline

from egret_core.rules.binding import bind
from egret_core.rules.event import Change, ConditionEvent
from egret_core.rules.joints import JOINTS

if TYPE_CHECKING:
    from collections.abc import Sequence

MINUTES = 24 * 60
RAISE = {"blue": 3.0, "yellow": 4.0, "orange": 5.0, "red": 6.0}
PLACES = [place(station=name) for name in STATIONS[:3]]
WHERE = {(one.station, one.channel): one for one in PLACES}
ROWS = "".join(f'{{ level = "{label}", raise = {at} }}, ' for label, at in RAISE.items())
FIRST = f"""
[[rule]]
id = "river"
pack = "generic-level"
channels = ["st1/wl", "st2/wl", "st3/wl"]
[rule.parameters]
unit = "m"
datum = "Local"
levels = [{ROWS}]
"""
BARE = "hold_s = 0\nflap_s = 0\n"
ALL = 'inputs = [{ rule = "river" }]'
NAMED = "inputs = [%s]"
SITES = {
    "generic-vote": f"{ALL}\nparameters = {{ need = 2 }}",
    "generic-area": f'area = "valley"\n{ALL}\nparameters = {{ share = 0.5 }}',
    "generic-logic": f"""area = "valley"
{ALL}
[rule.parameters]
levels = [{{ level = "watch", all = {{ river = "blue" }} }},
  {{ level = "act", all = {{ river = "yellow" }}, any = {{ river = "blue" }} }}]""",
    "two-families-red": f'area = "valley"\n{ALL}',
    "generic-chain": f"""area = "valley"
{NAMED % ", ".join(f'{{ rule = "river", channels = ["st{n}/wl"], name = "g{n}" }}' for n in (1, 2))}
[rule.parameters]
stages = [{{ input = "g1", level = "blue" }}, {{ input = "g2", level = "blue", within_s = 14400 }}]
levels = ["watch", "act"]""",
}
# The levels of the stages, by gauge, which are the chain's own; elsewhere all gauges meet at one.
STAGES = {
    "generic-chain": ("blue", "blue", "blue"),
    "rain-to-flood": ("yellow", "blue", "blue"),
    "rain-to-slope": ("yellow", "yellow", "yellow"),
}
CHAINS = {"rain-to-flood": ("rain", "river"), "rain-to-slope": ("rain", "pore", "slope")}


def site(pack: str) -> str:
    """Return what a site gives a joint pack; of a chain, a gauge for each stage."""
    if pack not in CHAINS:
        return SITES[pack]
    named = ", ".join(
        f'{{ rule = "river", channels = ["st{n}/wl"], name = "{name}" }}'
        for n, name in enumerate(CHAINS[pack], 1)
    )
    return f'area = "valley"\n{NAMED % named}'


def noisy(around: Sequence[float], seed: int) -> list[tuple[float, float, int]]:
    """Return (second, value, gauge): each moves by itself, dwelling some minutes on a side."""
    out = []
    for gauge in range(3):
        dice, side = random.Random(f"{seed} {gauge}"), 1
        for n in range(MINUTES):
            if dice.random() < 0.3:
                side = -side
            value = around[gauge] * (1 + dice.uniform(0, 0.02) * side)
            out.append((60.0 * n + gauge, value, gauge))
    return sorted(out)


def judged(pack: str, label: str, seed: int, first: str = "") -> list[ConditionEvent]:
    """Return what the joint rule settles."""
    text = f'{FIRST}{first}\n[[rule]]\nid = "joint"\npack = "{pack}"\n{site(pack)}'
    rules = bind(text, "rules.toml", PACKS, WHERE)
    around = [RAISE[one] for one in STAGES.get(pack, (label,) * 3)]
    rows = [reading(second, value, PLACES[gauge]) for second, value, gauge in noisy(around, seed)]
    return of(play(fold_of(PLACES, rules), timeline(prompt(rows))), "joint")


def counts(events: list[ConditionEvent]) -> dict[int, tuple[int, int]]:
    """Return by rank how often it was reached and how often it was proposed to leave it."""
    pairs = list(
        zip([0, *(one.rank for one in events)], (one.rank for one in events), strict=False)
    )
    top = max((one.rank for one in events), default=0)
    return {
        rank: (
            sum(before < rank <= now for before, now in pairs),
            sum(now < rank <= before for before, now in pairs),
        )
        for rank in range(1, top + 1)
    }


JOINT = sorted(name for name, pack in PACKS.items() if pack.family in JOINTS)


@pytest.mark.parametrize("label", ["blue", "yellow"])
@pytest.mark.parametrize("pack", JOINT)
def test_inputs_that_move_around_a_level_raise_it_once(pack: str, label: str) -> None:
    found = counts(judged(pack, label, 1))
    assert found, "the noise reaches the rule"
    assert all(up == 1 and down <= 1 for up, down in found.values()), found


def test_the_reds_of_a_fusion_move_together_and_are_said_once() -> None:
    events = judged("two-families-red", "red", 2)
    assert counts(events)[4] == (1, 0)


@pytest.mark.parametrize("pack", JOINT)
def test_with_bare_inputs_the_same_noise_says_it_again_and_again(pack: str) -> None:
    found = counts(judged(pack, "blue", 1, BARE))
    assert max(up for up, _ in found.values()) > 10, found
    rises = [one for one in judged(pack, "blue", 1) if one.change is Change.RAISED]
    assert len(rises) == 1
