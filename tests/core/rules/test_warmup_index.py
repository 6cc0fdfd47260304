"""An equation's rule looks back over what the equation needs and what its ladder waits for."""

from __future__ import annotations

import pytest
from rig.changebook import RIVER, changed
from rig.noisy import JUDGING, ladder_of, rule_of
from rig.packbook import of_pack
from rig.rulebook import at, brief, fold_of, play, prompt, reading, timeline

from egret_core.rules.model import IndexLaw
from egret_core.rules.step import Tick
from egret_core.rules.warmup import INDEX_SLACK_MS, span_ms

DAY_S = 86_400
WAITS = f"persistence_s = {3 * DAY_S}\nhold_s = {2 * DAY_S}"
INDICES = [pack for pack in JUDGING if isinstance(rule_of(pack).law, IndexLaw)]


@pytest.mark.parametrize("pack", INDICES)
def test_history_reaches_back_over_what_the_ladder_waits_for(pack: str) -> None:
    law = rule_of(pack, WAITS).law
    ladder = ladder_of(rule_of(pack, WAITS))
    assert isinstance(law, IndexLaw)
    assert ladder is not None
    assert ladder.gap_ms > 0
    waits_ms = 5 * DAY_S * 1000 + ladder.gap_ms
    assert span_ms(law) == law.span_ms + waits_ms + INDEX_SLACK_MS
    bare = rule_of(pack).law
    assert isinstance(bare, IndexLaw)
    assert law.span_ms == bare.span_ms, "the equation's own need, whatever the ladder waits for"


def test_a_rise_that_has_held_for_days_is_said_at_the_change() -> None:
    """A river rises by 0.1 m an hour for five days, and the rule asks for three of them."""
    rule = of_pack(
        "generic-rate-of-rise",
        RIVER,
        f'unit = "m/h"\nlevels = [{{ level = "watch", raise = 0.05 }}]\n{WAITS}',
    )
    rises = [reading(300 * n, 2.0 + n / 120) for n in range(5 * DAY_S // 300)]
    past, now_s = prompt(rises), 5 * DAY_S
    asked_s = now_s - span_ms(rule.law) / 1000
    fold = fold_of((RIVER,), ())
    play(fold, timeline(past[-3:], tail_s=0, head_s=600 - now_s))
    changed(fold, [rule], now_s, [one for one in past if one.received_ms >= at(asked_s)], RIVER)
    (said,) = play(fold, [Tick(at(now_s + 10 * n)) for n in range(10)])
    ((change, level, second),) = brief([said])
    assert (change, level) == ("raised", "watch")
    assert 3 * DAY_S <= second <= 3 * DAY_S + 7200
