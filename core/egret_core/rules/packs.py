"""Packs: templates of rules with a citation; text in, checked records out.

| key | meaning |
|---|---|
| id, version, citation | name of the template, its edition, where its numbers come from |
| family | level, rain, absence, an index (`indices`), or a joint rule (`joints`), of this folder |
| hazard | word on its events |
| parameters.NAME | type; default (none: must be bound); fixed (may not be bound); bounds; choices |

Types: text, choice, unit, seconds, number, ladder (rows of `egret_core.rules.rungs`), windows (rows
of `egret_core.rules.rain_levels`), rows (a list of tables, which the family checks), words (a list
of labels).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import inf
from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules.model import Family

if TYPE_CHECKING:
    from collections.abc import Iterable

NUMBER_MAX = 1e15  # no quantity is greater; a million of them still multiply without overflow
WORD_MAX = 48  # characters of a level's or a hazard's word: as wide as its column
TYPES = ("text", "choice", "unit", "seconds", "number", "ladder", "windows", "rows", "words")
_KEYS = ("id", "version", "family", "hazard", "citation", "parameters")
_PARAMETER_KEYS = ("type", "default", "fixed", "minimum", "maximum", "choices")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a pack.

    Attributes:
        type: one of `TYPES`; default: None where a binding must give it.
        fixed: the pack's own number, no binding may change it.
        minimum, maximum: bounds of `seconds` and `number`.
        choices: the words of a `choice`.
    """

    type: str
    default: object = None
    fixed: bool = False
    minimum: float | None = None
    maximum: float = inf
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pack:
    """A template of rules; `text` is what it was read from."""

    id: str
    version: str
    family: Family
    hazard: str
    citation: str
    parameters: Mapping[str, Parameter]
    text: str


def parse_pack(text: str, file: str) -> Pack:
    """Return the pack in a TOML text.

    Raises:
        ConfigError: names file, key, value seen and remedy.
    """
    body = parse_toml(text, file)
    refuse_unknown(file, "", body, _KEYS)
    words = {key: _word(file, body, key) for key in _KEYS[:-1]}
    families = [str(family) for family in Family]
    if words["family"] not in families:
        raise ConfigError(file, "family", words["family"], f"write one of {', '.join(families)}")
    parameters: dict[str, Parameter] = {}
    for name, row in table(file, "parameters", body.get("parameters", {})).items():
        key = f"parameters.{name}"
        refuse_unknown(file, key, table(file, key, row), _PARAMETER_KEYS)
        if row.get("type") not in TYPES:
            remedy = f"write one of {', '.join(TYPES)}"
            raise ConfigError(file, f"{key}.type", row.get("type"), remedy)
        parameters[name] = _parameter(file, key, row)
    return Pack(
        words["id"],
        words["version"],
        Family(words["family"]),
        word_of(file, "hazard", words["hazard"]),
        words["citation"],
        parameters,
        text,
    )


def _parameter(file: str, key: str, row: Mapping[str, Any]) -> Parameter:
    body = dict(row)
    for bound in ("minimum", "maximum"):
        if bound in body:
            body[bound] = number(file, f"{key}.{bound}", body[bound])
    words = body.get("choices", [])
    if body["type"] == "choice" and not words:
        raise ConfigError(file, f"{key}.choices", None, "list the words to choose from")
    body["choices"] = tuple(text_of(file, f"{key}.choices", word) for word in words)
    return Parameter(**body)


def parse_toml(text: str, file: str) -> dict[str, Any]:
    """Return the table in a TOML text; ConfigError where it is none."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a date that is none, a thousand brackets
        raise ConfigError(file, "(file)", str(error), "make it valid TOML 1.0") from None


def refuse_unknown(file: str, at: str, body: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse a key that nobody reads.

    Raises:
        ConfigError: with the nearest known key as remedy.
    """
    names = list(known)
    for key in body:
        if key not in names:
            path = f"{at}.{key}" if at else key
            raise ConfigError(file, path, body[key], meant(key, names, "unknown key"))


def meant(word: str, names: Iterable[str], what: str) -> str:
    """Return a remedy that names what was probably meant."""
    known = sorted(names)
    near = get_close_matches(word, known, 1, 0.6)
    if near:
        return f"{what}: did you mean {near[0]!r}?"
    return f"{what}; known: {', '.join(known) or 'none'}"


def table(file: str, key: str, value: object) -> Mapping[str, Any]:
    """Return a value that must be a table; ConfigError where it is none."""
    if not isinstance(value, Mapping):
        raise ConfigError(file, key, value, "make it a table")
    return value


def rows(file: str, key: str, value: object) -> list[Mapping[str, Any]]:
    """Return a value that must be a list of tables; ConfigError where it is none."""
    if not isinstance(value, list):
        raise ConfigError(file, key, value, "make it a list of tables")
    return [table(file, f"{key}[{at}]", row) for at, row in enumerate(value)]


def number(file: str, key: str, value: object, least: float | None = None) -> float:
    """Return a number within `NUMBER_MAX`, at least `least`; ConfigError where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:  # noqa: PLR0124  (NaN)
        raise ConfigError(file, key, value, "write a number")
    if abs(value) > NUMBER_MAX:
        shown = value if isinstance(value, float) else f"an integer of {value.bit_length()} bits"
        raise ConfigError(
            file, key, shown, f"write a number from -{NUMBER_MAX:g} to {NUMBER_MAX:g}"
        )
    if least is not None and value < least:
        raise ConfigError(file, key, value, f"write at least {least:g}")
    return float(value)


def text_of(file: str, key: str, value: object) -> str:
    """Return a text; ConfigError where it is none."""
    if not isinstance(value, str):
        raise ConfigError(file, key, value, "write a text in quotes")
    return value


def word_of(file: str, key: str, value: object) -> str:
    """Return a word that people are shown and databases keep; ConfigError where it is none."""
    if isinstance(value, str) and value.strip() and value.isprintable() and len(value) <= WORD_MAX:
        return value
    raise ConfigError(file, key, value, f"write 1 to {WORD_MAX} printable characters in quotes")


def _word(file: str, body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise ConfigError(file, key, value, "write a text that is not empty")
    return value
