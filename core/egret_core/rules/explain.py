"""Why an event is: one sentence in English and one in Chinese, from the event's own fields.

Each names the rule as ``id@version``, the subject, the numbers with their units, the window, and
the inequality that decided. Nothing is looked up: any event of any time can be explained from what
stands in the ledger. What a rule adds to its evidence beyond what its template names is listed
after it, so that nothing is left out. The tables are `egret_core.rules.explain_words` and
`egret_core.rules.explain_members`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from egret_core.instants import length, rfc3339
from egret_core.rules import explain_members as members
from egret_core.rules import explain_words as words
from egret_core.rules.event import Phase
from egret_core.rules.model import Cause

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egret_core.rules.event import ConditionEvent

LANGUAGES = ("en", "zh")
INPUTS_MAX = 8  # inputs of a joint rule that are told
MORE_MAX = 18  # further members of the evidence that are told
DIGITS = 7  # of a number: below any sensor's noise
NUMBER_MAX = 1e300  # a larger one is no measurement, and none is NaN
TEXT_MAX = 160  # characters of a member that is a list or a table
_TOLD = frozenset(
    (
        *("value", "threshold", "unit", "datum", "window_h", "since_ms", "dry_s", "limit_s"),
        *("silent_s", "last_good_ms", "last_tick_ms", "in_force_ms", "rebased_ms", "index", "over"),
        *("held_level", "successor", "held_before", "levels"),
    )
)
_LISTS = ("inputs", "missing")
_DOUBTS = frozenset(("unconfirmed", "screening", "retrospective", "basis"))  # never left out
_BELOW = frozenset(("below_clear", "sum_below_and_dry"))
# Endings of evidence keys that are no instant, and the unit they stand for.
_UNITS = {
    "_mm": "mm",
    "_m": "m",
    "_s": "s",
    "_min": "min",
    "_h": "h",
    "_d": "d",
    "_kpa": "kPa",
    "_mm_h": "mm/h",
    "_mm_d": "mm/d",
    "_m_h": "m/h",
    "_mm_per_day": "mm/d",
    "_per_h": "/h",
    "_deg": "°",
    "_pct": "%",
    "_m3_s": "m3/s",
}


def sentence(event: ConditionEvent, offset_min: int = 0) -> dict[str, str]:
    """Return why an event is, by language; times with this offset, minutes east of UTC."""
    fields = {name: getattr(event, name) for name in event.__slots__}
    return sentence_of(fields, offset_min)


def sentence_of(event: Mapping[str, Any], offset_min: int = 0) -> dict[str, str]:
    """Return the same of an event's fields, as the ledger keeps them."""
    return {name: _told(event, offset_min, at) for at, name in enumerate(LANGUAGES)}


def _told(event: Mapping[str, Any], offset_min: int, language: int) -> str:
    evidence: Mapping[str, Any] = event["evidence"]
    parts = _parts(event, evidence, offset_min, language)
    parts["why"] = _why(event, evidence)[language].format_map(parts)
    text = words.FRAME[language].format_map(parts)
    for key, form in (("in_force_ms", words.IN_FORCE), ("rebased_ms", words.REBASED)):
        at_ms = _number(evidence.get(key))
        if at_ms is not None:
            text += form[language].format(at=rfc3339(int(at_ms), offset_min))
    more = [*_inputs(evidence, offset_min, language), *_more(evidence, offset_min, language)]
    if more:
        text += words.MORE[language].format(list=words.BETWEEN[language].join(more))
    if event["phase"] == "provisional":
        text += words.PROVISIONAL[language]
    return text + words.STOP[language]


def _why(event: Mapping[str, Any], evidence: Mapping[str, Any]) -> words.Both:
    if _is_given_up(event):
        return words.SUCCEEDED if "successor" in evidence else words.WITHDRAWN
    known = words.WHY.get(str(event["reason"]))
    if known is not None:
        return known
    compared = {"value", "threshold"} <= evidence.keys()
    return words.GENERIC_COMPARED if compared else words.GENERIC


