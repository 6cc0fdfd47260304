"""The nowcast on rivers made for the test: what it learns, when it speaks, when it is silent."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig.packbook import bound_to, refusal
from rig.rulebook import GATEWAY, START_MS, fold_of, killed, place, play, prompt, thrice, timeline

from egret_core.errors import ConfigError
from egret_core.reading import Reading
from egret_core.rules.event import Phase, settled_hash
from egret_core.rules.index import Standing
from egret_core.rules.model import ChannelPlace, IndexLaw
from egret_core.rules.nowcast import FAR_M, FT, JUMP_M, LEAST, STEP_MS, Nowcast, Setting, terms
from egret_core.rules.step import Receipt, step
from egret_core.rules.trail import TRAIL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from egret_core.rules.model import BoundRule

RISE_M = 0.06  # a step, while a wave rises
SETTING = Setting(lead=6, base_m=1.0)


def waves(rises: Sequence[int], ebb: int = 24) -> list[float]:
    """Waves that rise so many steps and ebb as many metres in `ebb` steps, from 1 m up."""
    out = [1.0] * 14
    for steps in rises:
        top = steps * RISE_M
        out += [round(1.0 + RISE_M * n, 4) for n in range(1, steps + 1)]
        out += [round(1.0 + top * (1 - n / ebb), 4) for n in range(1, ebb + 1)]
    return out


LEARNED = waves([24] * 8)  # 8 waves: about 20 forecasts scored in each
# Then a gate opens and shuts: up by 0.6 m a step, and down again as soon as it is seen.
GATE = [1.0, 1.6, 2.2, 2.8, 3.4, 4.0, 4.6, 3.1, 1.6, 1.0, 1.0, 1.0]


def run(nowcast: Nowcast, levels: Sequence[float], since: int = 0) -> list[float | None]:
    return [
        nowcast.take(START_MS + n * STEP_MS, level)
        for n, level in zip(count(since), levels, strict=False)
    ]


def test_terms_by_hand_in_feet() -> None:
    levels = [1.0 + FT * value for value in (0, 0, 0, 0, 0, 0, 1, 1, 2, 4, 7, 7.5, 9)]
    assert terms(levels, 1.0) == pytest.approx([1, 9, 1.5, 0.5, 3, 2, 1, 0, 8, 9, 2.25], abs=1e-9)
    falling = [*levels[:-1], 1.0 + FT * 5.5]
    assert terms(falling, 1.0)[2] == pytest.approx(-2)
    assert terms(falling, 1.0)[-1] == 0
    assert terms(levels[::-1], 1.0) == pytest.approx([1, 0, 0, 0, 0, 0, 0, -1, -1, -9, 0], abs=1e-9)


def test_it_learns_how_this_river_rises_and_says_where_it_will_be() -> None:
    nowcast = Nowcast(SETTING)
    run(nowcast, LEARNED)
    found = run(nowcast, waves([24]), len(LEARNED))
    rising = found[14 + 12]  # twelve steps up, six to go to the lead
    assert nowcast.standing is Standing.OK
    assert rising == pytest.approx(1.0 + RISE_M * 19, abs=0.1)
    assert nowcast.trail.persistence_index > 0.5


def test_the_steeper_the_rise_the_wider_the_band() -> None:
    nowcast = Nowcast(SETTING)
    run(nowcast, LEARNED)
    for n, steps in enumerate((0.02, 0.08)):
        since = len(LEARNED) + n * 1000
        rise = [1.0 + steps * k for k in range(14)]
        run(nowcast, rise, since)
        said = nowcast.evidence()
        width = nowcast.trail.quantile(0.9) - nowcast.trail.quantile(0.1)
        expected = width * (6 * steps / (0.15 * FT)) ** 0.5
        assert said["band_high_m"] - said["band_low_m"] == pytest.approx(expected, abs=2e-4)


def test_it_warms_up_until_enough_forecasts_were_scored() -> None:
    nowcast, spoke = Nowcast(SETTING), []
    for n, level in enumerate(LEARNED):
        said = nowcast.take(START_MS + n * STEP_MS, level)
        spoke.append((len(nowcast.trail), said is not None, nowcast.standing))
    assert all(standing is Standing.WARMING_UP for scored, _, standing in spoke if scored < LEAST)
    assert not any(said for scored, said, _ in spoke if scored < LEAST)
    assert any(said for scored, said, _ in spoke if scored >= LEAST)


def test_where_it_does_not_beat_persistence_it_is_not_applicable_and_says_nothing() -> None:
    nowcast = Nowcast(SETTING)
    run(nowcast, LEARNED)
    assert nowcast.standing is Standing.OK
    standings = set()
    for n, level in enumerate(GATE, len(LEARNED)):
        said = nowcast.take(START_MS + n * STEP_MS, level)
        beaten = nowcast.trail.persistence_index <= 0
        assert (said is None) == beaten
        assert nowcast.standing is (Standing.NOT_APPLICABLE if beaten else Standing.OK)
        standings.add(nowcast.standing)
    assert standings == {Standing.OK, Standing.NOT_APPLICABLE}
    run(nowcast, LEARNED * 2, len(LEARNED) + len(GATE))
    assert nowcast.standing is Standing.OK  # it learned its way back


def test_a_stage_that_does_not_rise_is_forecast_to_stay_and_teaches_nothing() -> None:
    nowcast = Nowcast(SETTING)
    run(nowcast, LEARNED)
    before = nowcast.dump()[1]
    found = run(nowcast, [1.02] * 20, len(LEARNED))
    assert found == [1.02] * 20
    assert nowcast.change_m is None
    assert nowcast.evidence()["model"] == "persistence"
    assert "band_low_m" not in nowcast.evidence()
    assert nowcast.dump()[1] == before


@pytest.mark.parametrize("silence", [STEP_MS + 30_001, 2 * STEP_MS, 86_400_000])
def test_after_a_gap_it_waits_until_its_terms_are_whole(silence: int) -> None:
    nowcast = Nowcast(SETTING)
    run(nowcast, LEARNED)
    at = START_MS + (len(LEARNED) - 1) * STEP_MS + silence
    said = [nowcast.take(at + n * STEP_MS, 1.0 + n / 100) for n in range(13)]
    assert said[:12] == [None] * 12
    assert said[12] is not None


def test_what_was_forecast_before_a_gap_is_not_scored_after_it() -> None:
    nowcast = Nowcast(SETTING)
    run(nowcast, waves([20])[:30])
    scored, at = len(nowcast.trail), START_MS + 32 * STEP_MS
    for n in range(13 + SETTING.lead - 1):
        nowcast.take(at + n * STEP_MS, 2.0 + n / 10)
        assert len(nowcast.trail) == scored
    nowcast.take(at + (13 + SETTING.lead - 1) * STEP_MS, 4.0)
    assert len(nowcast.trail) == scored + 1


def test_readings_between_two_steps_are_passed_over() -> None:
    plain, dense = Nowcast(SETTING), Nowcast(SETTING)
    expected = [said for said in run(plain, LEARNED) if said is not None]
    said = []
    for n, level in enumerate(LEARNED):
        for second in (0, 60, 120, 180, 240):
            one = dense.take(START_MS + n * STEP_MS + second * 1000, level + second)
            said += [one] if one is not None else []
    assert said == expected
    assert dense.dump() == plain.dump()


def test_a_clock_that_trembles_or_drifts_a_little_is_followed() -> None:
    nowcast, time_ms = Nowcast(SETTING), START_MS
    for n, level in enumerate(LEARNED):
        time_ms += STEP_MS + (700 if n % 2 else -200)
        nowcast.take(time_ms, level)
    assert len(nowcast.trail) > LEAST
    assert nowcast.standing is Standing.OK


@pytest.mark.parametrize("value", [1.0 + JUMP_M + 2, -JUMP_M - 2])
def test_a_step_that_no_stage_takes_begins_anew(value: float) -> None:
    nowcast = Nowcast(SETTING)
    run(nowcast, LEARNED)
    learned = nowcast.dump()[1]
    assert run(nowcast, [value, *LEARNED[:12]], len(LEARNED)) == [None] * 13
    assert nowcast.standing is Standing.WARMING_UP
    assert nowcast.dump()[1] == learned


def test_where_no_stage_is_it_is_invalid_until_one_is_there() -> None:
    nowcast = Nowcast(SETTING)
    run(nowcast, LEARNED)
    assert run(nowcast, [2 * FAR_M], len(LEARNED)) == [None]
    assert nowcast.standing is Standing.INVALID
    again = Nowcast(SETTING)
    again.restore(json.loads(json.dumps(nowcast.dump())))
    assert again.standing is Standing.INVALID
    again.take(START_MS + (len(LEARNED) + 1) * STEP_MS, 1.0)
    assert again.standing is Standing.WARMING_UP


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([60_000, STEP_MS, STEP_MS, STEP_MS, STEP_MS, 3 * STEP_MS]),
            st.floats(allow_nan=False, allow_infinity=False)
            | st.floats(0, 9)
            | st.integers(0, 30).map(lambda n: n / 10),
        ),
        max_size=80,
    )
)
def test_no_finite_reading_is_too_much(rows: list[tuple[int, float]]) -> None:
    nowcast, now = Nowcast(Setting(1, 0.0)), START_MS
    for wait_ms, value in rows:
        now += wait_ms
        nowcast.take(now, value)
    text = json.dumps(nowcast.dump(), allow_nan=False)
    assert len(text) < 40 * (66 + 11 + 14 + 1) + 24 * TRAIL


def dice_river() -> Iterator[float]:
    """A river that goes its own way, in steps of a centimetre."""
    level = 1.0
    for n in count():
        level = max(1.0, level + ((n * n * 7919) % 23 - 8) / 100 - 0.03 * (level - 1))
        yield round(level, 2)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 899))
def test_a_restart_anywhere_says_the_same(cut: int) -> None:
    whole, parts = Nowcast(SETTING), Nowcast(SETTING)
    for n, level in zip(range(900), dice_river(), strict=False):
        if n == cut:
            saved = json.loads(json.dumps(parts.dump()))
            parts = Nowcast(SETTING)
            parts.restore(saved)
            assert parts.standing == whole.standing
        time_ms = START_MS + n * STEP_MS
        assert whole.take(time_ms, level) == parts.take(time_ms, level)
        assert whole.standing == parts.standing
    assert whole.dump() == parts.dump()
    assert len(whole.trail) == TRAIL


RULES = """
    [[rule]]
    id = "ahead"
    pack = "river-nowcast"
    channels = ["st1/wl"]
    [rule.parameters]
    unit = "m"
    datum = "Local"
    base = 1.0
    lead_s = 1800
    levels = [{ level = "yellow", raise = 2.2, clear = 2.0 }]

    [[rule]]
    id = "river"
    pack = "generic-level"
    channels = ["st1/wl"]
    [rule.parameters]
    unit = "m"
    datum = "Local"
    levels = [{ level = "yellow", raise = 2.2, clear = 2.0 }]
