"""The labels that a joint rule and its inputs have in common, and checks that its laws share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules.packs import meant, number, word_of
from egret_core.rules.rungs import LEVELS_MAX, ms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.joint import Input
    from egret_core.rules.rungs import At


def words(at: At, value: object) -> tuple[str, ...]:
    """Return labels that people are shown, each once.

    Raises:
        ConfigError: no list, none or too many, a label twice.
    """
    file, key = at
    if not isinstance(value, list) or not 1 <= len(value) <= LEVELS_MAX:
        remedy = f'list 1 to {LEVELS_MAX} labels, lowest first, e.g. ["orange", "red"]'
        raise ConfigError(file, key, value, remedy)
    out = tuple(word_of(file, f"{key}[{n}]", word) for n, word in enumerate(value))
    for n, word in enumerate(out):
        if word in out[:n]:
            raise ConfigError(file, f"{key}[{n}]", word, "name each level once")
    return out


def common_levels(at: At, given: Mapping[str, Any], inputs: Sequence[Input]) -> tuple[str, ...]:
    """Return the labels of `levels`; where it is left empty, those of the inputs, if all agree.

    Raises:
        ConfigError: inputs of different labels, or a label that no input has.
    """
    file, key = at
    key = f"{key}.levels"
    if not given["levels"]:
        if len({one.levels for one in inputs}) != 1:
            remedy = "the inputs have different levels: list those of this rule, lowest first"
            raise ConfigError(file, key, given["levels"], remedy)
        return inputs[0].levels
    levels = words((file, key), given["levels"])
    known = {label for one in inputs for label in one.levels}
    for n, label in enumerate(levels):
        if label not in known:
            remedy = meant(label, known, "no input has this level")
            raise ConfigError(file, f"{key}[{n}]", label, remedy)
    return levels


def own_ranks(
    at: At, levels: Sequence[str], inputs: Sequence[Input]
) -> tuple[tuple[int, ...], ...]:
    """Return, for each input, the joint rank of each of its own ranks, from 0 on.

    A label that is not listed counts as the highest listed one below it.

    Raises:
        ConfigError: an input without any of the labels, or with another order of them.
    """
    file, key = at
    out: list[tuple[int, ...]] = []
    for one in inputs:
        ranks = [0]
        for label in one.levels:
            rank = levels.index(label) + 1 if label in levels else ranks[-1]
            if rank < ranks[-1]:
                remedy = f"{one.subject} of {one.rule} orders them {', '.join(one.levels)}"
                raise ConfigError(file, f"{key}.levels", ", ".join(levels), remedy)
            ranks.append(rank)
        if ranks[-1] == 0:
            remedy = (
                f"{one.subject} has {', '.join(one.levels)}, and none of them is listed: "
                'write as = { ITS_LEVEL = "YOURS" } beside the input'
            )
            raise ConfigError(file, f"{key}.levels", ", ".join(levels), remedy)
        out.append(tuple(ranks))
    return tuple(out)


Condition = tuple[tuple[int, int], ...]  # (input, its own rank): holds where any of them does


def condition(at: At, name: object, label: object, inputs: Sequence[Input]) -> Condition:
    """Return the condition that an input, by its name, holds at least a level.

    Raises:
        ConfigError: an unknown name, or a level that one of the inputs of that name has not.
    """
    file, key = at
    names = {one.name for one in inputs}
    if not isinstance(name, str) or name not in names:
        raise ConfigError(file, key, name, meant(str(name), names, "no input has this name"))
    out: list[tuple[int, int]] = []
    for index, one in enumerate(inputs):
        if one.name != name:
            continue
        if not isinstance(label, str) or label not in one.levels:
            remedy = meant(str(label), one.levels, f"unknown level of {one.subject}")
            raise ConfigError(file, key, label, remedy)
        out.append((index, one.levels.index(label) + 1))
    return tuple(out)


def whole(at: At, name: str, value: object, most: int, what: str) -> int:
    """Return a whole number, 1 to `most`; ConfigError where it is none."""
    file, key = at
    found = number(file, f"{key}.{name}", value, 1)
    if found != int(found):
        raise ConfigError(file, f"{key}.{name}", value, "write a whole number")
    if found > most:
        remedy = f"there are {most} {what}: write at most {most}"
        raise ConfigError(file, f"{key}.{name}", value, remedy)
    return int(found)


def stale_ms(given: Mapping[str, Any]) -> int:
    """Return how old an input's newest good reading may be, ms."""
    return ms(given["stale_s"])
