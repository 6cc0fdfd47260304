"""Rules bound from the packs that come with the program: a pack, a channel, its parameters."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig.rulebook import fold_of, place, play, prompt, reading, timeline

from egret_core.errors import ConfigError
from egret_core.rules.binding import bind
from egret_core.rules.packs import parse_pack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.model import BoundRule, ChannelPlace

FOLDER = Path(__file__).parents[2] / "core" / "egret_core" / "packs"
PACKS = {p.stem: parse_pack(p.read_text(), p.name) for p in sorted(FOLDER.glob("*.toml"))}
RIVER, GAUGE = place(), place("rn", "rain_total")


def bound_to(text: str, *places: ChannelPlace) -> tuple[BoundRule, ...]:
    """Return the rules of a text over these channels."""
    return bind(text, "rules.toml", PACKS, {(one.station, one.channel): one for one in places})


def of_pack(pack: str, on: ChannelPlace, parameters: str = "") -> BoundRule:
    """Return the rule of a pack on one channel."""
    text = f'[[rule]]\nid = "r"\npack = "{pack}"\nchannels = ["{on.name}"]\n'
    (rule,) = bound_to(f"{text}[rule.parameters]\n{parameters}", on)
    return rule


def refused(pack: str, on: ChannelPlace, parameters: str) -> tuple[str, str]:
    """Return key (below the parameters) and remedy of a rule that is refused."""
    with pytest.raises(ConfigError) as caught:
        of_pack(pack, on, parameters)
    assert caught.value.file == "rules.toml"
    assert caught.value.remedy
    return caught.value.key.removeprefix("rule[0].parameters."), caught.value.remedy


@contextmanager
def refusal(key: str, remedy: str) -> Iterator[None]:
    """Within it a rule is refused, at a key of its parameters and with this in the remedy."""
    with pytest.raises(ConfigError) as caught:
        yield
    assert caught.value.key == f"rule[0].parameters.{key}"
    assert remedy in caught.value.remedy


def judged(
    rule: BoundRule, on: ChannelPlace, pairs: Iterable[tuple[float, float]]
) -> list[ConditionEvent]:
    """Judge (second, value) of one channel through the fold."""
    rows = [reading(second, value, on) for second, value in pairs]
    return play(fold_of([on], [rule]), timeline(prompt(rows)))


def totals(falls: Iterable[float], step_s: float = 60) -> list[tuple[float, float]]:
    """Return rain of mm a step as the never-decreasing total that travels, exact to 0.0001 mm."""
    out, tenths = [(0.0, 1000.0)], 10_000_000
    for n, mm in enumerate(falls, 1):
        tenths += round(mm * 10_000)
        out.append((n * step_s, tenths / 10_000))
    return out
