"""The profiles' reference page: its example is whole, and no key is left out."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from egret_gateway import profiles
from egret_gateway.protocols.registers import ORDERS, WORDS

PAGE = (Path(__file__).parents[2] / "docs/reference/profiles.md").read_text(encoding="utf-8")
# Fields whose key has another name, or that are no key.
RENAMED = {
    "kind": "type",
    "sensor": "min",
    "at": "fc",
    "items": "item",
    "way": "modbus",
    "file": "",
    "asked": "command",
    "place": "value",
}
KINDS = (
    profiles.Profile,
    profiles.Item,
    profiles.Register,
    profiles.Counter,
    profiles.Modbus,
    profiles.Readable,
    profiles.UnitFrom,
    profiles.When,
    profiles.Sdi12,
    profiles.Measured,
)


def test_the_example_is_a_whole_profile(tmp_path: Path) -> None:
    match = re.search(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert match is not None
    path = tmp_path / "example-depth.toml"
    path.write_text(match[1], encoding="utf-8")
    assert [item.name for item in profiles.load(path).items] == ["decimals", "unit_code", "depth"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_key_is_on_the_page(kind: type) -> None:
    for field in fields(kind):
        key = RENAMED.get(field.name, field.name)
        assert re.search(rf"\b{key}\b", PAGE), f"{kind.__name__}.{field.name}: not on the page"


@pytest.mark.parametrize("word", [*WORDS, *ORDERS])
def test_every_type_and_order_is_on_the_page(word: str) -> None:
    assert re.search(rf"\b{word}\b", PAGE)
