"""One line of log as key=value, or as an object: what a peer said can never look like ours. Pure.

A log call is `"event=batch_refused gateway=%s why=%r", gateway, why`: the keys are ours, the values
anybody's. The line is made from the two apart, so that a value with blanks, quotes or line breaks
is quoted and adds no key. Words outside of pairs become the event's name.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VALUE_MAX = 500  # characters of one value: a peer may send a megabyte, a line is read by people
SECRETS = ("password", "token", "secret", "private_key")  # keys whose value is never written
HIDDEN = "***"

_SPEC = r"%[-#0 +]*\d*(?:\.\d+)?[a-zA-Z%]"
_PIECE = re.compile(
    rf"(?P<key>\w+)=(?P<value>(?:{_SPEC}|[^\s%])+)|(?P<spec>{_SPEC})|(?P<text>[^%])"
)
_WHOLE = re.compile(r"%[-#0 +]*\d*[srd]")
_PLAIN = re.compile(r"[^\s\"=']+")


def fields(template: str, values: Sequence[object]) -> dict[str, object]:
    """Return a log call as key and value, in its own order.

    Args:
        template: a %-format.
        values: what it is filled with.

    Raises:
        TypeError, ValueError: they do not fit together.
    """
    left = list(values)
    found: dict[str, object] = {}
    text: list[str] = []
    for piece in _PIECE.finditer(template):
        part = piece["value"] or piece["spec"] or piece["text"]
        taken = [left.pop(0) for spec in re.findall(_SPEC, part) if spec[-1] != "%" and left]
        if piece["key"]:
            whole = _WHOLE.fullmatch(part) and taken
            found[piece["key"]] = _value(taken[0]) if whole else part % tuple(taken)
        else:
            text.append(part % tuple(taken) if piece["spec"] else part)
    if left:
        raise TypeError(f"{len(left)} values too many for {template!r}")
    words = " ".join("".join(text).split())
    if words:
        found = {"event": words, **found} if "event" not in found else {**found, "text": words}
    return {key: HIDDEN if key in SECRETS else value for key, value in found.items()}


def logfmt(pairs: Mapping[str, object]) -> str:
    """Return pairs as one line: `key=value key="a value"`."""
    return " ".join(f"{key}={_shown(value)}" for key, value in pairs.items())


def _value(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= VALUE_MAX else f"{text[:VALUE_MAX]}... ({len(text)} characters)"


def _shown(value: object) -> str:
    text = str(value)
    if _PLAIN.fullmatch(text) and text.isprintable():
        return text
    # Line breaks and what steers a terminal come out as escapes.
    return json.dumps(text, ensure_ascii=not text.isprintable())
