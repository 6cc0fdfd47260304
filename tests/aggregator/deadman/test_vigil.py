"""One call an outage, one when it is over, whatever beats in between."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from egret_aggregator.deadman.vigil import Kind, Vigil


def test_silence_becomes_an_outage_once_and_a_beat_ends_it_once() -> None:
    vigil = Vigil(60.0, 0.0)
    assert vigil.look(59.9) is None
    assert vigil.look(60.0) is Kind.SILENT
    assert vigil.look(1000.0) is None
    assert vigil.beat("", 1001.0) is Kind.BACK
    assert vigil.beat("", 1002.0) is None
    assert vigil.silent_s(1012.0) == 10.0


def test_a_centre_that_answers_no_is_as_good_as_silent() -> None:
    vigil = Vigil(60.0, 0.0)
    assert vigil.beat("status 503: judgement_stale", 59.0) is None
    assert vigil.beat("status 503: judgement_stale", 61.0) is Kind.SILENT
    assert vigil.why == "status 503: judgement_stale"


def test_a_restart_of_the_centre_is_no_outage() -> None:
    vigil = Vigil(60.0, 0.0)
    for now_s in range(0, 600, 50):
        assert vigil.beat("ConnectionRefusedError", now_s) is None
        assert vigil.beat("", now_s + 5) is None


def test_an_outage_before_our_own_restart_is_not_told_again() -> None:
    vigil = Vigil(60.0, 0.0, out=True)
    assert vigil.look(1e6) is None
    assert vigil.beat("", 1e6) is Kind.BACK


@given(st.lists(st.tuples(st.floats(0, 100), st.sampled_from(["", "refused", None]))))
def test_what_is_told_alternates_and_begins_with_silence(
    steps: list[tuple[float, str | None]],
) -> None:
    vigil, now_s, told = Vigil(60.0, 0.0), 0.0, []
    for span_s, heard in steps:
        now_s += span_s
        kind = vigil.look(now_s) if heard is None else vigil.beat(heard, now_s)
        if kind is not None:
            told.append(kind)
        if vigil.out:
            assert told[-1] is Kind.SILENT
    assert told == [Kind.SILENT, Kind.BACK] * (len(told) // 2) + [Kind.SILENT] * (len(told) % 2)
