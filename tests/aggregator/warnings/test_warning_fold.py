"""The pure fold: levels rise by rule and fall by a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.events import STORM_MS, event, forecast, guess

from egret_aggregator.warnings import acts, fold
from egret_aggregator.warnings.acts import Act, ActRefusedError, Refusal
from egret_aggregator.warnings.record import EMPTY, Kind, sealed
from egret_aggregator.warnings.state import (
    Condition,
    State,
    WarningState,
    from_json,
    summary,
    to_json,
)

if TYPE_CHECKING:
    from egret_core.rules.event import ConditionEvent


def told(*events: ConditionEvent) -> WarningState:
    state = fold.opened(events[0], 1, 1000)
    for seq, item in enumerate(events[1:], 2):
        state = fold.after_event(state, item, seq, 1000 + seq)
    return state


def done(state: WarningState, kind: Kind, *, level: str = "", note: str = "seen") -> WarningState:
    act = Act(kind, state.id, "officer:li", note=note, level=level, despite_condition=True)
    acts.check(state, act)
    line = sealed(
        EMPTY,
        time_ms=state.changed_ms + 1,
        actor=act.actor,
        kind=kind,
        warning=state.id,
        key=None,
        body=act.content(state),
    )
    return fold.after_act(state, line._replace(seq=state.last_seq + 1))


def test_a_raise_opens_a_warning_that_is_named_after_its_event() -> None:
    first = event("raised", 1, 3)
    state = told(first)
    assert (state.id, state.rule, state.subject) == (first.id, "river-level", "st0007/wl")
    assert (state.station, state.hazard) == ("st0007", "level")
    assert (state.state, state.condition, state.phase) == ("open", "active", "settled")
    assert (state.level, state.rank, state.onset_ms) == ("blue", 1, STORM_MS + 180_000)


@pytest.mark.parametrize(
    "subject", ["gateway/XM-TA-0042", "area/basin", "centre", "feed:hydrology"]
)
def test_a_gateway_an_area_a_feed_and_the_centre_are_no_stations(subject: str) -> None:
    assert told(event("raised", 1, subject=subject)).station == ""


def test_an_upgrade_raises_the_level_and_asks_for_an_acknowledgement_of_its_own() -> None:
    seen = done(told(event("raised", 1)), Kind.ACKNOWLEDGED)
    assert seen.state is State.ACKNOWLEDGED
    higher = fold.after_event(seen, event("upgraded", 3, 9), 9, 9000)
    assert (higher.level, higher.rank, higher.state) == ("orange", 3, State.OPEN)
    assert higher.acknowledged is not None
    assert higher.acknowledged.by == "officer:li"


def test_easing_and_returning_only_propose() -> None:
    state = told(event("raised", 1), event("upgraded", 4, 1), event("eased", 2, 5))
    assert (state.level, state.condition, state.holding_level) == (
        "red",
        Condition.EASED,
        "yellow",
    )
    back = fold.after_event(state, event("returned", 0, 8), 9, 9000)
    assert (back.level, back.condition, back.holding_rank) == ("red", Condition.RETURNED, 0)
    assert back.state is State.OPEN


def test_settling_a_guess_changes_its_phase_and_nothing_a_person_did() -> None:
    first = guess("raised", 4, 2)
    seen = done(told(first), Kind.ACKNOWLEDGED)
    assert seen.phase == "provisional"
    sure = fold.after_event(seen, event("raised", 4, 1, names=first), 5, 5000)
    assert (sure.phase, sure.state, sure.level) == ("settled", State.ACKNOWLEDGED, "red")
    assert sure.onset_ms == STORM_MS + 60_000  # the earliest qualifying time


def test_settling_higher_than_the_guess_is_a_rise() -> None:
    first = guess("raised", 1, 2)
    seen = done(told(first), Kind.ACKNOWLEDGED)
    higher = fold.after_event(seen, event("raised", 3, 2, names=first), 5, 5000)
    assert (higher.level, higher.state, higher.phase) == ("orange", State.OPEN, "settled")
    assert [step.rank for step in higher.steps] == [3]  # the guess below was absorbed


def test_a_refuted_guess_is_shown_and_stays_until_a_person_closes_it() -> None:
    first = guess("raised", 4)
    state = told(first, event("raised", 4, 0, phase="refuted", names=first))
    assert (state.phase, state.condition, state.level) == ("refuted", Condition.REFUTED, "red")
    assert state.state is State.OPEN
    assert done(state, Kind.CLOSED).state is State.CLOSED


def test_a_refuted_upgrade_leaves_what_was_settled_below_it() -> None:
    first, leap = event("raised", 2), guess("upgraded", 4, 1)
    state = told(first, leap, event("raised", 4, 1, phase="refuted", names=leap))
    assert (state.level, state.holding_level, state.phase) == ("red", "yellow", "settled")
    assert state.condition is Condition.EASED


def test_refuting_something_else_changes_nothing_that_holds() -> None:
    state = told(
        event("raised", 2), event("raised", 4, 1, phase="refuted", names=guess("raised", 4))
    )
    assert (state.level, state.condition, state.phase) == ("yellow", Condition.ACTIVE, "settled")


def test_what_was_true_and_is_over_does_not_become_a_false_alarm() -> None:
    over = told(event("raised", 2), event("returned", 0, 9))
    late = event("raised", 4, 1, phase="refuted", names=guess("raised", 4, 1))
    after = fold.after_event(over, late, 5, 5000)
    assert (after.condition, after.phase) == (Condition.RETURNED, "settled")
    assert after.last_seq == 5  # yet its line is among the warning's own


def test_a_guess_on_record_that_returned_can_still_prove_false() -> None:
    first = guess("raised", 4)
    over = told(first, event("returned", 0, 9))
    late = event("raised", 4, 0, phase="refuted", names=first)
    after = fold.after_event(over, late, 5, 5000)
    assert (after.condition, after.phase, after.level) == (Condition.REFUTED, "refuted", "red")


def test_a_rise_after_a_return_reopens_the_acknowledged_warning() -> None:
    seen = done(told(event("raised", 2)), Kind.ACKNOWLEDGED)
    back = fold.after_event(seen, event("returned", 0, 5), 5, 5000)
    assert back.state is State.ACKNOWLEDGED
    lesser = fold.after_event(back, event("raised", 1, 6), 6, 6000)
    assert (lesser.state, lesser.level) == (State.ACKNOWLEDGED, "yellow")
    again = fold.after_event(lesser, event("upgraded", 2, 7), 7, 7000)
    assert (again.state, again.condition) == (State.OPEN, Condition.ACTIVE)


def test_a_level_lowered_by_a_person_rises_again_by_rule_only() -> None:
    high = told(event("raised", 1), event("upgraded", 4, 1))
    low = done(high, Kind.LOWERED, level="blue")
    assert (low.level, low.rank, low.holding_level) == ("blue", 1, "red")
    assert low.condition is Condition.ACTIVE
    again = fold.after_event(low, event("raised", 4, 9), 9, 9000)
    assert (again.level, again.state) == ("red", State.OPEN)


def test_settling_does_not_undo_what_a_person_lowered() -> None:
    first = guess("raised", 4)
    state = told(event("raised", 1), first)
    low = done(done(state, Kind.ACKNOWLEDGED), Kind.LOWERED, level="blue")
    sure = fold.after_event(low, event("upgraded", 4, 0, names=first), 9, 9000)
    assert (sure.level, sure.phase, sure.state) == ("blue", "settled", State.ACKNOWLEDGED)


def test_a_warning_says_whether_its_level_was_measured_or_forecast() -> None:
    assert told(event("raised", 1)).basis == "observed"
    state = told(forecast("raised", 1))
    assert (state.basis, summary(state)["basis"]) == ("forecast", "forecast")
    assert from_json(to_json(state)) == state
    assert fold.after_event(state, forecast("returned", 0, 9), 2, 2000).basis == "forecast"


def test_what_is_measured_takes_the_place_of_what_was_forecast() -> None:
    rule = "river@1"
    ahead = told(forecast("raised", 1, rule=rule))
    assert fold.after_event(ahead, event("raised", 1, 5, rule=rule), 2, 2000).basis == "observed"
    measured = told(event("raised", 2, rule=rule))
    higher = fold.after_event(measured, forecast("upgraded", 3, 5, rule=rule), 2, 2000)
    assert higher.basis == "forecast"
    lesser = fold.after_event(measured, forecast("raised", 1, 5, rule=rule), 2, 2000)
    assert lesser.basis == "observed"


def test_what_was_written_before_there_were_forecasts_stays_as_it_was() -> None:
    state = told(event("raised", 1))
    assert "basis" not in to_json(state)
    assert "basis" not in summary(state)


def test_events_go_to_the_standing_warning_of_their_rule_and_subject() -> None:
    standing = told(event("raised", 1))
    assert fold.place(event("upgraded", 2), standing, None) is standing
    assert fold.place(event("raised", 1, rule="river-level@ffff"), standing, None) is standing


def test_a_guess_settled_after_closing_belongs_to_the_closed_warning() -> None:
    first = guess("raised", 2)
    closed = done(told(first), Kind.CLOSED)
    sure = event("raised", 2, names=first)
    assert fold.place(sure, None, closed) is closed
    after = fold.after_event(closed, sure, 9, 9000)
    assert (after.state, after.phase, after.level) == (State.CLOSED, "settled", "yellow")


def test_a_guess_settled_higher_than_what_was_closed_opens_anew() -> None:
    first = guess("raised", 2)
    closed = done(told(first), Kind.CLOSED)
    assert fold.place(event("raised", 4, names=first), None, closed) is None


def test_only_a_rise_opens() -> None:
    assert fold.opens(event("raised", 1))
    assert fold.opens(event("upgraded", 4))  # its warning was closed while the level held
    assert not fold.opens(event("eased", 1))
    assert not fold.opens(event("returned", 0))
    assert not fold.opens(event("raised", 1, phase="refuted"))


def refusal(state: WarningState | None, act: Act) -> Refusal:
    with pytest.raises(ActRefusedError) as caught:
        acts.check(state, act)
    return caught.value.why


def act(kind: Kind, **more: object) -> Act:
    return Act(kind, "w", "officer:li", **more)  # type: ignore[arg-type]


def test_what_a_person_may_not_do() -> None:
    high = told(event("raised", 1), event("upgraded", 4, 1))
    assert refusal(None, act(Kind.CLOSED)) is Refusal.UNKNOWN_WARNING
    assert refusal(high, act(Kind.CLOSED)) is Refusal.NOTE_MISSING
    assert refusal(high, act(Kind.CLOSED, note=" \n")) is Refusal.NOTE_MISSING
    assert refusal(high, act(Kind.CLOSED, note="x")) is Refusal.CONDITION_HOLDS
    assert refusal(high, act(Kind.CLOSED, note="x" * 2001)) is Refusal.NOTE_TOO_LONG
    assert refusal(high, act(Kind.LOWERED, note="x", level="puce")) is Refusal.UNKNOWN_LEVEL
    assert refusal(high, act(Kind.LOWERED, note="x", level="red")) is Refusal.NOT_LOWER
    assert refusal(high, act(Kind.LOWERED, note="x", level="blue")) is Refusal.CONDITION_HOLDS
    assert refusal(high, act(Kind.ACKNOWLEDGED, expected_seq=1)) is Refusal.CHANGED_MEANWHILE
    seen = done(high, Kind.ACKNOWLEDGED)
    assert refusal(seen, act(Kind.ACKNOWLEDGED)) is Refusal.ALREADY_ACKNOWLEDGED
    ended = done(high, Kind.CLOSED)
    for kind in (Kind.ACKNOWLEDGED, Kind.LOWERED, Kind.CLOSED):
        assert refusal(ended, act(kind, note="x", level="blue")) is Refusal.WARNING_CLOSED


def test_an_eased_warning_comes_down_to_what_holds_without_further_words() -> None:
    eased = told(event("raised", 4), event("eased", 2, 5))
    assert acts.check(eased, act(Kind.LOWERED, note="the gauge fell", level="yellow")) is eased
    back = fold.after_event(eased, event("returned", 0, 9), 9, 9000)
    assert acts.check(back, act(Kind.CLOSED, note="all over")) is back


CHANGES = st.sampled_from(
    [
        ("raised", 1),
        ("raised", 4),
        ("upgraded", 2),
        ("upgraded", 3),
        ("upgraded", 4),
        ("eased", 1),
        ("eased", 2),
        ("returned", 0),
    ]
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("event"), CHANGES, st.sampled_from(["settled", "provisional"])),
        st.tuples(st.just("refute"), st.integers(0, 9)),
        st.tuples(st.just("act"), st.sampled_from([Kind.ACKNOWLEDGED, Kind.LOWERED, Kind.CLOSED])),
    ),
    max_size=25,
)


@given(STEPS)
def test_no_path_leads_down_without_a_person(steps: list[tuple[object, ...]]) -> None:
    first = guess("raised", 2)
    state, guesses = fold.opened(first, 1, 1000), [first]
    for minute, step in enumerate(steps, 1):
        before = state
        if step[0] == "act":
            kind = Kind(str(step[1]))
            level = min(state.levels, key=lambda label: state.levels[label])
            try:
                state = done(state, kind, level=level)
            except ActRefusedError:
                continue
            assert state.level == (level if kind is Kind.LOWERED else before.level)
        else:
            if step[0] == "event":
                (change, rank), phase = step[1], step[2]  # type: ignore[misc]
                news = event(str(change), int(str(rank)), minute, phase=str(phase))
            else:
                named = guesses[int(str(step[1])) % len(guesses)]
                news = event("raised", named.rank, minute, phase="refuted", names=named)
            if news.phase == "provisional":
                guesses.append(news)
            state = fold.after_event(state, news, minute + 1, 1000 + minute)
            assert state.rank >= before.rank
            assert (state.state is State.CLOSED) == (before.state is State.CLOSED)
        assert state.holding_rank == max((s.rank for s in state.steps), default=0)
        assert (state.condition in (Condition.RETURNED, Condition.REFUTED)) == (not state.steps)
        assert len(state.steps) <= 4
        assert from_json(to_json(state)) == state
        assert summary(from_json(to_json(state))) == summary(state)


def test_an_event_comes_back_from_its_json() -> None:
    one = event("upgraded", 3, 4, names=guess("raised", 1))
    assert fold.event_of(fold.event_json(one)) == one
    assert fold.event_of(fold.event_json(one)).id == one.id


def test_what_it_rests_on_follows_the_step_that_holds() -> None:
    state = told(event("raised", 1), forecast("upgraded", 4, 1))
    assert (state.holding_level, state.basis) == ("red", "forecast")
    assert from_json(to_json(state)) == state
    state = fold.after_event(state, event("eased", 1, 2), 3, 1003)
    assert (state.level, state.holding_level, state.basis) == ("red", "blue", "observed")
    assert "basis" not in to_json(state)
    assert len(to_json(state)["steps"][0]) == 7, "rows from before there was another stay right"
