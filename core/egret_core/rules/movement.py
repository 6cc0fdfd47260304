"""Rules over movement want channels that measure it in mm, and take it whichever way it counts."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from egret_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_core.rules.model import ChannelPlace, LadderLaw
    from egret_core.rules.rungs import At

MOVEMENTS = ("displacement", "settlement", "crack_width")  # quantities; canonical unit mm
NM_PER_MM = 1_000_000
MS_PER_DAY = 86_400_000
MOST_MM = 1e9  # 1000 km: a number beyond it is as wrong at 1000 km
RED = "red"  # the word that needs two lines of evidence
SIGNS = {"rising": 1, "falling": -1}  # which way the channel goes when the slope moves down


def needs_movement(at: At, places: Sequence[ChannelPlace]) -> None:
    """Refuse a channel that measures no movement in mm; ConfigError."""
    for place in places:
        if place.quantity not in MOVEMENTS:
            remedy = f"{place.name} measures {place.quantity}: bind {', '.join(MOVEMENTS)}"
            raise ConfigError(at[0], f"{at[1]}.window_s", place.quantity, remedy)


def no_red(at: At, ladder: LadderLaw, above: float = inf) -> None:
    """Refuse the word red for a level that one line of evidence reaches alone; ConfigError.

    Args:
        at: file and key of the parameters.
        ladder: its levels.
        above: an index more than this is of two lines.
    """
    for rank, rung in enumerate(ladder.rungs):
        if rung.label.strip().casefold() == RED and rung.raise_at <= above:
            remedy = (
                "one line of evidence is never red: write another word, and bind inverse-velocity "
                'or two-families-red (as = { WORD = "red" })'
            )
            raise ConfigError(at[0], f"{at[1]}.levels[{rank}].level", rung.label, remedy)


def nanometres(value_mm: float, sign: int = 1) -> int:
    """Return a movement as whole nanometres, at most `MOST_MM` either way."""
    return round(max(-MOST_MM, min(MOST_MM, value_mm)) * NM_PER_MM) * sign