"""


def bound(text: str = RULES, on: ChannelPlace | None = None) -> tuple[BoundRule, ...]:
    return bound_to(text, on or place())


def stages(levels: Sequence[float]) -> list[Reading]:
    return [Reading("st1", "wl", START_MS + n * STEP_MS, level) for n, level in enumerate(levels)]


def test_the_forecast_raises_first_and_the_level_itself_raises_its_own() -> None:
    out = play(fold_of([place()], bound()), timeline(prompt(stages(LEARNED)), ticks=False))
    raised = [e for e in out if e.phase is Phase.SETTLED and str(e.change) == "raised"]
    ahead = next(e for e in raised if e.rule.startswith("ahead@"))
    river = next(e for e in raised if e.rule.startswith("river@") and e.time_ms >= ahead.time_ms)
    assert 0 < river.time_ms - ahead.time_ms <= 1_800_000
    assert "basis" not in river.evidence
    said = ahead.evidence
    assert (said["basis"], said["model"], said["index"]) == ("forecast", "arx", "nowcast")
    assert (said["unit"], said["datum"], said["threshold"]) == ("m", "Local", 2.2)
    assert (said["lead_s"], said["forecast_for_ms"] - ahead.time_ms) == (1800, 1_800_000)
    assert said["level_m"] < 2.2 <= said["value"]
    assert said["band_low_m"] <= said["value"] <= said["band_high_m"]
    assert (said["band_low_quantile"], said["band_high_quantile"]) == (0.1, 0.9)
    assert 0 < said["persistence_index"] <= 1
    assert LEAST <= said["forecasts_scored"] <= TRAIL


def test_repeated_or_killed_the_same_settled_events() -> None:
    rules, on = bound(), [place()]
    rows = stages(LEARNED)
    items = timeline(prompt(rows), ticks=False)
    once = play(fold_of(on, rules), items)
    assert any(event.rule.startswith("ahead@") for event in once)
    expected = settled_hash(once)
    again = play(fold_of(on, rules), timeline(thrice(prompt(rows), 7), ticks=False))
    assert settled_hash(again) == expected
    cuts = set(range(3, len(items), 17))
    assert settled_hash(killed(on, rules, items, cuts)) == expected


def test_what_it_cannot_judge_is_said_and_a_level_that_holds_stays() -> None:
    fold = fold_of([place()], bound())
    (channel,) = fold.channels["st1"].values()
    name = channel.detectors[0].rule
    rows = [*LEARNED, *waves([24])[: 14 + 22]]
    play(fold, timeline(prompt(stages(rows)), ticks=False))
    assert (channel.detectors[0].rank, channel.standings()) == (1, {})
    later_ms = START_MS + (len(rows) + 50) * STEP_MS
    for n in range(5):
        one = Reading("st1", "wl", later_ms + n * STEP_MS, 1.0)
        assert not [
            e for e in step(fold, Receipt(GATEWAY, one.time_ms + 500, [one]))[1] if e.rule == name
        ]
    assert (channel.detectors[0].rank, channel.standings()) == (1, {name: "warming_up"})


@pytest.mark.parametrize(
    ("change", "key", "remedy"),
    [
        (("lead_s = 1800", "lead_s = 1000"), "lead_s", "multiple of 300"),
        (("lead_s = 1800", "lead_s = 7200"), "lead_s", "at most 3600"),
        (('datum = "Local"', 'datum = "Yellow Sea"'), "datum", "Local"),
        (('unit = "m"', 'unit = "kPa"'), "base", "kPa"),
        (("base = 1.0", "base = 1.0\nquantile = 1.5"), "quantile", "at most 0.95"),
        (("base = 1.0", "base = 1.0\nforgetting = 0"), "forgetting", "at least 0.9"),
        (("base = 1.0", "base = 1.0\nrising_m = 0"), "rising_m", "at least 0.001"),
        (("base = 1.0", ""), "base", "river-nowcast needs it"),
        (("clear = 2.0", "clear = 2.3"), "levels[0].clear", "at most the raise"),
    ],
)
def test_bad_parameters_are_refused_by_key_with_a_remedy(
    change: tuple[str, str], key: str, remedy: str
) -> None:
    with refusal(key, remedy):
        bound(RULES.replace(*change, 1))


def test_the_example_of_the_page_is_a_rule() -> None:
    page = (Path(__file__).parents[3] / "docs/operator/rules.md").read_text()
    (example,) = [
        text for text in page.split("```") if text.startswith("toml") and "river-nowcast" in text
    ]
    text = example.removeprefix("toml").replace("st0007/wl", "st1/wl").replace("Luoling", "Local")
    law = bound(text)[0].law
    assert isinstance(law, IndexLaw)
    assert (law.name, law.ladder.rungs[0].raise_at) == ("nowcast", 14.5)


def test_only_a_level_of_water_is_forecast() -> None:
    rain = ChannelPlace("st1", "wl", "rain_total", "mm", "Local", GATEWAY)
    with pytest.raises(ConfigError, match="rain_total"):
        bound(on=rain)


def test_feet_and_metres_are_the_same_rule() -> None:
    metres = bound()[0].law
    assert isinstance(metres, IndexLaw)
    feet_rule = RULES.replace('unit = "m"', 'unit = "ft"', 1)
    for number in ("1.0", "2.2", "2.0"):
        feet_rule = feet_rule.replace(f" = {number}", f" = {float(number) / FT!r}", 1)
    feet = bound(feet_rule)[0].law
    assert isinstance(feet, IndexLaw)
    assert feet.ladder == metres.ladder
    for law in (metres, feet):
        nowcast = law.make()
        said = [nowcast.take(START_MS + n * STEP_MS, level) for n, level in enumerate(LEARNED)]
        assert len([one for one in said if one is not None]) > 100
