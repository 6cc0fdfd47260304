"""`rules.toml`: packs bound to channels with parameters; a text in, checked rules out.

```toml
[[rule]]
id = "river-level"
pack = "generic-level"
channels = ["st0007/wl"]         # or "st0007/*"; an absence rule also takes "gateway/ID", "feed:ID"
[rule.parameters]
unit = "m"
datum = "Luoling"
levels = [{ level = "blue", raise = 3.0, clear = 2.8 }]
```

A joint rule, of the second stage, takes levels of other rules by `inputs` instead of channels
(`egret_core.rules.joining`).

A rule's version is a hash of its pack and parameters, and of a joint rule's inputs with their
versions: its state and its events carry it.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules.joining import KEYS as JOINT_KEYS
from egret_core.rules.joining import Draft, join
from egret_core.rules.joints import JOINTS
from egret_core.rules.laws import law_of
from egret_core.rules.model import BoundRule, Family
from egret_core.rules.packs import (
    Pack,
    Parameter,
    meant,
    number,
    parse_toml,
    refuse_unknown,
    rows,
    table,
    text_of,
)
from egret_core.sources import FEED, GATEWAY, is_gateway, subject_of
from egret_core.topics import is_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import ChannelPlace

_KEYS = ("id", "pack", "channels", "parameters")
_VERSION_DIGITS = 8


def bind(
    text: str,
    file: str,
    packs: Mapping[str, Pack],
    places: Mapping[tuple[str, str], ChannelPlace],
) -> tuple[BoundRule, ...]:
    """Return the rules in a `rules.toml`, in its order.

    Args:
        text: the file's content.
        file: its name, for errors.
        packs: the known packs by id.
        places: the known channels.

    Raises:
        ConfigError: names file, key, value seen and remedy.
    """
    body = parse_toml(text, file)
    refuse_unknown(file, "", body, ("rule",))
    order: dict[str, None] = {}
    drafts: list[Draft] = []
    out: dict[str, BoundRule] = {}
    for at, row in enumerate(rows(file, "rule", body.get("rule", []))):
        draft = _draft(file, f"rule[{at}]", row, packs)
        if draft.id in order:
            remedy = "give every rule an id of its own"
            raise ConfigError(file, f"{draft.key}.id", draft.id, remedy)
        order[draft.id] = None
        if draft.pack.family in JOINTS:
            drafts.append(draft._replace(given=_given(file, draft)))
        else:
            out[draft.id] = _rule(file, draft, places)
    out |= join(file, drafts, out, sorted({station for station, _ in places}), _version)
    return tuple(out[name] for name in order)


def _draft(file: str, key: str, row: Mapping[str, Any], packs: Mapping[str, Pack]) -> Draft:
    refuse_unknown(file, key, row, dict.fromkeys((*_KEYS, *JOINT_KEYS)))
    name = text_of(file, f"{key}.pack", row.get("pack"))
    pack = packs.get(name)
    if pack is None:
        raise ConfigError(file, f"{key}.pack", name, meant(name, packs, "unknown pack"))
    refuse_unknown(file, key, row, JOINT_KEYS if pack.family in JOINTS else _KEYS)
    rule_id = row.get("id")
    if not is_id(rule_id):
        remedy = "write 1 to 48 of A-Z a-z 0-9 _ -"
        raise ConfigError(file, f"{key}.id", rule_id, remedy)
    return Draft(key, rule_id, pack, row, {})


def _given(file: str, draft: Draft) -> dict[str, Any]:
    at = f"{draft.key}.parameters"
    return parameters(file, at, draft.pack, table(file, at, draft.row.get("parameters", {})))


def _rule(file: str, draft: Draft, places: Mapping[tuple[str, str], ChannelPlace]) -> BoundRule:
    key, rule_id, pack, row, _ = draft
    channels, gateways = _subjects(file, f"{key}.channels", row.get("channels"), places)
    if gateways and pack.family is not Family.ABSENCE:
        remedy = "name channels: only an absence rule judges a gateway or a feed"
        raise ConfigError(file, f"{key}.channels", subject_of(gateways[0]), remedy)
    given = _given(file, draft)
    law = law_of(
        (file, f"{key}.parameters"), pack.family, given, [places[pair] for pair in channels]
    )
    return BoundRule(
        id=rule_id,
        version=_version(pack, given),
        pack=f"{pack.id}@{pack.version}",
        citation=pack.citation,
        family=pack.family,
        hazard=pack.hazard,
        channels=channels,
        gateways=gateways,
        law=law,
    )


def parameters(file: str, key: str, pack: Pack, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return every parameter of a pack: given where it may be, else the pack's default.

    Raises:
        ConfigError: unknown, fixed or missing; a scalar of the wrong type.
    """
    refuse_unknown(file, key, given, pack.parameters)
    out = _Given(file, key, pack)
    for name, parameter in pack.parameters.items():
        at = f"{key}.{name}"
        if parameter.fixed and name in given:
            raise ConfigError(file, at, given[name], f"leave it out: {pack.id} fixes it")
        value = given.get(name, parameter.default)
        if value is None:
            raise ConfigError(file, at, None, f"{pack.id} needs it: write a {parameter.type}")
        out[name] = _scalar(file, at, parameter, value)
    return out


