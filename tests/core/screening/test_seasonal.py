from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from egret_core.quality import Flag, Reason
from egret_core.screening.range import Span
from egret_core.screening.seasonal import Season, check_season, month_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WINTER = Season((12, 1, 2), Span(0.0, 1.0), Span(-1.0, 3.0))
SUMMER = Season((6, 7, 8), Span(0.0, 5.0))


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def test_the_month_of_every_day_of_five_centuries() -> None:
    for day in range(-70_000, 110_000, 7):
        assert month_of(day) == (EPOCH + timedelta(days=day)).month
    leap = datetime(2024, 2, 29, tzinfo=UTC)
    for days in (-1, 0, 1):
        when = leap + timedelta(days=days)
        assert month_of((when - EPOCH).days) == when.month


@pytest.mark.parametrize(
    ("when", "value", "flag"),
    [
        ("2026-01-15T00:00:00Z", 0.5, Flag.GOOD),
        ("2026-01-15T00:00:00Z", 2.0, Flag.SUSPECT),
        ("2026-01-15T00:00:00Z", 3.5, Flag.FAIL),
        ("2026-07-15T00:00:00Z", 4.5, Flag.GOOD),
        ("2026-07-15T00:00:00Z", 50.0, Flag.SUSPECT),  # a season without a sensor's span
        ("2026-04-15T00:00:00Z", 50.0, Flag.NOT_EVALUATED),
    ],
)
def test_what_is_believed_depends_on_the_month(when: str, value: float, flag: int) -> None:
    verdict = check_season(ms(when), value, (WINTER, SUMMER))
    assert verdict.flag == flag
    assert (verdict.reasons == Reason.SEASONAL) == (flag in (3, 4))


def test_the_month_is_that_of_local_time() -> None:
    eve = ms("2026-05-31T17:00:00Z")  # 01:00 on the 1st of June in Beijing
    assert check_season(eve, 2.0, (SUMMER,)).flag == Flag.NOT_EVALUATED
    assert check_season(eve, 2.0, (SUMMER,), 8 * 3_600_000).flag == Flag.GOOD
    first = ms("2026-06-01T02:00:00Z")
    assert check_season(first, 2.0, (SUMMER,), -5 * 3_600_000).flag == Flag.NOT_EVALUATED
