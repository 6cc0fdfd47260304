"""Every event says why it is, in two languages, from its own fields."""

from __future__ import annotations

import dataclasses
import json
import re
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.rulebook import (
    SIGNALS,
    START_MS,
    bound,
    fold_of,
    ladder,
    place,
    play,
    prompt,
    rain,
    reading,
    silence,
    timeline,
)

from egret_core.rules import explain
from egret_core.rules import explain_words as words
from egret_core.rules.event import Change, ConditionEvent, Phase
from egret_core.rules.explain import LANGUAGES, sentence, sentence_of
from egret_core.rules.indices import INDICES
from egret_core.rules.model import Cause, Family

LAWS = tuple(INDICES.values())
EAST = 480  # minutes: Beijing's offset


def event(**more: Any) -> ConditionEvent:
    fields: dict[str, Any] = {
        "rule": "river@1a2b3c4d",
        "subject": "st1/wl",
        "hazard": "level",
        "change": Change.RAISED,
        "phase": Phase.SETTLED,
        "level": "blue",
        "rank": 1,
        "time_ms": START_MS,
        "reason": "at_or_above",
        "evidence": {"value": 3.4, "threshold": 3.0, "unit": "m", "datum": "Local"},
    }
    return ConditionEvent(**{**fields, **more})


