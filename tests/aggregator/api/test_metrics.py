"""`/metrics` by the letter of Prometheus' text format 0.0.4, and with names that stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.api_centre import NOW_MS
from rig.events import bare, event
from rig.prometheus import families
from rig.sse import StreamClient

from egret_aggregator.metrics import exposition

if TYPE_CHECKING:
    from rig.api_centre import ApiCentre

WORD = st.from_regex(r"[a-z][a-z_]{0,6}", fullmatch=True)


@given(
    st.dictionaries(
        st.tuples(WORD, st.none() | st.sampled_from(["red", "blue", "a b"])),
        st.floats() | st.integers(0, 2**53).map(float),
        max_size=12,
    )
)
def test_whatever_the_names_every_family_is_in_one_piece(
    figures: dict[tuple[str, str | None], float],
) -> None:
    named = {
        name if label is None else f'{name}{{level="{label}"}}': value
        for (name, label), value in figures.items()
    }
    if not named:
        return
    found = families(exposition(named))
    assert sum(len(family.samples) for family in found.values()) == len(named)
    for name, family in found.items():
        assert (family.kind == "counter") == name.endswith("_total")


def test_a_family_is_not_split_by_a_longer_name() -> None:
    found = families(exposition({"a": 1.0, "a_b": 2.0, 'a{x="1"}': 3.0}))
    assert {name: family.samples for name, family in found.items()} == {
        "a": {"": 1.0, '{x="1"}': 3.0},
        "a_b": {"": 2.0},
    }


def test_large_counts_are_exact() -> None:
    assert exposition({"egret_x_total": 123_456_789_012.0}).endswith(" 123456789012\n")


async def test_a_label_of_a_pack_cannot_break_the_page(centre: ApiCentre) -> None:
    odd = bare('准备"\\\n# TYPE x counter', 1, {})
    await centre.ledger.take([odd])
    found = families((await centre.ask("GET", "/metrics")).text)
    (labels,) = found["egret_warnings"].samples
    assert labels == '{state="open",level="准备\\"\\\\\\n# TYPE x counter"}'


async def test_it_counts_what_stands_and_forgets_what_is_closed(centre: ApiCentre) -> None:
    items = [event("raised", n % 2 + 1, subject=f"st{n}/wl") for n in range(3)]
    await centre.ledger.take(items)
    await centre.post(f"/api/v1/warnings/{items[0].id}/acknowledge")
    await centre.post(
        f"/api/v1/warnings/{items[1].id}/close", json={"note": "x", "despite_condition": True}
    )
    found = families((await centre.ask("GET", "/metrics")).text)
    assert found["egret_warnings"].samples == {
        '{state="acknowledged",level="blue"}': 1.0,
        '{state="open",level="blue"}': 1.0,
    }
    assert found["egret_ledger_head"].samples[""] == centre.ledger.head.seq


@pytest.mark.parametrize(
    ("judged", "current"),
    [(NOW_MS, 1.0), (NOW_MS - 61_000, 0.0), (None, 0.0), (NOW_MS + 3_600_000, 0.0)],
)
async def test_judgement_is_current_only_when_it_is(
    centre: ApiCentre, judged: int | None, current: float
) -> None:
    centre.line.judged = judged
    found = families((await centre.ask("GET", "/metrics")).text)
    assert found["egret_judgement_current"].samples[""] == current
    # Without a judgement there is no age: a zero would look fresh.
    assert ("egret_judgement_age_seconds" in found) == (judged is not None)


async def test_clients_of_the_stream_are_counted(centre: ApiCentre) -> None:
    viewer = centre.bearer("viewer")
    async with StreamClient(centre.url, viewer) as one, StreamClient(centre.url, viewer) as two:
        await one.next()
        await two.next()
        found = families((await centre.ask("GET", "/metrics")).text)
        assert found["egret_stream_clients"].samples[""] == 2
    assert found["egret_stream_overflows_total"].kind == "counter"
    assert found["egret_stream_overflows_total"].samples == {"": 0.0}


async def test_no_secret_and_no_name_of_a_person_is_shown(centre: ApiCentre) -> None:
    text = (await centre.ask("GET", "/metrics")).text
    for token in centre.token.values():
        assert token.split("_", 2)[2] not in text
    assert "officer1" not in text
