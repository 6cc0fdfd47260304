"""Displacements for tests of slope rules: published files, made slopes, a pack's parameters."""

from __future__ import annotations

import csv
import json
import random
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from egret_core.rules.binding import parameters
from egret_core.rules.movement import MS_PER_DAY
from egret_core.rules.packs import parse_pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from egret_core.rules.index import Index
    from egret_core.rules.packs import Pack

DATA = Path(__file__).parents[3] / "shared" / "data" / "displacement_synthetic"
FILES = {"daily": "synthetic.csv", "6 h": "synthetic-6h.csv", "1 h": "synthetic-1h.csv"}
FAILURE_D = 99

Series = list[tuple[float, float]]  # days, mm


class Kept(Protocol):
    """Whatever has a state."""

    def dump(self) -> list[Any]: ...

    def restore(self, saved: Sequence[Any]) -> None: ...


State = TypeVar("State", bound=Kept)


def published(name: str) -> Series:
    """Return one of the synthetic files, days from its first row."""
    with (DATA / FILES[name]).open() as file:
        rows = [(row["date"], float(row["disp"])) for row in csv.DictReader(file)]
    times = [datetime.fromisoformat(word).replace(tzinfo=UTC).timestamp() for word, _ in rows]
    return [((t - times[0]) / 86_400, mm) for t, (_, mm) in zip(times, rows, strict=True)]


def moving(
    mm_at: Callable[[float], float],
    days: float,
    every_d: float = 1.0,
    noise_mm: float = 0.0,
    seed: int = 0,
) -> Series:
    """Return readings of a movement, with seeded noise."""
    dice = random.Random(seed)
    times = [n * every_d for n in range(round(days / every_d) + 1)]
    return [(day, mm_at(day) + dice.gauss(0, noise_mm)) for day in times]


def given(pack: str, **more: object) -> dict[str, Any]:
    """Return a pack's parameters as a binding with these would have them."""
    return parameters("rules.toml", "rule[0].parameters", packed(pack), more)


def packed(name: str) -> Pack:
    """Return one of the packs that come with the program."""
    path = files("egret_core") / "packs" / f"{name}.toml"
    return parse_pack(path.read_text(encoding="utf-8"), f"{name}.toml")


def run(index: Index, series: Iterable[tuple[float, float]]) -> list[float | None]:
    """Return what an index says after each reading."""
    return [index.take(round(day * MS_PER_DAY), mm) for day, mm in series]


def told(index: Index, series: Iterable[tuple[float, float]]) -> list[dict[str, Any]]:
    """Return day, index and evidence after each reading that has an index."""
    out = []
    for day, mm in series:
        value = index.take(round(day * MS_PER_DAY), mm)
        if value is not None:
            out.append({"day": day, "index": value, **index.evidence()})
    return out


def reborn(old: Kept, fresh: State) -> State:
    """Return the fresh one with the old one's state, by way of JSON."""
    fresh.restore(json.loads(json.dumps(old.dump())))
    return fresh