def _is_given_up(event: Mapping[str, Any]) -> bool:
    """Tell whether a level ended with its rule: no all-clear, and never told as one."""
    return str(event["reason"]) == Cause.RULE_WITHDRAWN and str(event["phase"]) == Phase.SETTLED


def _parts(
    event: Mapping[str, Any], evidence: Mapping[str, Any], offset_min: int, language: int
) -> dict[str, str]:
    """Return what the words may name; what the evidence lacks is shown as a dash."""
    unit = str(evidence.get("unit", ""))
    value, threshold = evidence.get("value"), evidence.get("threshold")
    datum = evidence.get("datum")
    since_ms = _number(evidence.get("since_ms"))
    last_ms = _number(evidence.get("last_good_ms", evidence.get("last_tick_ms")))
    time_ms = event["time_ms"]
    centre = event["subject"] == "centre"
    return {
        "subject": words.CENTRE[language] if centre else str(event["subject"]),
        "rule": str(event["rule"]),
        "reason": str(event["reason"]),
        "time": rfc3339(time_ms, offset_min),
        "act": _act(event, language),
        "what": _index(evidence, language),
        "value": _with(value, unit, threshold),
        "threshold": _with(threshold, unit, value),
        "relation": _relation(event, evidence),
        "also": _also(event, evidence, language),
        "datum": f" ({datum})" if datum else "",
        "window": _span(evidence, "window_h", 3_600_000),
        "dry": _span(evidence, "dry_s", 1000),
        "limit": _span(evidence, "limit_s", 1000),
        "silent": _span(evidence, "silent_s", 1000),
        "last": words.NO_TIME[language] if last_ms is None else rfc3339(int(last_ms), offset_min),
        "since": "-" if since_ms is None else rfc3339(int(since_ms), offset_min),
        "held": "-" if since_ms is None else length(time_ms - since_ms),
        "held_level": _level(evidence.get("held_level", "-"), language),
        "successor": str(evidence.get("successor", "-"))[:TEXT_MAX],
    }


def _act(event: Mapping[str, Any], language: int) -> str:
    refuted = str(event["phase"]) == "refuted"
    level = _level(event["level"], language)
    change = "refuted" if refuted else str(event["change"])
    acts = words.GIVES_UP if _is_given_up(event) else words.ACTS
    act = acts.get(change) or words.ACTS.get(change, (f"{change} {{level}}",) * 2)
    return act[language].format(level=level)


def _level(label: object, language: int) -> str:
    level = str(label)[:TEXT_MAX]
    return words.LEVELS_ZH.get(level, level) if language else level


def _relation(event: Mapping[str, Any], evidence: Mapping[str, Any]) -> str:
    """Return the sign of the inequality that decided."""
    falls = event["reason"] in _BELOW or str(event["change"]) in ("eased", "returned")
    value, threshold = _number(evidence.get("value")), _number(evidence.get("threshold"))
    if value is not None and threshold is not None:
        if evidence.get("over"):  # the threshold itself is not enough
            return ">" if value > threshold else "≤"
        return "≥" if value >= threshold else "<"
    return "<" if falls else "≥"


def _also(event: Mapping[str, Any], evidence: Mapping[str, Any], language: int) -> str:
    """Return the further sums of a level that wants several."""
    unit = str(evidence.get("unit", ""))
    return "".join(
        words.ALSO[language].format(
            value=_with(one.get("value"), unit, one.get("threshold")),
            threshold=_with(one.get("threshold"), unit, one.get("value")),
            window=_span(one, "window_h", 3_600_000),
            relation=_relation(event, one),
        )
        for one in _further(evidence)
    )


