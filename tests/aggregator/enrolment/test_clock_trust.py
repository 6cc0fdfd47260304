"""When the machine's clock may end accounts: in step and likely, or steady for a day."""

from __future__ import annotations

import pytest

from egret_aggregator.enrolment.clock_trust import FAR_MS, STEADY_S, STEP_MS, ClockTrust

NOW_MS = 1_795_340_000_000


class Machine:
    """Its two clocks and its kernel's word, by hand."""

    def __init__(self, newest_ms: int = NOW_MS, *, in_step: bool = True) -> None:
        self.ms, self.s, self.in_step = NOW_MS, 0.0, in_step
        self.trust = ClockTrust(lambda: self.ms, lambda: self.s, newest_ms, lambda: self.in_step)

    def pass_s(self, seconds: float) -> None:
        self.s += seconds
        self.ms += int(seconds * 1000)


def test_one_in_step_and_near_the_journal_is_trusted_at_once() -> None:
    assert Machine().trust.good()
    assert Machine(NOW_MS - FAR_MS).trust.good()
    assert Machine(0).trust.good(), "a new centre has no journal to compare with"


@pytest.mark.parametrize(
    ("newest_ms", "in_step", "why"),
    [
        (NOW_MS - FAR_MS - 1, True, "far beyond the journal"),
        (NOW_MS, False, "unsynchronised"),
    ],
)
def test_any_other_is_trusted_after_a_day_without_a_step(
    newest_ms: int, *, in_step: bool, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine(newest_ms, in_step=in_step)
    for _ in range(3):
        assert not machine.trust.good()
    assert caplog.text.count(f"event=clock_doubted why='{why}'") == 1
    machine.pass_s(STEADY_S - 1)
    assert not machine.trust.good()
    machine.ms += STEP_MS + 1
    machine.pass_s(1)
    assert not machine.trust.good(), "it stepped: the day begins anew"
    machine.pass_s(STEADY_S)
    assert machine.trust.good()
    assert "event=clock_trusted" in caplog.text


def test_a_clock_that_leaps_ahead_while_we_run_is_doubted_until_it_is_back() -> None:
    machine = Machine()
    machine.pass_s(400 * 86_400)
    assert machine.trust.good(), "a long run is no leap"
    machine.ms += 2 * FAR_MS
    assert not machine.trust.good()
    machine.ms -= 2 * FAR_MS
    assert machine.trust.good()
