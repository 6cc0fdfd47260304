"""And, or, not over inputs, one row a level, in three values (Kleene 1938).

    row(R, t) = and over `all`, and (or over `any`), and not (or over `none`)
    true: the level holds;  false: it does not;  unknown: what held stays, nothing rises by it
    level(t) = the highest true row, or a higher one that held and is unknown now

A term `NAME = "LABEL"` is true while any input of that name holds at least that label, false while
none does, and unknown while none does and one of them has never been seen; the first good reading
of each is an instant. An input that is missing keeps its last level. Without a unit. Source: S. C.
Kleene's strong three-valued logic. State: the rank that holds. Cost: O(terms) an instant.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core.errors import ConfigError
from egret_core.rules.joint_levels import Condition, condition, stale_ms, words
from egret_core.rules.model import JointLaw
from egret_core.rules.packs import table
from egret_core.rules.rungs import level_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from egret_core.rules.joint import Held, Input
    from egret_core.rules.rungs import At

_KEYS = ("level", "all", "any", "none")
Truth = bool | None


class Row(NamedTuple):
    """The conditions of one level."""

    all: tuple[Condition, ...]
    any: tuple[Condition, ...]
    none: tuple[Condition, ...]


def conjunction(terms: Iterable[Truth]) -> Truth:
    """Return the and of terms: true for none of them."""
    found: Truth = True
    for term in terms:
        if term is False:
            return False
        if term is None:
            found = None
    return found


def negation(term: Truth) -> Truth:
    """Return the not of a term; unknown stays unknown."""
    return None if term is None else not term


def disjunction(terms: Iterable[Truth]) -> Truth:
    """Return the or of terms: false for none of them."""
    return negation(conjunction(negation(term) for term in terms))


def term(cond: Condition, held: Sequence[Held]) -> Truth:
    """Return whether any input of a condition holds its level."""
    return disjunction(
        True if held[i].rank >= rank else (False if held[i].seen else None) for i, rank in cond
    )


def row_holds(row: Row, held: Sequence[Held]) -> Truth:
    """Return whether the level of a row holds."""
    found = conjunction(term(cond, held) for cond in row.all)
    if row.any:
        found = conjunction((found, disjunction(term(cond, held) for cond in row.any)))
    return conjunction((found, negation(disjunction(term(cond, held) for cond in row.none))))


class Logic:
    """The state of one set of rows, lowest level first."""

    looks = True

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._rank = 0

    def judge(self, at_ms: int, held: Sequence[Held]) -> int | None:  # noqa: ARG002  (levels only)
        """Return the highest level that holds, or that held and is unknown now."""
        found = [row_holds(row, held) for row in self._rows]
        true = max((rank for rank, one in enumerate(found, 1) if one), default=0)
        kept = max(
            (rank for rank, one in enumerate(found, 1) if one is None and rank <= self._rank),
            default=0,
        )
        self._rank = max(true, kept)
        return self._rank

    def wakes(self, at_ms: int) -> int | None:  # noqa: ARG002
        """Return nothing: only levels change it."""
        return None

    def evidence(self, rank: int) -> Mapping[str, Any]:  # noqa: ARG002  (the inputs say it all)
        """Return nothing beyond the inputs."""
        return {}

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [self._rank]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self._rank = saved[0]


def law(at: At, given: Mapping[str, Any], inputs: Sequence[Input]) -> JointLaw:
    """Return the law of these parameters.

    Raises:
        ConfigError: a row without a condition that can raise it, an unknown input or level.
    """
    file, key = at
    rows: list[Row] = []
    labels: list[str] = []
    for where, body in level_rows(at, given, _KEYS):
        labels.append(body.get("level", ""))
        parts = [_conditions((file, where), body, part, inputs) for part in _KEYS[1:]]
        row = Row(*parts)
        if not (row.all or row.any):
            remedy = "name in `all` or `any` what raises it: nothing rises by absence alone"
            raise ConfigError(file, where, dict(body), remedy)
        rows.append(row)
    levels = words((file, f"{key}.levels"), labels)
    return JointLaw(levels, partial(Logic, tuple(rows)), stale_ms(given))


def _conditions(
    at: At, body: Mapping[str, Any], part: str, inputs: Sequence[Input]
) -> tuple[Condition, ...]:
    file, where = at
    terms = table(file, f"{where}.{part}", body.get(part, {}))
    return tuple(
        condition((file, f"{where}.{part}.{name}"), name, label, inputs)
        for name, label in terms.items()
    )
