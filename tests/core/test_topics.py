from __future__ import annotations

import pytest

from egret_core.topics import (
    CENTRE,
    CENTRE_STATUS,
    DOWNWARD,
    UPWARD,
    Leaf,
    everyone,
    is_id,
    of,
    parse,
)


@pytest.mark.parametrize("leaf", Leaf)
def test_a_gateway_s_topic_is_read_back_and_heard_by_who_listens_to_all(leaf: Leaf) -> None:
    topic = of("XM-TA_0042", leaf)
    assert parse(topic) == ("XM-TA_0042", leaf)
    assert everyone(leaf) == topic.replace("XM-TA_0042", "+")


def test_every_leaf_goes_one_way() -> None:
    assert {*UPWARD, *DOWNWARD} == set(Leaf)
    assert not {*UPWARD} & {*DOWNWARD}


@pytest.mark.parametrize(
    "name", ["", "x" * 49, "a/b", "a+b", "#", "a b", "a.b", "gärtnerei", "a\n", "\u0661", None, 7]
)
def test_what_is_no_id_names_nobody(name: object) -> None:
    assert not is_id(name)
    with pytest.raises(ValueError, match="cannot name a gateway"):
        of(name, Leaf.DATA)  # type: ignore[arg-type]
    assert parse(f"egret/v1/{name}/data") is None or name in (None, 7)


@pytest.mark.parametrize(
    "topic",
    [
        CENTRE_STATUS,
        "egret/v1/centre/data",
        "egret/v2/gw1/data",
        "egret/v1/gw1",
        "egret/v1/gw1/data/more",
        "egret/v1/gw1/secrets",
        "/egret/v1/gw1/data",
        "",
    ],
)
def test_other_topics_are_no_gateway_s(topic: str) -> None:
    assert parse(topic) is None


def test_the_centre_s_word_is_nobody_s_name() -> None:
    with pytest.raises(ValueError, match="'centre' cannot name a gateway"):
        of(CENTRE, Leaf.STATUS)
