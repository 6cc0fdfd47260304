"""The `inputs` of a joint rule: which levels of which rules it takes; rows in, checked inputs out.

```toml
inputs = [
  { rule = "river-level", channels = ["st0007/wl", "st0008/*"], name = "river" },
  { rule = "basin-rain", line = "rain", as = { move = "red" } },
]
```

| key | meaning |
|---|---|
| rule | id of the rule whose levels it takes; a joint rule too |
| channels | of those that the rule judges; left out: all of them |
| name | word by which conditions name it; left out: the rule's id |
| line | line of evidence; left out: the family of the rule. A joint rule stands on the lines of |
|      | its inputs as well, whatever it is called here |
| as | the rule's labels in words of this rule, where they differ |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules.joint import Input
from egret_core.rules.model import AbsenceLaw, IndexLaw, JointLaw, LadderLaw
from egret_core.rules.packs import meant, refuse_unknown, rows, table, text_of, word_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import BoundRule, Law
    from egret_core.rules.rungs import At

INPUTS_MAX = 1024  # of one rule: each instant looks at all; larger areas are joined by a rule
_KEYS = ("rule", "channels", "name", "line", "as")
_ALL = "*"


def labels(law: Law) -> tuple[str, ...]:
    """Return the labels of a law, lowest first."""
    if isinstance(law, LadderLaw):
        return tuple(rung.label for rung in law.rungs)
    if isinstance(law, IndexLaw):
        return tuple(rung.label for rung in law.ladder.rungs)
    if isinstance(law, AbsenceLaw):
        return tuple(label for label, _ in law.levels)
    if isinstance(law, JointLaw):
        return law.levels
    by_rank = {level.rank: level.label for level in law.levels}
    return tuple(by_rank[rank] for rank in sorted(by_rank))


def rule_rows(file: str, key: str, value: object) -> list[tuple[Mapping[str, Any], str]]:
    """Return the rows of `inputs`, each with the id of the rule that it names.

    Raises:
        ConfigError: no rows, a key nobody reads, a rule that is no text.
    """
    listed = rows(file, key, value)
    if not listed:
        remedy = 'list what it takes, e.g. [{ rule = "river-level" }]'
        raise ConfigError(file, key, value, remedy)
    for at, row in enumerate(listed):
        refuse_unknown(file, f"{key}[{at}]", row, _KEYS)
    return [
        (row, text_of(file, f"{key}[{at}].rule", row.get("rule"))) for at, row in enumerate(listed)
    ]


def inputs_of(
    file: str,
    key: str,
    listed: Sequence[tuple[Mapping[str, Any], str]],
    rules: Mapping[str, BoundRule],
) -> tuple[Input, ...]:
    """Return the inputs of rows whose rules are bound.

    Raises:
        ConfigError: a channel the rule does not judge, an absence, an input twice, too many.
    """
    out: dict[tuple[str, str], Input] = {}
    for at, (row, name) in enumerate(listed):
        where = f"{key}[{at}]"
        for one in _inputs((file, where), row, rules[name]):
            if (one.rule, one.subject) in out:
                remedy = f"{one.subject} of {name} is an input already: name it once"
                raise ConfigError(file, where, one.subject, remedy)
            out[one.rule, one.subject] = one
    if len(out) > INPUTS_MAX:
        raise ConfigError(file, key, len(out), f"take at most {INPUTS_MAX}: join areas by a rule")
    return tuple(out.values())


def _inputs(at: At, row: Mapping[str, Any], rule: BoundRule) -> list[Input]:
    file, key = at
    if isinstance(rule.law, AbsenceLaw):
        remedy = "name a rule that judges values: silence is told as missing, and is no level"
        raise ConfigError(file, f"{key}.rule", rule.id, remedy)
    name = word_of(file, f"{key}.name", row.get("name", rule.id))
    line = word_of(file, f"{key}.line", row.get("line", str(rule.family)))
    levels = _renamed((file, f"{key}.as"), row.get("as", {}), labels(rule.law))
    if isinstance(rule.law, JointLaw):
        if "channels" in row:
            remedy = f"leave it out: {rule.id} is about {rule.place}"
            raise ConfigError(file, f"{key}.channels", row["channels"], remedy)
        # What it was joined from is what it rests on: a new name makes no second line or sensor.
        sensors = frozenset[tuple[str, str]]().union(*(one.sensors for one in rule.inputs))
        lines = frozenset([line] if "line" in row else []).union(
            *(one.evidence_lines for one in rule.inputs)
        )
        return [Input(name, rule.name, rule.place, line, levels, None, sensors, lines)]
    return [
        Input(name, rule.name, "/".join(pair), line, levels, pair)
        for pair in _channels((file, f"{key}.channels"), row, rule)
    ]


def _channels(at: At, row: Mapping[str, Any], rule: BoundRule) -> Sequence[tuple[str, str]]:
    file, key = at
    if "channels" not in row:
        return rule.channels
    listed = row["channels"]
    if not isinstance(listed, list) or not listed:
        raise ConfigError(file, key, listed, 'list channels, e.g. ["st0007/wl"]')
    known = ["/".join(pair) for pair in rule.channels]
    out: dict[tuple[str, str], None] = {}
    for n, word in enumerate(listed):
        where = f"{key}[{n}]"
        station, _, channel = text_of(file, where, word).partition("/")
        here = [pair for pair in rule.channels if pair[0] == station and channel in (_ALL, pair[1])]
        if not here:
            remedy = meant(word, known, f"{rule.id} judges no such channel")
            raise ConfigError(file, where, word, remedy)
        out.update(dict.fromkeys(here))
    return tuple(out)


def _renamed(at: At, given: object, own: tuple[str, ...]) -> tuple[str, ...]:
    file, key = at
    names = table(file, key, given)
    for label in names:
        if label not in own:
            remedy = meant(label, own, "the rule has no such level")
            raise ConfigError(file, f"{key}.{label}", names[label], remedy)
    return tuple(word_of(file, f"{key}.{label}", names.get(label, label)) for label in own)
