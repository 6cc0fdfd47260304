"""What a catalogue says without being wrong, and hardly anybody means: told, never refused.

A gauge's period in the catalogue (`period_s`) is what its owner expects; what its gateway tells of
it counts at run time, where the same is seen as a rule's standing (`egret_core.rules.standings`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_aggregator.catalogue import RULES
from egret_core.errors import ConfigError
from egret_core.rules.short_windows import too_short_ms

if TYPE_CHECKING:
    from egret_aggregator.catalogue import Catalogue
    from egret_core.rules.model import BoundRule, ChannelPlace

_MS_PER_H = 3_600_000


def doubts(catalogue: Catalogue, file: str = RULES) -> tuple[ConfigError, ...]:
    """Return what is to be told of a checked catalogue, each with file, key, value and remedy.

    Args:
        catalogue: as `catalogue.load` returns it.
        file: what to call its rules' file.
    """
    out = []
    for at, rule in enumerate(catalogue.rules):
        for pair in rule.channels:
            place = catalogue.place(*pair)
            remedy = "" if place is None else _too_rare(rule, place)
            if place is not None and remedy:
                out.append(ConfigError(file, f"rule[{at}].channels", place.name, remedy))
    return tuple(out)


def _too_rare(rule: BoundRule, place: ChannelPlace) -> str:
    """Return what to do about a gauge that is too slow for a rule, "" where it is not."""
    windows = too_short_ms(rule.law, place.period_s)
    if not windows:
        return ""
    hours = ", ".join(f"{window / _MS_PER_H:g} h" for window in windows)
    return (
        f"{rule.id} never holds rain in its windows of {hours}, because the gauge is read every "
        f"{place.period_s:g} s: read it at least once a window, or bind longer windows to it"
    )
