"""A part is stuck when it was busy, still is, and got no further: nothing else is."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from egret_core.progress import Progress, Pulse

BUSY = Pulse(busy=True, steps=7)
IDLE = Pulse(busy=False, steps=7)


def test_the_first_look_says_nothing() -> None:
    assert Progress().stuck({"judge": BUSY}) == []


def test_a_busy_part_without_a_step_is_stuck_until_it_steps() -> None:
    progress = Progress()
    progress.stuck({"judge": BUSY, "bus": BUSY})
    assert progress.stuck({"judge": BUSY, "bus": BUSY._replace(steps=8)}) == ["judge"]
    assert progress.stuck({"judge": BUSY, "bus": BUSY._replace(steps=9)}) == ["judge"]
    assert progress.stuck({"judge": BUSY._replace(steps=8)}) == []


def test_one_that_had_nothing_to_do_begins_anew() -> None:
    progress = Progress()
    assert progress.stuck({"judge": IDLE}) == []
    assert progress.stuck({"judge": IDLE}) == []
    assert progress.stuck({"judge": BUSY}) == []
    assert progress.stuck({"judge": BUSY}) == ["judge"]
    assert progress.stuck({"judge": IDLE}) == []
    assert progress.stuck({"judge": BUSY}) == []


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=2))
def test_whatever_happens_it_is_two_looks_that_decide(looks: list[tuple[bool, int]]) -> None:
    progress = Progress()
    said = [bool(progress.stuck({"x": Pulse(*look)})) for look in looks]
    pairs = pairwise(looks)
    assert said == [False, *(before == after and after[0] for before, after in pairs)]
