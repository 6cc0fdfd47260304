"""What a timeline may not say: what nothing could ever meet, or break, tests nothing. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egret_core.rules import running
from egret_core.rules.inputs import labels
from egret_core.rules.model import AbsenceLaw, JointLaw
from egret_core.rules.packs import meant
from egret_core.sources import subject_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_core.rules.model import BoundRule
    from egret_core.rules.timeline import Expected, Script

_CENTRE = running.RULE.partition("@")[0]


class _Speaker(NamedTuple):
    """A rule, the subjects of its events and the levels it can say."""

    rule: str
    subjects: tuple[str, ...]
    levels: tuple[str, ...]


def refuse_idle(script: Script, rules: Sequence[BoundRule]) -> None:
    """Refuse what tests nothing.

    Raises:
        ConfigError: an expectation of a rule, subject or level that is not there, or of a time
            that is not played; nothing measured where no rule judges silence.
    """
    speakers = [
        *(_speaker(rule) for rule in rules),
        _Speaker(_CENTRE, (running.SUBJECT,), (running.LABEL,)),
    ]
    for one in script.expected:
        _refuse_unknown(script, one, speakers)
        _refuse_unplayed(script, one)
    silence = any(isinstance(rule.law, AbsenceLaw) for rule in rules)
    if not script.series and not silence and not _of_the_centre(script):
        remedy = "no rule judges silence: give readings, e.g. st1/wl from 0 every 1m: 2.0x10"
        raise script.told(1, "", remedy)


def _speaker(rule: BoundRule) -> _Speaker:
    if isinstance(rule.law, JointLaw):
        return _Speaker(rule.id, (rule.place,), labels(rule.law))
    subjects = [*("/".join(pair) for pair in rule.channels), *map(subject_of, rule.gateways)]
    return _Speaker(rule.id, tuple(subjects), labels(rule.law))


def _refuse_unknown(script: Script, one: Expected, speakers: Sequence[_Speaker]) -> None:
    here = [speaker for speaker in speakers if one.rule in ("", speaker.rule)]
    if not here:
        known = [speaker.rule for speaker in speakers]
        raise script.told(one.line, one.rule, meant(one.rule, known, "unknown rule"))
    subjects = {subject for speaker in here for subject in speaker.subjects}
    if one.subject and one.subject not in subjects:
        what = f"{one.rule} says nothing of it" if one.rule else "unknown subject"
        raise script.told(one.line, one.subject, meant(one.subject, subjects, what))
    here = [speaker for speaker in here if not one.subject or one.subject in speaker.subjects]
    levels = {level for speaker in here for level in speaker.levels}
    if one.level and one.level not in levels:
        raise script.told(one.line, one.level, meant(one.level, levels, "unknown level"))


def _refuse_unplayed(script: Script, one: Expected) -> None:
    if script.until_ms is None:
        return
    at_ms = one.to_ms if one.change is None else (one.from_ms + one.to_ms) // 2
    if at_ms > script.until_ms:
        remedy = "that is after the end of the play: play until a later time, or leave that out"
        raise script.told(one.line, one.text, remedy)


def _of_the_centre(script: Script) -> bool:
    """Tell whether the centre's own fault is what is tested: it needs no readings."""
    return bool(script.down) and any(one.rule == _CENTRE for one in script.expected)
