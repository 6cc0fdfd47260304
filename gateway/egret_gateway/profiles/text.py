"""The `[nmea]` and `[text]` parts of a profile: how lines come, and where a value stands in one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from egret_gateway.profiles.talk import (
    ADDRESS,
    MODES,
    POLL,
    STREAM,
    Field,
    Gate,
    Group,
    Nmea,
    Talk,
    Text,
)
from egret_gateway.protocols import nmea
from egret_gateway.protocols.pattern import PatternError, compiled
from egret_gateway.protocols.text_line import CHECKSUMS, NMEA, NONE, Framing

if TYPE_CHECKING:
    from egret_gateway.table import Table

PREFIX_MAX_B = 8
TERMINATOR_MAX_B = 4
COMMAND_MAX_B = 64
PATTERNS_MAX = 8  # kinds of lines of one family
SENTENCES_MAX = 16  # proprietary ones of one family
DECIMALS_MAX = 6  # of a value; a rain gauge has 3
COUNTER_BITS_MAX = 32  # its profile says how wide it is
_SENTENCE = re.compile(r"[A-Z][A-Z0-9]{1,11}")
_ESCAPE = re.compile(r"\\(?:([rnt\\])|x([0-9A-Fa-f]{2}))|(\\)")
_LETTERS = {"r": "\r", "n": "\n", "t": "\t", "\\": "\\"}


def nmea_way(table: Table) -> Nmea:
    """Return how an NMEA 0183 family speaks; ConfigError for what cannot be."""
    own = table.table("sentence")
    named = own.named()
    if len(named) > SENTENCES_MAX:
        table.fail("sentence", f"write at most {SENTENCES_MAX} sentences")
    sentences = []
    for name, entry in named.items():
        if not _SENTENCE.fullmatch(name):
            table.fail("sentence", f"{name!r}: an address is capital letters and digits, e.g. LVX")
        fields = entry.array("fields", str)
        if not 1 <= len(fields) <= nmea.FIELDS_MAX:
            entry.fail("fields", f'name 1 to {nmea.FIELDS_MAX} fields in their order, "" for none')
        entry.done()
        sentences.append((name, tuple(fields)))
    framing = Framing(
        prefix=b"$",
        checksum=table.text("checksum", NMEA, (NMEA, NONE)),
        pause_s=_pause_s(table),
    )
    found = Nmea(_talk(table, framing), tuple(sentences))
    table.done()
    return found


def text_way(table: Table) -> Text:
    """Return how a family with lines of its own speaks; ConfigError for what cannot be."""
    patterns = table.array("patterns", str)
    groups: list[str] = []
    try:
        for pattern in patterns:
            groups += [name for name in compiled(pattern).groupindex if name != ADDRESS]
    except PatternError as error:
        table.fail("patterns", str(error))
    if not 1 <= len(patterns) <= PATTERNS_MAX or not groups or len(groups) > len(set(groups)):
        table.fail(
            "patterns",
            f"write 1 to {PATTERNS_MAX} patterns, one for each kind of line, with a name for each "
            "value and no name twice: ['X=(?P<x>[+-][0-9.]+)']",
        )
    framing = Framing(
        prefix=_bytes(table, "prefix", "", PREFIX_MAX_B),
        terminator=_bytes(table, "terminator", r"\n", TERMINATOR_MAX_B),
        checksum=table.text("checksum", NONE, CHECKSUMS),
        pause_s=_pause_s(table),
    )
    found = Text(_talk(table, framing), tuple(patterns))
    table.done()
    return found


def place(table: Table, way: Nmea | Text) -> Field | Group:
    """Return where an item stands."""
    if isinstance(way, Text):
        kinds = [[*compiled(pattern).groupindex] for pattern in way.patterns]
        groups = [name for kind in kinds for name in kind if name != ADDRESS]
        group = table.text("group", one_of=groups)
        own = next(kind for kind in kinds if group in kind)
        return Group(group, _gate(table, own), _decimals(table))
    name = table.text("sentence")
    fields = [field for field in way.fields(name) if field] or list(nmea.standard(name))
    if not fields:
        table.fail(
            "sentence", f"unknown: write a standard one such as DPT, or [nmea.sentence.{name}]"
        )
    field = table.text("field", one_of=fields)
    return Field(name, field, _gate(table, fields), _decimals(table))


def _decimals(table: Table) -> int:
    return table.integer("decimals", 0, DECIMALS_MAX, 0)


def _gate(table: Table, fields: list[str]) -> Gate | None:
    if not table.has("gate"):
        return None
    own = table.table("gate")
    gate = Gate(
        field=own.text("field", one_of=fields),
        good=tuple(own.array("good", str)),
        suspect=tuple(own.array("suspect", str)),
    )
    if not gate.good:
        own.fail("good", 'list what the field says where the value is good, e.g. ["4"]')
    own.done()
    return gate


def _talk(table: Table, framing: Framing) -> Talk:
    mode = table.text("mode", STREAM, MODES)
    timeout_ms = table.number("timeout_ms", 1, 60_000, 1000)
    talk = Talk(
        mode=mode,
        command=_bytes(table, "command", "", COMMAND_MAX_B),
        framing=framing,
        timeout_ms=timeout_ms,
        late_window_ms=table.number("late_window_ms", 0, 600_000, timeout_ms),
    )
    if (mode == POLL) != bool(talk.command):
        table.fail("command", 'mode = "poll", and only that, has a command')
    return talk


def _pause_s(table: Table) -> float:
    return table.number("pause_ms", 10, 60_000, 500) / 1000


def _bytes(table: Table, key: str, default: str, most: int) -> bytes:
    r"""Return a text with its \r, \n, \t, \\ and \xHH as bytes."""
    text = table.text(key, default)
    if any(match[3] for match in _ESCAPE.finditer(text)):
        table.fail(key, r"of escapes write \r \n \t \\ or \xHH, in single quotes")
    told = _ESCAPE.sub(lambda m: _LETTERS[m[1]] if m[1] else chr(int(m[2], 16)), text)
    try:
        data = told.encode("latin-1")
    except UnicodeEncodeError:
        table.fail(key, "write characters of one byte each")
    if len(data) > most:
        table.fail(key, f"write at most {most} bytes")
    return data