def fields_in(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_words_in_both_languages(cause: Cause) -> None:
    assert str(cause) in words.WHY, f"add {cause} to egret_core/rules/explain_words.py"
    english, chinese = words.WHY[str(cause)]
    assert english.isascii() or english == words.COMPARED[0]
    assert fields_in(english) == fields_in(chinese), cause


def test_what_is_done_has_words_for_every_change() -> None:
    assert {str(change) for change in Change} <= words.ACTS.keys()
    for english, chinese in words.ACTS.values():
        assert fields_in(english) == fields_in(chinese)


@pytest.mark.parametrize("cause", list(Cause))
@pytest.mark.parametrize("change", list(Change))
@pytest.mark.parametrize("phase", list(Phase))
def test_no_event_goes_unexplained(cause: Cause, change: Change, phase: Phase) -> None:
    for evidence in ({}, dict.fromkeys(("value", "threshold", "window_h", "dry_s", "limit_s"))):
        one = event(reason=str(cause), change=change, phase=phase, evidence=evidence)
        told = sentence(one, EAST)
        assert set(told) == set(LANGUAGES)
        for text in told.values():
            assert "river@1a2b3c4d" in text
            assert "st1/wl" in text
            assert "{" not in text
            assert "\n" not in text
        assert told["en"].endswith(".")
        assert told["zh"].endswith("。")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = st.sampled_from(["value", "threshold", "unit", "datum", "window_h", "since_ms", "limit_s"])


@given(st.dictionaries(KEYS | st.text(max_size=12), JSON, max_size=6), st.text(max_size=12))
def test_evidence_of_any_other_version_is_told(evidence: dict[str, Any], reason: str) -> None:
    fields = {**dataclasses.asdict(event()), "evidence": evidence, "reason": reason}
    told = sentence_of(json.loads(json.dumps(fields)))
    assert all(text.strip() for text in told.values())


# What is said of events as the rules make them; to the letter, for people rely on it.
GOLDEN = json.loads((Path(__file__).parent / "sentences.json").read_text(encoding="utf-8"))


def judged() -> dict[str, ConditionEvent]:
    """Settled events of real rules, by cause."""
    river, gauge = place(), place("rn", "rain_total")
    held = bound(ladder(("blue", 3.0, 2.8), persistence_s=120), Family.LEVEL, river)
    at_once = bound(ladder(("blue", 3.0, 2.8)), Family.LEVEL, river)
    storm = bound(rain(*SIGNALS), Family.RAIN, gauge)
    silent = bound(silence(600), Family.ABSENCE, river)
    level = [reading(0, 3.4), reading(60, 2.7), reading(3660, 2.7), reading(3720, 2.7)]
    steady = [reading(60 * n, 3.4) for n in range(5)]
    fell = [
        reading(at, total, gauge)
        for at, total in ((0, 0.0), (3600, 60.0), (3661, 60.0), (14400, 60.0), (14460, 60.0))
    ]
    out: dict[str, ConditionEvent] = {}
    for rule, readings, tail_s in (
        (at_once, level, 60),
        (held, steady, 60),
        (storm, fell, 60),
        (silent, level, 60),
    ):
        fold = fold_of([river, gauge], [rule])
        for one in play(fold, timeline(prompt(readings), tail_s)):
            if one.phase is Phase.SETTLED:
                out.setdefault(one.reason, one)
    return out


@pytest.mark.parametrize("cause", list(GOLDEN))
def test_a_judged_event_is_told_to_the_letter(cause: str) -> None:
    assert sentence(judged()[cause], EAST) == GOLDEN[cause]


def test_a_provisional_event_says_that_it_may_change_and_a_refuted_one_what_is_taken_back() -> None:
    guess = sentence(event(phase=Phase.PROVISIONAL))["en"]
    assert guess.endswith("raises blue; provisional: readings still on their way may change it.")
    false = sentence(event(phase=Phase.REFUTED, reason="not_confirmed", evidence={}))
    assert false["en"].endswith(
        "do not confirm it; rule river@1a2b3c4d takes back its provisional blue."
    )
    assert "撤回暂定的蓝色" in false["zh"]


def test_a_level_that_ended_with_its_rule_is_no_all_clear() -> None:
    ended = event(
        change=Change.RETURNED,
        level="",
        rank=0,
        reason="rule_withdrawn",
        evidence={"held_level": "orange"},
    )
    assert sentence(ended) == {
        "en": "st1/wl at 2017-07-14T02:40:00Z: the rule or its channel was withdrawn while orange "
        "held, and no value was judged to be below it; rule river@1a2b3c4d holds nothing any more; "
        "this is no all-clear, a person closes.",
        "zh": "st1/wl 2017-07-14T02:40:00Z：橙色尚在持续时规则或其通道已撤销，"
        "并未判定数值已回落；规则 river@1a2b3c4d 不再认定任何级别；"
        "这不是解除，须由人员关闭。",
    }


def test_a_level_that_an_edited_rule_does_not_hold_names_the_version_in_force() -> None:
    ended = event(
        change=Change.EASED,
        level="blue",
        reason="rule_withdrawn",
        evidence={"held_level": "orange", "successor": "river@5e6f7a8b"},
    )
    told = sentence(ended)
    assert told["en"] == (
        "st1/wl at 2017-07-14T02:40:00Z: the rule was changed while orange held, which "
        "river@5e6f7a8b does not hold, and no value was judged to be below it; "
        "rule river@1a2b3c4d gives way to blue; this is no all-clear, a person lowers."
    )
    assert "规则已更改，river@5e6f7a8b 不认定该级别" in told["zh"]
    assert "让位于蓝色；这不是解除，须由人员降级。" in told["zh"]
    assert "建议" not in told["zh"]


def test_a_guess_of_a_withdrawn_rule_is_taken_back_as_before() -> None:
    false = event(phase=Phase.REFUTED, reason="rule_withdrawn", evidence={})
    assert sentence(false)["en"].endswith(
        "nobody can settle it; rule river@1a2b3c4d takes back its provisional blue."
    )


def test_an_index_is_told_by_its_name_with_all_its_numbers() -> None:
    evidence = {
        "index": "soil_water",
        "value": 81.377123456,
        "threshold": 80.0,
        "unit": "mm",
        "tank1_mm": 40.5,
        "curve": "a",
        "i_mm_h": 12.5,
        "from_ms": START_MS,
        "votes": [1, 2],
        "lead_s": 900.0,
    }
    told = sentence(event(evidence=evidence))
    assert "soil water index 81.37712 mm ≥ 80 mm;" in told["en"]
    assert "土壤雨量指数 81.37712 mm" in told["zh"]
    for text in (
        "tank1 40.5 mm",
        "curve a",
        "i 12.5 mm/h",
        "from 2017-07-14T02:40:00Z",
        "[1, 2]",
        "lead 15 min",
    ):
        assert text in told["en"]


def test_an_index_or_cause_without_words_is_told_by_its_own_word() -> None:
    evidence = {"index": "wobble", "value": 2.0, "threshold": 1.0, "unit": "deg"}
    told = sentence(event(reason="wobbles_too_much", evidence=evidence))
    assert "wobble 2 deg ≥ 1 deg (wobbles_too_much); rule river@1a2b3c4d raises blue." in told["en"]
    assert "wobbles_too_much" in sentence(event(reason="wobbles_too_much", evidence={}))["zh"]


def test_rounding_hides_no_inequality() -> None:
    evidence = {"value": 119.99999999, "threshold": 120.0, "unit": "mm", "window_h": 3.0}
    told = sentence(event(reason="sum_below_and_dry", evidence=evidence))["en"]
    assert "119.99999999 mm of rain in 3 h < 120 mm" in told


def test_what_held_before_its_rule_and_a_gauge_that_began_anew_are_told() -> None:
    evidence = {
        "value": 60.0,
        "threshold": 50.0,
        "unit": "mm",
        "window_h": 3.0,
        "in_force_ms": START_MS,
        "rebased_ms": START_MS - 60_000,
    }
    told = sentence(event(reason="sum_over_window", evidence=evidence))["en"]
    assert "; it held before the rule took effect at 2017-07-14T02:40:00Z" in told
    assert "; the gauge began anew at 2017-07-14T02:39:00Z" in told


def test_a_level_that_wants_several_sums_tells_each() -> None:
    first = {"value": 120.0, "threshold": 120.0, "window_h": 3.0, "unit": "mm"}
    also = [{"value": 50.1, "threshold": 50.0, "window_h": 1.0, "over": True}]
    told = sentence(event(reason="sum_over_window", evidence={**first, "also": also}))
    assert "120 mm of rain in 3 h ≥ 120 mm, and 50.1 mm in 1 h > 50 mm; rule" in told["en"]
    assert "，且 1 h 雨量 50.1 mm > 50 mm；规则" in told["zh"]
    odd = sentence(event(reason="sum_over_window", evidence={**first, "also": "more"}))["en"]
    assert "also more" in odd


def test_an_index_is_called_something_in_both_languages() -> None:
    for english, chinese in words.INDICES.values():
        assert english.isascii()
        assert not chinese.isascii()


def test_a_joint_rule_tells_its_inputs_and_what_is_missing() -> None:
    inputs = [
        {"rule": "river@1", "subject": "st1/wl", "level": "red", "since_ms": START_MS},
        {"rule": "river@1", "subject": "st2/wl", "level": "", "since_ms": START_MS},
    ]
    evidence = {
        "holding": 1,
        "need": 2,
        "of": 3,
        "unconfirmed": True,
        "inputs": inputs,
        "missing": [{"subject": "st3/wl", "last_good_ms": None}],
    }
    told = sentence(event(subject="area/x", reason="inputs_hold", evidence=evidence))
    assert told["en"] == (
        "area/x at 2017-07-14T02:40:00Z: enough of its inputs hold the level; "
        "rule river@1a2b3c4d raises blue; "
        "st1/wl red by river@1 since 2017-07-14T02:40:00Z, "
        "st2/wl none by river@1 since 2017-07-14T02:40:00Z, "
        "st3/wl is missing (last good: no time), "
        "holding 1, need 2, of 3, unconfirmed true."
    )
    assert "st1/wl 红色（river@1，自 2017-07-14T02:40:00Z）" in told["zh"]
    assert "st3/wl 缺测（最后有效：无）" in told["zh"]
    none = sentence(event(reason="inputs_hold", evidence={"inputs": [], "missing": []}))
    assert none["en"].endswith("raises blue.")


def test_the_centre_is_called_so() -> None:
    evidence = {"last_tick_ms": START_MS, "limit_s": 600.0}
    one = event(subject="centre", reason="no_ticks", level="fault", evidence=evidence)
    told = sentence(one)
    assert told["en"].startswith("the centre at ")
    assert "it was not listening for 10 min, the last time at 2017-07-14T02:40:00Z" in told["en"]
    assert told["zh"].startswith("中心 ")


def test_the_ledgers_own_fields_give_the_same_sentence() -> None:
    one = event()
    kept = json.loads(json.dumps(dataclasses.asdict(one)))
    assert sentence_of(kept, EAST) == sentence(one, EAST)


def test_a_slope_per_hour_is_no_length_of_time() -> None:
    one = event(evidence={"value": 3, "threshold": 2, "slope_per_h": 1.68, "duration_h": 0.5})
    told = sentence(one)["en"]
    assert "slope 1.68 /h, duration 0.5 h" in told


def test_every_index_has_words_in_both_languages() -> None:
    folder = Path(explain.__file__).parent
    text = "".join((folder / f"{m.__module__.rpartition('.')[2]}.py").read_text() for m in LAWS)
    names = set(re.findall(r'IndexLaw\(\s*"(\w+)"', text))
    assert len(names) == len(LAWS)
    assert names <= words.INDICES.keys()
    assert all(english != chinese for english, chinese in words.INDICES.values())


def test_what_is_judged_and_its_estimate_have_names_of_their_own() -> None:
    evidence = {"value": 0, "threshold": 0.8, "unit": "mm/d", "index": "velocity"}
    evidence |= {"velocity_mm_per_day": 0.2954}
    told = sentence(event(change=Change.RETURNED, reason="below_clear", evidence=evidence))["en"]
    assert "velocity beyond noise 0 mm/d < 0.8 mm/d" in told
    assert "; velocity 0.2954 mm/d" in told
