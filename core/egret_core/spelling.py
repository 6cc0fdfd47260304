"""What a misspelt word was meant to be."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LIKENESS_LEAST = 0.6  # below it a guess confuses more than it helps


def meant(word: str, known: Iterable[str], lead: str = "did you mean ") -> str:
    """Return the nearest of the known words as a remark, "" where none is near.

    Case counts least: `KPA` is as near to `kPa` as can be.
    """
    folded: dict[str, str] = {}
    for one in known:
        folded.setdefault(one.casefold(), one)
    close = get_close_matches(word.casefold(), folded, n=1, cutoff=LIKENESS_LEAST)
    return f" ({lead}{folded[close[0]]!r}?)" if close else ""
