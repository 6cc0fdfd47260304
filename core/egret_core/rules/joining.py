"""Joint rules of `rules.toml`, bound after all others and in the order in which they feed.

| key | meaning |
|---|---|
| inputs | what it takes (`egret_core.rules.inputs`) |
| area | name of the place its events are about, ``area/NAME``; left out: the rule's id |
| station | or a station: its events are about ``STATION/RULE`` and stand with that station |
| hazard | word on its events; left out: the pack's |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core.errors import ConfigError
from egret_core.rules.inputs import inputs_of, rule_rows
from egret_core.rules.joints import JOINTS
from egret_core.rules.model import BoundRule
from egret_core.rules.packs import meant, word_of
from egret_core.topics import is_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from egret_core.rules.joint import Input
    from egret_core.rules.packs import Pack

DEPTH_MAX = 8  # joint rules above one another: more, and nobody knows why one speaks
AREA = "area"  # a reserved word: no station may bear it
KEYS = ("id", "pack", "inputs", "area", "station", "hazard", "parameters")


class Draft(NamedTuple):
    """A joint rule that is read, and waits for the rules that it takes."""

    key: str
    id: str
    pack: Pack
    row: Mapping[str, Any]
    given: Mapping[str, Any]


def join(
    file: str,
    drafts: Sequence[Draft],
    rules: Mapping[str, BoundRule],
    places: Sequence[str],
    version: Callable[[Pack, Mapping[str, Any]], str],
) -> dict[str, BoundRule]:
    """Return the joint rules by id.

    Args:
        file: for errors.
        drafts: the joint rules, any order.
        rules: all others by id.
        places: ids of the stations.
        version: hash of a pack and of all that decides.

    Raises:
        ConfigError: an unknown rule, one that feeds itself, inputs or parameters that do not fit.
    """
    waiting = {draft.id: draft for draft in drafts}
    done = dict(rules)
    names = [*rules, *waiting]
    depths: dict[str, int] = {}

    def put(draft: Draft, above: tuple[str, ...]) -> None:
        key = f"{draft.key}.inputs"
        listed = rule_rows(file, key, draft.row.get("inputs"))
        depth = 1
        for at, (_, name) in enumerate(listed):
            where = f"{key}[{at}].rule"
            if name in (*above, draft.id):
                round_ = " -> ".join((*above, draft.id, name))
                remedy = f"no rule may feed itself ({round_}): take one of these inputs out"
                raise ConfigError(file, where, name, remedy)
            if name not in names:
                raise ConfigError(file, where, name, meant(name, names, "unknown rule"))
            if name not in done:
                _refuse_depth((file, where), name, len(above) + 2)
                put(waiting[name], (*above, draft.id))
            depth = max(depth, depths.get(name, 0) + 1)
            _refuse_depth((file, where), name, depth)
        depths[draft.id] = depth
        inputs = inputs_of(file, key, listed, done)
        done[draft.id] = _bound(file, draft, inputs, places, version)

    for draft in drafts:
        if draft.id not in done:
            put(draft, ())
    return {draft.id: done[draft.id] for draft in drafts}


def _bound(
    file: str,
    draft: Draft,
    inputs: Sequence[Input],
    places: Sequence[str],
    version: Callable[[Pack, Mapping[str, Any]], str],
) -> BoundRule:
    law = JOINTS[draft.pack.family]((file, f"{draft.key}.parameters"), draft.given, inputs)
    decides = {
        **draft.given,
        "inputs": [[one.name, one.rule, one.subject, one.line, one.levels] for one in inputs],
    }
    return BoundRule(
        id=draft.id,
        version=version(draft.pack, decides),
        pack=f"{draft.pack.id}@{draft.pack.version}",
        citation=draft.pack.citation,
        family=draft.pack.family,
        hazard=word_of(file, f"{draft.key}.hazard", draft.row.get("hazard", draft.pack.hazard)),
        channels=(),
        gateways=(),
        law=law,
        inputs=tuple(inputs),
        place=_place(file, draft, places),
    )


def _refuse_depth(at: tuple[str, str], name: str, depth: int) -> None:
    if depth > DEPTH_MAX:
        remedy = f"let at most {DEPTH_MAX} joint rules stand above one another"
        raise ConfigError(*at, name, remedy)


def _place(file: str, draft: Draft, stations: Sequence[str]) -> str:
    area, station = draft.row.get("area"), draft.row.get("station")
    if area is not None and station is not None:
        remedy = "name an area or a station: its events are about one of them"
        raise ConfigError(file, f"{draft.key}.station", station, remedy)
    if station is not None:
        if station not in stations:
            remedy = meant(str(station), stations, "unknown station")
            raise ConfigError(file, f"{draft.key}.station", station, remedy)
        return f"{station}/{draft.id}"
    if area is None:
        return f"{AREA}/{draft.id}"
    if not is_id(area):
        raise ConfigError(file, f"{draft.key}.area", area, "write 1 to 48 of A-Z a-z 0-9 _ -")
    return f"{AREA}/{area}"
