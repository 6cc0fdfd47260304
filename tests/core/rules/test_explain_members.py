"""What a rule adds to its evidence is told in Chinese by its Chinese name."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from rig.rulebook import START_MS

from egret_core.quality import Reason, bit_names
from egret_core.rules import explain, explain_members
from egret_core.rules.event import Change, ConditionEvent, Phase
from egret_core.rules.explain import sentence
from egret_core.rules.screened import REASONS

EAST = 480  # minutes: Beijing's offset
TELL = {"evidence", "evidence_of", "_say"}  # functions that make evidence
TOLD_BY_WORDS = {"window_h", "over", "threshold", "unit", "value", "index", "also", "dry_s"}
BUILT = {"tank1_mm", "tank2_mm", "tank3_mm", "band_low_m", "band_high_quantile"}
BY_THE_CENTRE = {
    *("gap_from_ms", "gap_to_ms", "retrospective", "same_rise_until_ms"),
    *("screening", "unconfirmed", "flapped", "inputs_not_listed"),
}


def members() -> set[str]:
    """Return every member that a rule's code puts into evidence."""
    found: set[str] = set()
    for path in Path(explain.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name in TELL:
                found |= {key for part in ast.walk(node) for key in keys(part)}
    return found


def keys(node: ast.AST) -> list[str]:
    given: list[ast.expr | None] = []
    if isinstance(node, ast.Dict):
        given = [*node.keys]
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
        given = [node.slice]
    constants = [one.value for one in given if isinstance(one, ast.Constant)]
    return [one for one in constants if isinstance(one, str)]


def said(**evidence: Any) -> str:
    one = ConditionEvent(
        rule="slide@1",
        subject="st1/gnss",
        hazard="slope",
        change=Change.RAISED,
        phase=Phase.SETTLED,
        level="orange",
        rank=2,
        time_ms=START_MS,
        reason="at_or_above",
        evidence={"index": "slope", "value": 3.0, "threshold": 3.0, "unit": "", **evidence},
    )
    return sentence(one, EAST)["zh"]


def test_every_member_has_a_name_in_chinese() -> None:
    found = members()
    assert len(found) > 50
    assert "failure_ms" in found
    missing = (found | BUILT | BY_THE_CENTRE) - TOLD_BY_WORDS - explain_members.NAMES.keys()
    assert missing == set(), "add them to egret_core/rules/explain_members.py"


def test_every_reason_of_the_screening_has_a_word_in_chinese() -> None:
    names = {name.lower() for reason in REASONS for name in bit_names(int(reason), Reason)}
    assert len(names) == len(REASONS)
    assert names <= explain_members.VALUES.keys()


def test_numbers_keep_their_units_and_instants_their_offset() -> None:
    text = said(velocity_mm_per_day=12.5, failure_ms=START_MS, lead_s=900.0, angle_deg=81.25)
    assert text.endswith(
        "；速率 12.5 mm/d、预计失稳时刻 2017-07-14T10:40:00+08:00、预见期 15 min、切线角 81.25 °。"
    )


@pytest.mark.parametrize(
    ("member", "value", "told"),
    [
        ("unconfirmed", True, "未经证实 是"),
        ("basis", "forecast", "依据 预报"),
        ("screening", ["spike", "rate"], "检验存疑 突跳、变率"),
        ("lines_of_evidence", ["angle", "inverse_velocity"], "独立依据 切线角、速度倒数"),
        ("lines_of_evidence", [], "独立依据 []"),
        ("curve", "I = 14.82 D^-0.39", "阈值曲线 I = 14.82 D^-0.39"),
        ("failure_ms", None, "预计失稳时刻 -"),
        ("failure_ms", "soon", "预计失稳时刻 soon"),
        ("wobble_mm", 3.0, "wobble 3 mm"),
        ("lines_of_evidence", ["angle", "another"], '独立依据 ["angle", "another"]'),
    ],
)
def test_words_are_told_in_chinese_where_they_are_known(
    member: str, value: object, told: str
) -> None:
    assert said(**{member: value}).endswith(f"；{told}。")
