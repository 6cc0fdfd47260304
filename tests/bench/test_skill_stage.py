"""Skill at Plumtree: the published table again, and the nowcast above persistence at every lead."""

# ruff: noqa: E402  (the bench is found first)
from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

import _skill_stage

pytestmark = pytest.mark.skipif(
    not _skill_stage.DATA.exists(), reason="no ../shared/data/stream_plumtree_2016_2017"
)
LEADS = ("15min", "30min", "60min")


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    return _skill_stage.figures()


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("persistence_rmse_ft", (0.295, 0.454, 0.556)),
        ("linear_pi", (-1.10, -2.44, -8.37)),
        ("damped_pi", (-0.27, -0.38, -0.71)),
        ("nowcast_fit_2016_pi_2017", (0.17, 0.19, 0.27)),
        ("nowcast_fit_2017_pi_2016", (0.16, 0.20, 0.34)),
    ],
)
def test_the_published_forecasts(
    figures: dict[str, Any], name: str, published: tuple[float, ...]
) -> None:
    found = [figures[f"plumtree_{name}_{lead}"] for lead in LEADS]
    assert found == pytest.approx(published, abs=0.006)
    assert figures["plumtree_rising_samples"] == 1421


@pytest.mark.parametrize("lead", LEADS)
def test_fitted_on_2016_and_scored_on_2017_it_beats_persistence(
    figures: dict[str, Any], lead: str
) -> None:
    assert figures[f"plumtree_nowcast_fit_2016_pi_2017_{lead}"] >= 0.16


@pytest.mark.parametrize("lead", LEADS)
def test_as_it_runs_it_beats_persistence_wherever_it_spoke(
    figures: dict[str, Any], lead: str
) -> None:
    assert figures[f"plumtree_nowcast_running_pi_2017_{lead}"] >= 0.16
    assert figures[f"plumtree_nowcast_told_pi_{lead}"] >= 0.1
    assert 0.6 <= figures[f"plumtree_nowcast_told_share_{lead}"] < 1


@pytest.mark.parametrize("lead", LEADS)
def test_eight_of_ten_outcomes_are_in_the_band_in_steep_rises_too(
    figures: dict[str, Any], lead: str
) -> None:
    assert figures[f"plumtree_nowcast_band_share_{lead}"] == pytest.approx(0.8, abs=0.05)
    assert figures[f"plumtree_nowcast_band_share_steep_{lead}"] == pytest.approx(0.85, abs=0.1)


@pytest.mark.parametrize(
    ("rule", "threshold", "published"),  # hits, lead in min, FAR
    [
        ("rise_half_ft_in_15min", "3ft", (11, 10, 0.81)),
        ("rise_half_ft_in_15min", "4ft", (2, 17.5, 0.97)),
        ("linear_30min", "3ft", (13, 20, 0.83)),
        ("linear_30min", "4ft", (2, 15, 0.94)),
        ("damped_60min", "3ft", (13, 15, 0.76)),
        ("damped_60min", "4ft", (2, 10, 0.89)),
    ],
)
def test_the_published_crossing_alarms(
    figures: dict[str, Any], rule: str, threshold: str, published: tuple[int, float, float]
) -> None:
    name = f"plumtree_{rule}_{threshold}"
    assert figures[f"{name}_events"] == {"3ft": 13, "4ft": 2}[threshold]
    found = [figures[f"{name}_{what}"] for what in ("hits", "lead_min", "far")]
    assert found == pytest.approx(published, abs=0.011)


def test_what_the_pack_says_of_the_nowcast_as_an_alarm(figures: dict[str, Any]) -> None:
    def found(rule: str, what: str) -> Any:
        return figures[f"plumtree_nowcast_{rule}_3ft_2017_{what}"]

    hits = [found(f"{lead}_q75", "hits") for lead in LEADS]
    assert (found("15min_q75", "events"), hits) == (6, [5, 3, 1])
    assert found("15min_q75", "far") == pytest.approx(0.38, abs=0.01)
    assert [found(f"{lead}_q90", "hits") for lead in LEADS[:2]] == [6, 6]
    assert [round(found(f"{lead}_q90", "far"), 1) for lead in LEADS[:2]] == [0.7, 0.8]


def test_what_is_bad_is_printed_as_well(figures: dict[str, Any]) -> None:
    assert figures["plumtree_nowcast_60min_q50_3ft_2017_pod"] == 0
    assert figures["plumtree_nowcast_60min_q50_3ft_2017_lead_min"] is None
    assert figures["plumtree_linear_pi_60min"] < -8


def test_without_the_data_there_are_no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_skill_stage, "DATA", Path("nowhere"))
    assert _skill_stage.figures() == {}