class _Given(dict[str, Any]):
    """Parameters by name; one that the family reads and the pack lacks is the pack's mistake."""

    def __init__(self, file: str, key: str, pack: Pack) -> None:
        super().__init__()
        self._at = file, key, pack

    def __missing__(self, name: str) -> object:
        file, key, pack = self._at
        remedy = f"pack {pack.id!r} lacks it, and its family reads it: add [parameters.{name}]"
        raise ConfigError(file, f"{key}.{name}", None, remedy)


def _scalar(file: str, at: str, parameter: Parameter, value: object) -> object:
    """Return a value that fits its parameter; tables are the family's to check."""
    if parameter.type in ("seconds", "number"):
        least = 0.0 if parameter.type == "seconds" else None
        found = number(file, at, value, least if parameter.minimum is None else parameter.minimum)
        if found > parameter.maximum:
            raise ConfigError(file, at, value, f"write at most {parameter.maximum:g}")
        return found
    if parameter.type in ("text", "unit", "choice"):
        word = text_of(file, at, value)
        if parameter.type == "choice" and word not in parameter.choices:
            raise ConfigError(file, at, word, f"write one of {', '.join(parameter.choices)}")
        return word
    return value


def _subjects(
    file: str, key: str, value: object, places: Mapping[tuple[str, str], ChannelPlace]
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    if not isinstance(value, list) or not value:
        raise ConfigError(file, key, value, 'list what it judges, e.g. ["st0007/wl"]')
    channels: dict[tuple[str, str], None] = {}
    gateways: dict[str, None] = {}
    for at, name in enumerate(value):
        where = f"{key}[{at}]"
        left, slash, right = text_of(file, where, name).partition("/")
        if not slash and left.startswith(FEED):
            owners = {place.gateway for place in places.values()}
            _known(file, where, left, {one for one in owners if not is_gateway(one)}, "feed")
            gateways[left] = None
            continue
        if not slash:
            raise ConfigError(file, where, name, "write station/channel, gateway/ID or feed:ID")
        if left == GATEWAY:
            owners = {place.gateway for place in places.values() if is_gateway(place.gateway)}
            _known(file, where, right, owners, GATEWAY)
            gateways[right] = None
        else:
            channels.update(dict.fromkeys(_matching(file, where, (left, right), places)))
    return tuple(channels), tuple(gateways)


def _matching(
    file: str, key: str, pair: tuple[str, str], places: Mapping[tuple[str, str], ChannelPlace]
) -> Sequence[tuple[str, str]]:
    station, channel = pair
    _known(file, key, station, {known for known, _ in places}, "station")
    here = [known for known in places if known[0] == station]
    if channel == "*":
        return here
    _known(file, key, channel, {known for _, known in here}, "channel")
    return [pair]


def _known(file: str, key: str, word: str, names: set[str], what: str) -> None:
    if word not in names:
        raise ConfigError(file, key, word, meant(word, names, f"unknown {what}"))


def _version(pack: Pack, given: Mapping[str, Any]) -> str:
    text = json.dumps([pack.text, given], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_VERSION_DIGITS]
