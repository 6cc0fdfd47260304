"""What waits for the outbox's next commit."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from egret_gateway.sample import Sample


@dataclass(slots=True)
class Buffer:
    """One bus's samples before their commit."""

    cut_ms: float
    samples: list[Sample] = field(default_factory=list)
    memory: dict[str, str] = field(default_factory=dict)
    due_ms: float = 0.0


@dataclass(slots=True)
class Order:
    """Something to do in the next commit; its future is answered after it."""

    do: Callable[[], Any]
    done: Future[Any] = field(default_factory=Future)


class Load(NamedTuple):
    """The work of one commit."""

    cuts: list[tuple[Buffer, list[Sample], dict[str, str]]]
    orders: list[Order]
    settled: list[int]
    overflow: int
