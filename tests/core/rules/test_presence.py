"""When a channel had good readings, against the list of them."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING

from rig.jointbook import PLACES, RIVER, rules
from rig.rulebook import GATEWAY, START_MS, at, fold_of, reading

from egret_core.rules.horizon import NO_TIME
from egret_core.rules.presence import GAP_MS, GAPS_MAX, Presence
from egret_core.rules.step import Receipt, step
from egret_core.screening.law import ScreeningLaw
from egret_core.screening.range import Span

if TYPE_CHECKING:
    from egret_core.rules.event import ConditionEvent


def test_it_equals_the_list_of_readings_but_for_short_silences() -> None:
    dice = random.Random(9)
    for screened in (False, True):
        for _ in range(100):
            presence, times, now = Presence(), [NO_TIME], START_MS
            for _ in range(GAPS_MAX):
                now += dice.choice((60_000, 600_000, GAP_MS, GAP_MS + 1, 9 * GAP_MS))
                if screened:
                    failed = dice.random() < 0.3
                    presence.take(now, failed=failed)
                    times += [] if failed else [now]
                else:
                    if now - times[-1] > GAP_MS:
                        presence.gap(times[-1], now)
                    times.append(now)
            at_ms = dice.randint(START_MS, now + GAP_MS)
            true_ms = max(time_ms for time_ms in times if time_ms <= at_ms)
            found = presence.seen_ms(at_ms, times[-1])
            assert found == true_ms or (found == at_ms and at_ms - true_ms <= GAP_MS)


def test_only_the_newest_gaps_are_kept() -> None:
    presence = Presence()
    for n in range(50):
        presence.gap(n * GAP_MS, (n + 1) * GAP_MS)
    assert len(presence.dump()[0]) == GAPS_MAX


def test_a_restart_keeps_it_and_the_end_of_screening_ends_what_it_failed() -> None:
    one, other = Presence(), Presence()
    one.take(START_MS, failed=False)
    one.take(START_MS + 3 * GAP_MS, failed=True)
    saved = json.loads(json.dumps(one.dump()))
    other.restore(saved, screened=True)
    now_ms = START_MS + 4 * GAP_MS
    assert other.seen_ms(now_ms, now_ms) == one.seen_ms(now_ms, now_ms) == START_MS
    other.restore(saved, screened=False)
    assert other.seen_ms(now_ms, now_ms) == now_ms


def test_when_screening_begins_the_silences_count_anew() -> None:
    presence = Presence()
    presence.gap(0, START_MS)
    presence.take(START_MS, failed=True)
    assert presence.seen_ms(START_MS, START_MS) == NO_TIME
    presence.gap(START_MS, START_MS + 9 * GAP_MS)  # between two that failed: no gap of its own
    assert presence.dump() == [[], NO_TIME]


def test_a_channel_whose_values_all_fail_is_missing() -> None:
    law = ScreeningLaw(sensor=Span(0.0, 10.0))
    places = [replace(one, screening=law) if one.station == "st2" else one for one in PLACES]
    joint = '[[rule]]\nid = "agreed"\npack = "generic-vote"\n'
    joint += 'inputs = [{ rule = "river", channels = ["st1/wl", "st2/wl"] }]\n'
    fold = fold_of(places, rules(joint + "parameters = { need = 1, stale_s = 900 }\n", RIVER))
    events: list[ConditionEvent] = []
    for second in range(0, 2400, 60):
        level = 4.5 if second >= 1800 else 1.0
        rows = [reading(second, level), reading(second, 1.0 if second < 300 else 99.0, places[2])]
        events += step(fold, Receipt(GATEWAY, at(second) + 500, rows))[1]
    (event,) = [event for event in events if event.subject == "area/agreed"]
    assert (event.level, event.time_ms) == ("orange", at(1800))
    assert event.evidence["missing"] == [{"subject": "st2/wl", "last_good_ms": at(240)}]
