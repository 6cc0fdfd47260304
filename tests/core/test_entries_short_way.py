"""Plain entries take a short way through `read_readings`; it must say what the long way says."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from rig.batches import T0_MS, batch

from egret_core import entries
from egret_core.entries import read_readings

IDS = st.sampled_from(["st1", "wl", "", "a/b", "a+b", 5, None, ["st1"]])
NUMBERS = st.sampled_from(
    [0, 1, -7, 2**53, 2**53 - 1, 0.0, 1.5, math.inf, -math.inf, math.nan, True, None, "1", [1]]
)
ENTRIES = st.one_of(
    st.fixed_dictionaries({"s": IDS, "c": IDS, "t": NUMBERS, "v": NUMBERS}),
    st.fixed_dictionaries(
        {"s": IDS, "c": IDS},
        optional={"t": NUMBERS, "v": NUMBERS, "r": NUMBERS, "q": NUMBERS, "f": NUMBERS, "x": IDS},
    ),
    st.sampled_from([None, 1, "s", [], {}]),
)


def long_way(given_entries: list[object]) -> entries.Readings:
    """Read every entry in a batch of its own: no id is known yet, so none takes the short way."""
    out = entries.Readings([], [], [])
    for at, entry in enumerate(given_entries):
        alone = read_readings(batch(1, entries=[entry]))
        out.dated.extend(alone.dated)
        out.undated.extend(undated._replace(at=at) for undated in alone.undated)
        out.bad.extend(bad._replace(at=at) for bad in alone.bad)
    return out


@settings(max_examples=300, deadline=None)
@given(st.lists(ENTRIES, max_size=12))
def test_the_short_way_says_what_the_long_way_says(given_entries: list[object]) -> None:
    good = {"s": "st1", "c": "wl", "t": 0, "v": 1.0}
    both = [good, *given_entries]
    assert repr(read_readings(batch(1, entries=both))) == repr(long_way(both))


def test_the_short_way_dates_from_the_batchs_base() -> None:
    plain = [{"s": "st1", "c": "wl", "t": at, "v": float(at)} for at in range(3)]
    dated = read_readings(batch(1, entries=plain)).dated
    assert [(r.time_ms, r.value, r.flag) for r in dated] == [
        (T0_MS, 0.0, 1),
        (T0_MS + 1, 1.0, 1),
        (T0_MS + 2, 2.0, 1),
    ]
