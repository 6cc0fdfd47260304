"""The collector's setting: what stands is left out, and cycles are still found."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest

from egret_aggregator import garbage

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


class _Knot:
    def __init__(self) -> None:
        self.me = self


def test_what_stands_is_frozen_and_searches_come_less_often() -> None:
    garbage.settle()
    assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == (garbage.YOUNG, garbage.OLDER, garbage.OLDER)
    assert gc.isenabled()


def test_a_cycle_made_later_is_still_found_by_itself() -> None:
    garbage.settle()
    lost = weakref.ref(_Knot())
    assert lost() is not None, "nothing but the collector frees a knot"
    kept = []
    for _ in range(2 * garbage.YOUNG):
        kept.append([])
        if lost() is None:
            break
    assert lost() is None