def _further(evidence: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    given = evidence.get("also")
    rows = given if isinstance(given, list | tuple) else ()
    return [one for one in rows if isinstance(one, dict) and "window_h" in one]


def _index(evidence: Mapping[str, Any], language: int) -> str:
    name = evidence.get("index")
    if name is None:
        return ""
    return words.INDICES.get(str(name), (str(name), str(name)))[language] + " "


def _span(evidence: Mapping[str, Any], key: str, unit_ms: int) -> str:
    value = _number(evidence.get(key))
    return "-" if value is None else length(value * unit_ms)


def _with(value: object, unit: str, beside: object = None) -> str:
    """Return a number with its unit; `beside`: the one that it is compared with."""
    number, other = _number(value), _number(beside)
    if number is None:
        return "-" if value is None else str(value)[:TEXT_MAX]
    short = f"{number:.{DIGITS}g}"
    # Rounding must not make what was decided look undecided: 119.99999999 is not 120.
    undecided = other is not None and number != other and short == f"{other:.{DIGITS}g}"
    exact = repr(number).removesuffix(".0")
    return f"{exact if undecided else short} {unit}".rstrip()


def _number(value: object) -> float | None:
    """Return a finite number as it is, None for whatever else another version may have written."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= NUMBER_MAX else None


def _inputs(evidence: Mapping[str, Any], offset_min: int, language: int) -> list[str]:
    """Return what each input of a joint rule holds, and which are missing."""
    out = []
    for name, form in (("inputs", words.INPUT), ("missing", words.MISSING)):
        for row in _rows(evidence, name)[:INPUTS_MAX]:
            held = _level(row.get("level") or "", language)
            at_ms = _number(row.get("since_ms", row.get("last_good_ms")))
            at = words.NO_TIME[language] if at_ms is None else rfc3339(int(at_ms), offset_min)
            told = {"level": held or words.NO_LEVEL[language], "at": at}
            told |= {"subject": str(row["subject"]), "rule": str(row.get("rule", ""))}
            out.append(form[language].format_map(told))
    return out


def _rows(evidence: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    given = evidence.get(key)
    rows = given if isinstance(given, list | tuple) else ()
    return [one for one in rows if isinstance(one, dict) and "subject" in one]


def _more(evidence: Mapping[str, Any], offset_min: int, language: int) -> list[str]:
    """Return what a rule adds to its evidence, each with its unit."""
    told = _TOLD | {"also"} if _further(evidence) else _TOLD
    # An empty list says nothing; one of another form is told as it is.
    told |= {name for name in _LISTS if _rows(evidence, name) or evidence.get(name) in ([], ())}
    found = [key for key in evidence if key not in told]
    room = MORE_MAX - sum(key in _DOUBTS for key in found)
    rest = set([key for key in found if key not in _DOUBTS][:room])
    found = [key for key in found if key in rest or key in _DOUBTS]
    return [_member(key, evidence[key], offset_min, language) for key in found]


def _member(key: str, value: object, offset_min: int, language: int) -> str:
    ending = max((end for end in ("_ms", *_UNITS) if key.endswith(end)), key=len, default="")
    number = _number(value)
    if number is None or (ending == "_ms" and not isinstance(value, int)):
        ending = ""  # of another version: no quantity
    name = key.removesuffix(ending)
    if language:
        name = members.NAMES.get(key, name)
    if number is None:
        return f"{name} {_word(value, language)}".rstrip()[:TEXT_MAX]
    if ending == "_ms":
        return f"{name} {rfc3339(int(number), offset_min)}"
    if ending == "_s":
        return f"{name} {length(number * 1000)}"
    return f"{name} {_with(value, _UNITS.get(ending, ''))}"


def _word(value: object, language: int) -> str:
    """Return a value that is no number; in Chinese by its word where that is known."""
    if language and isinstance(value, bool | str):
        return members.VALUES.get(value, _level(value, language))
    if language and isinstance(value, list | tuple) and value:
        known = [members.VALUES.get(one) for one in value if isinstance(one, str)]
        if None not in known and len(known) == len(value):
            return words.BETWEEN[language].join(str(one) for one in known)
    if language and isinstance(value, dict) and value:
        numbers = {key: _number(one) for key, one in value.items()}
        if None not in numbers.values():
            rows = [f"{_level(key, language)} {one:.{DIGITS}g}" for key, one in numbers.items()]
            return words.BETWEEN[language].join(rows)
    if isinstance(value, bool | list | tuple | dict):
        return json.dumps(value, ensure_ascii=False)
    return "-" if value is None else str(value)
