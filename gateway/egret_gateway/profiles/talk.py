"""How a family that speaks in lines of text speaks: NMEA 0183 and lines of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from egret_gateway.protocols.text_line import Framing

STREAM, POLL = MODES = ("stream", "poll")
ADDRESS = "address"  # group of a pattern, and what stands for it in a command


@dataclass(frozen=True, slots=True)
class Gate:
    """A field of the same line that says what its values are worth.

    Attributes:
        field: its name; good, suspect: what it then says; whatever else it says, they fail.
    """

    field: str
    good: tuple[str, ...]
    suspect: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """Where a value stands in NMEA 0183: a sentence, and a field's name in it.

    Attributes:
        sentence, field: their names; gate: what says what the value is worth.
        decimals: digits after the point that count: the raw number is then a whole one.
    """

    sentence: str
    field: str
    gate: Gate | None = None
    decimals: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """Where a value stands in a line of the family's own: a named group of one pattern.

    Attributes:
        group: its name; gate, decimals: as in `Field`.
    """

    group: str
    gate: Gate | None = None
    decimals: int = 0


@dataclass(frozen=True, slots=True)
class Talk:
    """How its lines come.

    Attributes:
        mode: `stream` (it speaks by itself) or `poll` (one line for each command).
        command: bytes that ask; ``{address}`` stands for the device's; empty for a stream.
        framing: how a line begins and ends, and what vouches for it.
        timeout_ms: how long an answer is awaited from the command's last byte.
        late_window_ms: silence kept after none came: a late line could be taken for the next one.
    """

    mode: str = STREAM
    command: bytes = b""
    framing: Framing = field(default_factory=Framing)
    timeout_ms: float = 1000.0
    late_window_ms: float = 1000.0


@dataclass(frozen=True, slots=True)
class Nmea:
    """A family that speaks NMEA 0183; `sentences` are its proprietary ones: (name, fields)."""

    talk: Talk
    sentences: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def fields(self, name: str) -> tuple[str, ...]:
        """Return the fields of a proprietary sentence, () for any other."""
        return dict(self.sentences).get(name, ())


@dataclass(frozen=True, slots=True)
class Text:
    """A family with kinds of lines of its own, a pattern each; see `protocols.pattern`."""

    talk: Talk
    patterns: tuple[str, ...]
