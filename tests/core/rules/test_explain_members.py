"""What a rule adds to its evidence is told in Chinese by its Chinese name."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from rig.events import bare
from rig.rulebook import START_MS

import egret_aggregator
from egret_core.quality import Reason, bit_names
from egret_core.rules import explain, explain_members
from egret_core.rules.explain import sentence
from egret_core.rules.screened import REASONS

EAST = 480  # minutes: Beijing's offset
FOLDERS = (Path(explain.__file__).parent, Path(egret_aggregator.__file__).parent / "cli")
# Functions that make evidence, or add to it.
TELL = {"evidence", "evidence_of", "_say", "_marked", "_note", "_inputs_told", "_rises", "settle"}
# What the templates tell by themselves, and members of rows that are told in a form of their own.
TOLD = {*explain._TOLD, "inputs", "missing", "also", "subject", "rule", "level", "rank", "since_ms"}
BY_THE_CENTRE = {
    *("gap_from_ms", "gap_to_ms", "retrospective", "same_rise_until_ms", "flapped"),
}


def members() -> set[str]:
    """Return every member that code puts into evidence."""
    found: set[str] = set()
    for path in (path for folder in FOLDERS for path in folder.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name in TELL:
                found |= {key for part in ast.walk(node) for key in keys(part)}
    return found


def keys(node: ast.AST) -> list[str]:
    """Return the keys that a node gives, those that are counted with 1 as their number."""
    given: list[ast.expr | None] = []
    if isinstance(node, ast.Dict):
        given = [*node.keys]
    elif isinstance(node, ast.DictComp):
        given = [node.key]
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
        given = [node.slice]
    return [key for one in given if (key := key_of(one))]


def key_of(given: ast.expr | None) -> str:
    if isinstance(given, ast.Constant) and isinstance(given.value, str):
        return given.value
    if isinstance(given, ast.JoinedStr):
        parts = (one.value if isinstance(one, ast.Constant) else "1" for one in given.values)
        text = "".join(map(str, parts))
        return f"band_low{text[1:]}" if text.startswith("1_") else text
    return ""


def said(**evidence: Any) -> str:
    told = {"index": "slope", "value": 3.0, "threshold": 3.0, "unit": "", **evidence}
    return sentence(bare("orange", 2, told), EAST)["zh"]


def test_every_member_has_a_name_in_chinese() -> None:
    found = members()
    assert len(found) > 60
    assert found >= {"failure_ms", "stage1_since_ms", "tank1_mm", "screening", "reached"}
    missing = (found | BY_THE_CENTRE) - TOLD - explain_members.NAMES.keys()
    assert missing == set(), "add them to egret_core/rules/explain_members.py"


def test_every_reason_of_the_screening_has_a_word_in_chinese() -> None:
    names = {name.lower() for reason in REASONS for name in bit_names(int(reason), Reason)}
    assert len(names) == len(REASONS)
    assert names <= explain_members.VALUES.keys()


def test_numbers_keep_their_units_and_instants_their_offset() -> None:
    text = said(velocity_mm_per_day=12.5, failure_ms=START_MS, lead_s=900.0, angle_deg=81.25)
    assert text.endswith(
        "；速率 12.5 mm/d、预计失稳时刻 2017-07-14T10:40:00+08:00、"
        "预见期 15 min、改进切线角 81.25 °。"
    )


@pytest.mark.parametrize(
    ("member", "value", "told"),
    [
        ("unconfirmed", True, "未经证实"),
        ("unconfirmed", False, "未经证实 否"),
        ("reached", "red", "曾达级别 红色"),
        ("minutes_to", {"orange": 12.5, "red": 40}, "距各级别（分钟） 橙色 12.5、红色 40"),
        ("minutes_to", {"orange": "soon"}, '距各级别（分钟） {"orange": "soon"}'),
        ("stage2_until_ms", START_MS, "第2阶段窗口止于 2017-07-14T10:40:00+08:00"),
        ("basis", "forecast", "依据 预报"),
        ("screening", ["spike", "rate"], "检验存疑 突跳、变化率"),
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


def test_a_doubt_is_told_however_much_there_is_to_tell() -> None:
    many = {f"member{n}": n for n in range(explain.MORE_MAX + 9)}
    text = said(**many, screening=["spike"], unconfirmed=True)
    last = explain.MORE_MAX - 3  # they are counted from 0, and two are the doubts
    assert text.endswith(f"、member{last} {last}、检验存疑 突跳、未经证实。")
