"""Joint rules in rules.toml: what is taken, and what is refused with file, key and remedy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rig.jointbook import COLOURS, PACKS, PLACES, RAIN, RIVER, rules
from rig.rulebook import place

from egret_core.errors import ConfigError
from egret_core.rules import inputs
from egret_core.rules.binding import bind
from egret_core.rules.joints import JOINTS
from egret_core.rules.model import BoundRule, Family, JointLaw
from egret_core.rules.packs import parse_pack
from egret_core.rules.warmup import span_ms

VOTE = '[[rule]]\nid = "vote"\npack = "generic-vote"\n'
TWO = 'inputs = [{ rule = "river", channels = ["st1/wl", "st2/*"] }]\nparameters = { need = 2 }\n'
SILENT = '[[rule]]\nid = "silent"\npack = "absence"\nchannels = ["st1/*", "gateway/GW-1"]\n'


def one(text: str) -> BoundRule:
    return rules(text)[-1]


def refused(text: str, first: str = RIVER + RAIN) -> tuple[str, object, str]:
    with pytest.raises(ConfigError) as caught:
        rules(text, first)
    assert caught.value.file == "rules.toml"
    return caught.value.key, caught.value.seen, caught.value.remedy


def test_every_family_of_joint_rules_has_a_pack_with_a_citation() -> None:
    found = {pack.family for pack in PACKS.values() if pack.family in JOINTS and pack.citation}
    assert found == set(JOINTS)
    assert {"two-families-red", "rain-to-flood", "rain-to-slope", "generic-area"} <= set(PACKS)


def test_inputs_are_the_channels_that_a_rule_judges() -> None:
    vote = one(VOTE + TWO)
    assert [(row.subject, row.name, row.line) for row in vote.inputs] == [
        ("st1/wl", "river", "level"),
        ("st2/wl", "river", "level"),
    ]
    assert vote.inputs[0].levels == COLOURS
    assert (vote.family, vote.hazard, vote.place) == (Family.VOTE, "vote", "area/vote")
    assert (vote.channels, vote.gateways) == ((), ())
    assert isinstance(vote.law, JointLaw)
    assert span_ms(vote.law) == 0
    everything = one(VOTE + 'inputs = [{ rule = "river" }]\nparameters = { need = 4 }\n')
    assert len(everything.inputs) == 4


def test_a_name_a_line_and_labels_of_its_own() -> None:
    text = """[[rule]]
