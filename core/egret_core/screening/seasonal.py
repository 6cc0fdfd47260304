"""Seasonal range test (QARTOD test 5, climatology): spans by month of local time.

    fail where x outside F(month), suspect where x outside S(month); months 1 to 12

Units: x, F and S in the canonical unit; the month is that of UTC plus a fixed offset, ms. A month
without a span is not evaluated. Source: QARTOD manual for water level data, test 5; as in
`climatology_test` of ioos-qc 3.0.0 with months. State: none. Cost: O(1).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from egret_core.quality import Flag, Reason
from egret_core.screening.range import ANY, Span
from egret_core.screening.verdict import GOOD, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

MS_PER_DAY = 86_400_000
_ERA_DAYS = 146_097  # of 400 years of the Gregorian calendar
_TO_MARCH_OF_YEAR_0 = 719_468  # days from there to 1970-01-01
_FAIL = Verdict(int(Flag.FAIL), int(Reason.SEASONAL))
_SUSPECT = Verdict(int(Flag.SUSPECT), int(Reason.SEASONAL))
_NOT_EVALUATED = Verdict(int(Flag.NOT_EVALUATED), 0)


class Season(NamedTuple):
    """What is believed in some months.

    Attributes:
        months: 1 to 12; operator: outside is suspect; sensor: outside fails.
    """

    months: tuple[int, ...]
    operator: Span
    sensor: Span = ANY


@lru_cache(maxsize=64)  # days come in order: one is asked for some thousand times
def month_of(day: int) -> int:
    """Return the month, 1 to 12, of a day counted from 1970-01-01 (proleptic Gregorian)."""
    of_era = (day + _TO_MARCH_OF_YEAR_0) % _ERA_DAYS
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    from_march = (5 * of_year + 2) // 153
    return from_march + 3 if from_march < 10 else from_march - 9  # noqa: PLR2004  (March is 0)


def check_season(
    time_ms: int, value: float, seasons: Sequence[Season], utc_offset_ms: int = 0
) -> Verdict:
    """Return FAIL or SUSPECT outside the month's spans, NOT_EVALUATED where it has none."""
    month = month_of((time_ms + utc_offset_ms) // MS_PER_DAY)
    for season in seasons:
        if month in season.months:
            if not season.sensor.holds(value):
                return _FAIL
            return GOOD if season.operator.holds(value) else _SUSPECT
    return _NOT_EVALUATED
