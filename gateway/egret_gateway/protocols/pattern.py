r"""A profile's regular expression, made harmless: matching it never takes long; pure.

A backtracking matcher can need exponential time for a pattern that looks innocent, and a gateway
that hangs reads nothing. So a pattern is read before it is compiled:

| allowed | why it is harmless |
|---|---|
| `*`, `+`, `{m,n}`, `?` on one character or class | made possessive: what was taken is not given back |
| `?` on a group, and `\|` | a choice: at most `CHOICES_MAX` of them in a pattern |
| `{n}` on a group without choices and without such a group inside | it repeats a fixed number of times |

Refused: other repetitions of a group, lazy quantifiers, back references, look-around, flags. Since
nothing is given back, `.*` takes the whole rest of a line and may stand at the end only: write
`[^,]*` for "up to the next comma".
"""  # noqa: E501  (a table row cannot be broken)

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import NoReturn

PATTERN_MAX = 300  # characters; people have to read it
CHOICES_MAX = 8  # a match tries at most 2**8 ways through a line
REPEAT_MAX = 99  # of a group or character by {n}: no line has more fields
_BRACES = re.compile(r"\{(\d{1,4})(,\d{0,4})?\}")
_NAMED = re.compile(r"\(\?P<[A-Za-z_]\w*>", re.ASCII)
_ZERO_WIDTH = "bBAZ"
_HEX_DIGITS = {"x": 2, "u": 4, "U": 8}


class PatternError(ValueError):
    """A pattern that is not taken; the message says what to write instead."""


@dataclass(slots=True)
class _Group:
    """What stands in a group so far: does it hold a choice, or a group that is repeated."""

    choice: bool = False
    repeat: bool = False


def compiled(pattern: str) -> re.Pattern[str]:
    """Return the pattern with possessive quantifiers, for `fullmatch` on one line.

    Raises:
        PatternError: it cannot be proven harmless, or is no pattern at all.
    """
    if len(pattern) > PATTERN_MAX:
        _fail(f"write at most {PATTERN_MAX} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what later versions may read in another way
            re.compile(pattern, re.ASCII)
        return re.compile(_Reader(pattern).read(), re.ASCII)
    except (re.error, FutureWarning) as error:
        raise PatternError(f"not a regular expression: {error}") from error


def _fail(remedy: str) -> NoReturn:
    raise PatternError(remedy)


class _Reader:
    """Reads a pattern token by token and writes it again with possessive quantifiers."""

    def __init__(self, pattern: str) -> None:
        self._rest = pattern
        self._out: list[str] = []
        self._open = [_Group()]
        self._closed: _Group | None = None  # the group that has just ended
        self._atom = ""  # the single character or class that has just ended
        self._choices = 0

    def read(self) -> str:
        """Return the harmless pattern; PatternError where there is none."""
        while self._rest:
            head = self._rest[0]
            if head in "*+?" or _BRACES.match(self._rest):
                self._quantifier()
            elif head == "(":
                self._opens()
            elif head == ")":
                self._closes()
            elif head == "|":
                self._take(1)
                self._choice(self._open[-1])
            else:
                self._single()
        return "".join(self._out)

    def _take(self, count: int) -> str:
        taken, self._rest = self._rest[:count], self._rest[count:]
        self._out.append(taken)
        self._atom, self._closed = "", None
        return taken

    def _single(self) -> None:
        """Take one character, class or escape."""
        head = self._rest[0]
        if head == "\\":
            sign = self._rest[1]
            if sign.isdigit() and sign != "0":
                _fail("leave back references out")
            atom = self._take(2 + _HEX_DIGITS.get(sign, 0))
            self._atom = "" if sign in _ZERO_WIDTH else atom
        elif head == "[":
            self._atom = self._take(_class_end(self._rest))
        else:
            self._atom = self._take(1)

    def _opens(self) -> None:
        named = _NAMED.match(self._rest)
        if named:
            self._take(named.end())
        elif self._rest.startswith("(?:"):
            self._take(3)
        elif self._rest.startswith("(?"):
            _fail("of the groups that begin with (? only (?P<name> and (?: are taken")
        else:
            self._take(1)
        self._open.append(_Group())

    def _closes(self) -> None:
        self._take(1)
        self._closed = group = self._open.pop()
        self._open[-1].choice |= group.choice
        self._open[-1].repeat |= group.repeat

    def _choice(self, group: _Group) -> None:
        group.choice = True
        self._choices += 1
        if self._choices > CHOICES_MAX:
            _fail(f"write at most {CHOICES_MAX} choices (| and optional groups)")

    def _quantifier(self) -> None:
        group, atom = self._closed, self._atom
        braces = _BRACES.match(self._rest)
        sign = self._take(braces.end() if braces else 1)
        if self._rest[:1] in ("?", "+", "*"):
            _fail("leave lazy and possessive quantifiers out: every one is possessive already")
        if braces and int(braces[1]) > REPEAT_MAX:
            _fail(f"repeat at most {REPEAT_MAX} times")
        fixed = braces is not None and braces[2] is None
        if group is not None:
            self._repeats(group, sign, fixed=fixed)
        elif not fixed:
            self._out.append("+")
            if atom == "." and sign != "?":
                self._greedy()

    def _repeats(self, group: _Group, sign: str, *, fixed: bool) -> None:
        if sign == "?":
            self._choice(self._open[-1])
            return
        if not fixed:
            _fail(f"a group repeated by {sign} can take for ever: write {{n}}, or its parts out")
        if group.choice or group.repeat:
            _fail("a repeated group may hold neither a choice nor another repeated group")
        self._open[-1].repeat = True

    def _greedy(self) -> None:
        after = self._rest.lstrip(")")
        if after and not after.startswith("|"):
            _fail(f"`.` takes all that is left, so that {after[:10]!r} never matches: "
                  "write what it stands for, e.g. [^,]*")  # fmt: skip


def _class_end(rest: str) -> int:
    """Return where the class at the start of a valid pattern ends."""
    at = 2 if rest[1] == "^" else 1
    at += rest[at] == "]"
    while rest[at] != "]":
        at += 2 if rest[at] == "\\" else 1
    return at + 1