id = "fused"
pack = "two-families-red"
station = "st1"
hazard = "flood"
inputs = [
  { rule = "river", name = "gauge", line = "water" },
  { rule = "rain", as = { yellow = "orange" } },
]
"""
    fused = one(text)
    assert (fused.place, fused.hazard) == ("st1/fused", "flood")
    assert {row.line for row in fused.inputs} == {"water", "rain"}
    assert fused.inputs[-1].levels == ("orange", "red")
    assert fused.inputs[-1].name == "rain"


def test_the_version_is_of_all_that_decides() -> None:
    first = one(VOTE + TWO).version
    assert one(VOTE + TWO).version == first
    others = {
        one(VOTE + TWO.replace("need = 2", "need = 1")).version,
        one(VOTE + TWO.replace(', "st2/*"', ', "st3/wl"')).version,
        rules(VOTE + TWO, RIVER.replace("raise = 4.0", "raise = 4.1") + RAIN)[-1].version,
    }
    assert len(others | {first}) == 4


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ('inputs = [{ rule = "rivr" }]', "inputs[0].rule", "did you mean 'river'?"),
        ('inputs = [{ rule = "river", channels = ["st9/wl"] }]', "inputs[0].channels[0]", "'st"),
        ('inputs = [{ rule = "river", channels = ["st1/rn"] }]', "inputs[0].channels[0]", "'st1/"),
        ('inputs = [{ rule = "river", channels = [] }]', "inputs[0].channels", "list channels"),
        ('inputs = [{ rule = "silent" }]', "inputs[0].rule", "silence is told as missing"),
        ('inputs = [{ rule = "vote" }]', "inputs[0].rule", "vote -> vote"),
        ('inputs = [{ rul = "river" }]', "inputs[0].rul", "did you mean 'rule'?"),
        ('inputs = [{ channels = ["st1/wl"] }]', "inputs[0].rule", "text in quotes"),
        ("inputs = []", "inputs", "list what it takes"),
        ("", "inputs", "list of tables"),
        ('channels = ["st1/wl"]', "channels", "unknown key"),
        (
            'inputs = [{ rule = "river" }, { rule = "river", channels = ["st1/wl"] }]',
            "inputs[1]",
            "once",
        ),
        ('inputs = [{ rule = "river", as = { rad = "x" } }]', "inputs[0].as.rad", "'red'?"),
        ('inputs = [{ rule = "river", as = "x" }]', "inputs[0].as", "make it a table"),
        ('inputs = [{ rule = "river", name = "" }]', "inputs[0].name", "printable"),
        ('inputs = [{ rule = "river" }]\nstation = "st9"', "station", "did you mean"),
        ('inputs = [{ rule = "river" }]\narea = "a b"', "area", "A-Z"),
        ('inputs = [{ rule = "river" }]\narea = "a"\nstation = "st1"', "station", "one of them"),
        ('inputs = [{ rule = "river" }]\nhazard = ""', "hazard", "printable"),
        (
            'inputs = [{ rule = "river" }]\nparameters = { need = 5 }',
            "parameters.need",
            "at most 4",
        ),
        (
            'inputs = [{ rule = "river" }]\nparameters = { need = 2, levels = ["purple"] }',
            "parameters.levels[0]",
            "no input has this level",
        ),
        (
            'inputs = [{ rule = "river" }]\nparameters = { need = 1, stale_s = 60 }',
            "parameters.stale_s",
            "900",
        ),
    ],
)
def test_what_is_wrong_is_refused_by_name(text: str, key: str, says: str) -> None:
    if "parameters" not in text:
        text += "\nparameters = { need = 1 }"
    seen_key, _, remedy = refused(VOTE + text + "\n", RIVER + RAIN + SILENT)
    assert seen_key == f"rule[3].{key}"
    assert says in remedy


def joint(name: str, *takes: str) -> str:
    listed = ", ".join(f'{{ rule = "{take}" }}' for take in takes)
    head = f'[[rule]]\nid = "{name}"\npack = "generic-vote"\n'
    return f"{head}inputs = [{listed}]\nparameters = {{ need = 1 }}\n"


def test_a_circle_of_rules_is_refused_wherever_it_begins() -> None:
    text = joint("a", "b") + joint("b", "river", "c") + joint("c", "a")
    key, seen, remedy = refused(text)
    assert (key, seen) == ("rule[4].inputs[0].rule", "a")
    assert "a -> b -> c -> a" in remedy
    straight = joint("a", "b") + joint("b", "river", "c") + joint("c", "river")
    assert [rule.id for rule in rules(straight)] == ["river", "rain", "a", "b", "c"]


def test_a_joint_rule_as_input_has_no_channels() -> None:
    text = joint("b", "river") + VOTE
    text += 'inputs = [{ rule = "b", channels = ["st1/wl"] }]\nparameters = { need = 1 }\n'
    key, _, remedy = refused(text)
    assert (key, remedy) == ("rule[3].inputs[0].channels", "leave it out: b is about area/b")


def test_a_rule_id_twice_is_refused_among_both_stages() -> None:
    key, _, _ = refused(joint("river", "rain"))
    assert key == "rule[2].id"


def test_more_inputs_than_a_rule_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "INPUTS_MAX", 3)
    key, seen, remedy = refused(joint("a", "river"))
    assert (key, seen) == ("rule[2].inputs", 4)
    assert "at most 3" in remedy


def test_a_pack_without_a_citation_is_refused() -> None:
    text = PACKS["generic-vote"].text.replace("citation =", "# citation =")
    with pytest.raises(ConfigError) as caught:
        parse_pack(text, "mine.toml")
    assert (caught.value.file, caught.value.key) == ("mine.toml", "citation")


def test_a_channel_nobody_knows_is_refused_in_the_first_stage() -> None:
    known = {(one.station, one.channel): one for one in PLACES[:2]}
    with pytest.raises(ConfigError) as caught:
        bind(RIVER + joint("a", "river"), "rules.toml", PACKS, known)
    assert caught.value.key == "rule[0].channels[1]"


RED_TWICE = """
[[rule]]
id = "j1"
pack = "generic-vote"
inputs = [{ rule = "river", channels = ["st1/wl"] }]
parameters = { need = 1 }
[[rule]]
id = "top"
pack = "two-families-red"
inputs = [{ rule = "river", channels = ["st1/wl"] }, { rule = "j1", line = "other" }]
parameters = { confirm_by = "sensors" }
"""


@pytest.mark.parametrize("by", ["sensors", "lines", "either"])
def test_a_vote_over_the_same_sensor_is_no_second_one(by: str) -> None:
    text = RED_TWICE.replace("sensors", by)
    key, seen, remedy = refused(text)
    assert (key, seen) == ("rule[3].parameters.confirm", "red")
    assert "one alone never gives it" in remedy
    if by != "lines":
        apart = text.replace('"st1/wl"] }]', '"st2/wl"] }]')
        (row,) = [one for one in rules(apart)[-1].inputs if one.channel is None]
        assert row.sensors == {("st2", "wl")}
        assert row.evidence_lines == {"level", "other"}


def test_labels_of_every_law() -> None:
    bound = {rule.id: rule for rule in rules(SILENT + joint("a", "river"))}
    assert inputs.labels(bound["river"].law) == COLOURS
    assert inputs.labels(bound["rain"].law) == ("yellow", "red")
    assert inputs.labels(bound["silent"].law) == ("fault", "alarm")
    assert inputs.labels(bound["a"].law) == COLOURS


def test_a_pack_s_words_of_another_order_are_refused() -> None:
    pack = PACKS["two-families-red"]
    turned = replace(
        pack,
        parameters={
            **pack.parameters,
            "levels": replace(pack.parameters["levels"], default=["red", "blue"]),
        },
    )
    places: Any = {(one.station, one.channel): one for one in PLACES}
    text = RIVER + '[[rule]]\nid = "x"\npack = "turned"\ninputs = [{ rule = "river" }]\n'
    with pytest.raises(ConfigError, match="orders them"):
        bind(text, "rules.toml", {**PACKS, "turned": turned}, places)


PAGE = Path(__file__).parents[3] / "docs" / "operator" / "rules.md"
BESIDE = """
[[rule]]
id = "river-level"
pack = "generic-level"
channels = ["st0007/wl", "st0007/wl2", "st0008/wl"]
[rule.parameters]
unit = "m"
datum = "Local"
levels = [{ level = "blue", raise = 3.0 }, { level = "red", raise = 4.0 }]
[[rule]]
id = "basin-rain"
pack = "generic-rain"
channels = ["st0007/rn"]
[rule.parameters]
levels = [{ level = "yellow", window_h = 1, sum = 15 }]
"""


def test_the_rules_that_the_operator_s_page_shows_are_taken() -> None:
    shown = PAGE.read_text().partition("## Votes")[2].partition("```toml")[2].partition("```")[0]
    rows = [("st0007", "wl"), ("st0007", "wl2"), ("st0008", "wl")]
    known = {row: place(row[1], "water_level", row[0]) for row in rows}
    known["st0007", "rn"] = place("rn", "rain_total", "st0007")
    bound = bind(BESIDE + shown, "rules.toml", PACKS, known)
    assert [rule.place for rule in bound[2:]] == ["st0007/luoling-agreed", "area/luoling-basin"]
