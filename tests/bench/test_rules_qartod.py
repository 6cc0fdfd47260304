"""Our streaming tests agree with ioos-qc 3.0.0, flag by flag, where it is installed."""

# ruff: noqa: E402  (the bench is found first)
from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

import _rules_qartod as qartod

SAMPLES = 30_000
AGREE = 0.99
EVERY = {
    "range": {1, 3, 4, 9},
    "season": {1, 3, 4},
    "spike": {1, 3, 4},
    "rate": {1, 3, 4},
    "flat": {1, 3, 4},
}


@pytest.fixture(scope="module")
def given() -> dict[str, qartod.Stream]:
    return qartod.streams(samples=SAMPLES)


@pytest.mark.parametrize("name", EVERY)
def test_every_flag_has_its_share_of_the_stream(name: str, given: dict[str, qartod.Stream]) -> None:
    shares = qartod.shares(qartod.ours(name, given[name]))
    assert {flag for flag, share in shares.items() if share >= qartod.SHARE_LEAST} >= EVERY[name]


def test_agreement_is_counted_over_what_either_flagged() -> None:
    assert qartod.agreement([1, 1, 3, 4], [1, 3, 3, 1]) == {1: 1 / 3, 3: 1 / 2, 4: 0.0}


def test_the_flags_are_those_of_ioos_qc() -> None:
    python = qartod.installed()
    if python is None:
        pytest.skip("ioos-qc 3.0.0 is not in its cache; ./dev bench rules installs it there")
    figures = qartod.figures(python, SAMPLES)
    for name, flags in EVERY.items():
        for flag in flags:
            assert figures[f"qartod_{name}_flag_{flag}_share"] >= qartod.SHARE_LEAST
            assert figures[f"qartod_{name}_flag_{flag}_agreement"] >= AGREE
    assert figures["qartod_agreement_least"] >= AGREE
    assert figures["qartod_ioos_to_ours_ratio"] > 20  # measured: some hundreds


@pytest.mark.parametrize(
    ("name", "change"),
    [("spike", {"suspect": 0.9, "fail": 1.5}), ("flat", {"suspect_s": 2700, "fail_s": 3600})],
)
def test_another_limit_is_seen(
    name: str,
    change: dict[str, float],
    given: dict[str, qartod.Stream],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = qartod.ours(name, given[name])
    limits = {"spike": "SPIKE", "flat": "FLAT"}[name]
    monkeypatch.setattr(qartod, limits, {**getattr(qartod, limits), **change})
    after = qartod.ours(name, given[name])
    assert qartod.agreement(before, after)[3] < AGREE
