"""Timelines: what rules are to do, written down so that they can be tested. Text in, script out.

```text
# Two levels with hysteresis.
start 2026-07-12T08:00:00+08:00      zero of all times; a time is 90s, 10m, 1d2h, or RFC 3339
catalogue ../catalogue               a folder of stations.toml and rules.toml, or the two texts:
stations:                            ... until a line `end`
rules:                               ... until a line `end`; beside a catalogue: in its stead
st1/wl [in UNIT] from TIME every STEP [received TIME]: VALUES
centre down from TIME to TIME        nobody listens: no ticks, and what comes waits for the end
restart at TIME                      the judge is thrown away and goes on from its saved state
play until TIME                      left out: until what was read last is settled
expect LEVEL [of RULE] [on SUBJECT] at TIME [within LENGTH] [because REASON] [provisional|refuted]
expect eased LEVEL | returned ...    the rest as above
expect nothing [of RULE] [on SUBJECT] [from TIME] until TIME
expect others                        rises that no line names are none of this file's business
```

Values of a series: `egret_core.rules.timeline_series`. A word with blanks stands in quotes. What is
played and how it is compared: `egret_core.rules.timeline_play`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from egret_core.errors import ConfigError
from egret_core.instants import length_ms, parsed
from egret_core.rules.timeline_series import SAMPLES_MAX, Sample, SeriesError, samples

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LINES_MAX = 10_000
SPAN_MAX_MS = 400 * 86_400_000  # a year's memory and some: a tick every 10 s of it takes seconds
_WORD = re.compile(r'"[^"]*"|\S+')
_SERIES = re.compile(
    r"(?P<station>[A-Za-z0-9_-]+)/(?P<channel>[A-Za-z0-9_-]+)(?:\s+in\s+(?P<unit>\S+))?"
    r"\s+from\s+(?P<from_>\S+)\s+every\s+(?P<every>\S+?)(?:\s+received\s+(?P<received>\S+?))?"
    r"\s*:\s(?P<values>.*)",
    re.ASCII,
)
_BLOCKS = ("stations", "rules")
_PHASES = ("provisional", "refuted")
_KNOWN = "start, catalogue, stations:, rules:, CHANNEL from ..., centre, restart, play, expect"
RETURNED, EASED = "returned", "eased"


@dataclass(frozen=True, slots=True)
class Series:
    """Readings of one channel; `unit` is "" for its canonical one."""

    line: int
    station: str
    channel: str
    unit: str
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """One `expect` line.

    Attributes:
        line: where it stands; text: as it was written.
        change: "" for a rise, else `eased` or `returned`; None for `expect nothing`.
        level, rule, subject, reason: "" for any.
        phase: of the event.
        from_ms, to_ms: after the start; an event may lie in [from, to], of nothing in [from, to).
    """

    line: int
    text: str
    change: str | None
    level: str = ""
    rule: str = ""
    subject: str = ""
    reason: str = ""
    phase: str = "settled"
    from_ms: int = 0
    to_ms: int = 0


@dataclass(slots=True)
class Script:
    """A timeline, read; times are ms after `start_ms`, ms since 1970 UTC.

    Attributes:
        file: its name; offset_min: in which the start was written.
        catalogue: folder, "" for none; texts: of `stations` and `rules` in the file.
        down: spans without ticks; restarts, until_ms, others: as the lines say.
    """

    file: str
    start_ms: int = 0
    offset_min: int = 0
    catalogue: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    series: list[Series] = field(default_factory=list)
    down: list[tuple[int, int]] = field(default_factory=list)
    restarts: list[int] = field(default_factory=list)
    until_ms: int | None = None
    expected: list[Expected] = field(default_factory=list)
    others: bool = False

    def told(self, line: int, seen: object, remedy: str) -> ConfigError:
        """Return the error of a line."""
        return ConfigError(self.file, f"line {line}", seen, remedy)


def parse_timeline(text: str, file: str) -> Script:
    """Return the script in a text.

    Raises:
        ConfigError: names file, line, what was seen and what to write instead.
    """
    lines = text.splitlines()
    if len(lines) > LINES_MAX:
        raise ConfigError(file, "line", len(lines), f"write at most {LINES_MAX} lines")
    reader = _Reader(Script(file), lines)
    while reader.step():
        pass
    script = reader.script
    if not reader.started:
        raise script.told(1, "", "begin with: start 2026-07-12T08:00:00+08:00")
    if not script.catalogue and set(script.texts) != set(_BLOCKS):
        remedy = "name a catalogue FOLDER, or give stations: and rules: in the file"
        raise script.told(1, script.catalogue, remedy)
    if not script.expected:
        raise script.told(len(lines), "", "say what is expected: expect LEVEL at TIME")
    return script


class _Reader:
    """Where reading is: one statement a step."""

    def __init__(self, script: Script, lines: Sequence[str]) -> None:
        self.script = script
        self.started = False
        self._lines = lines
        self._at = 0  # lines read; the number of the newest one
        self._samples = 0
        self._verbs: dict[str, Callable[[list[str]], None]] = {
            "start": self._start,
            "catalogue": self._catalogue,
            "centre": self._centre,
            "restart": self._restart,
            "play": self._play,
            "expect": self._expect,
        }

    def step(self) -> bool:
        """Read the next statement; False at the end."""
        if self._at >= len(self._lines):
            return False
        raw = self._lines[self._at]
        self._at += 1
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        if not line:
            return True
        words = [word.strip('"') for word in _WORD.findall(line)]
        if line.removesuffix(":") in _BLOCKS and line.endswith(":"):
            self._block(line.removesuffix(":"))
        elif words[0] in self._verbs:
            self._verbs[words[0]](words[1:])
        elif "/" in words[0]:
            self._series(line)
        else:
            raise self._error(words[0], f"begin the line with one of {_KNOWN}")
        return True

    def _error(self, seen: object, remedy: str) -> ConfigError:
        return self.script.told(self._at, seen, remedy)

    def _time(self, text: str) -> int:
        """Return ms after the start."""
        try:
            if "T" not in text.upper():
                at_ms = length_ms(text)
            elif self.started:
                at_ms = parsed(text)[0] - self.script.start_ms
            else:
                raise self._error(text, "write the start before other times")
        except ValueError as error:
            raise self._error(text, str(error)) from None
        if not 0 <= at_ms <= SPAN_MAX_MS:
            days = SPAN_MAX_MS // 86_400_000
            raise self._error(text, f"write a time from the start to {days} days after it")
        return at_ms

    def _start(self, words: list[str]) -> None:
        if len(words) != 1 or self.started:
            raise self._error(" ".join(words), "write once: start 2026-07-12T08:00:00+08:00")
        try:
            self.script.start_ms, self.script.offset_min = parsed(words[0])
        except ValueError as error:
            raise self._error(words[0], str(error)) from None
        self.started = True

    def _catalogue(self, words: list[str]) -> None:
        if len(words) != 1 or self.script.catalogue:
            raise self._error(" ".join(words), "write once: catalogue FOLDER")
        self.script.catalogue = words[0]

    def _block(self, name: str) -> None:
        first = self._at
        while self._at < len(self._lines) and self._lines[self._at].strip() != "end":
            self._at += 1
        if self._at >= len(self._lines) or name in self.script.texts:
            self._at = first
            raise self._error(f"{name}:", f"give {name}: once, and end it with a line: end")
        # As many empty lines before it, so that an error in it names the line of this file.
        self.script.texts[name] = "\n" * first + "\n".join(self._lines[first : self._at]) + "\n"
        self._at += 1

    def _series(self, line: str) -> None:
        match = _SERIES.fullmatch(line)
        if match is None:
            remedy = "write: STATION/CHANNEL [in UNIT] from TIME every STEP [received TIME]: VALUES"
            raise self._error(line, remedy)
        every_ms = self._time(match["every"])
        if not every_ms:
            raise self._error(match["every"], "write a step of more than 0")
        received = match["received"]
        received_ms = None if received is None else self._time(received)
        try:
            made = samples(match["values"], self._time(match["from_"]), every_ms, received_ms)
        except SeriesError as error:
            raise self._error(error.seen, str(error)) from None
        self._samples += len(made)
        if self._samples > SAMPLES_MAX or made[-1].received_ms > SPAN_MAX_MS:
            days = SPAN_MAX_MS // 86_400_000
            remedy = f"write at most {SAMPLES_MAX} readings within {days} days"
            raise self._error(self._samples, remedy)
        unit = match["unit"] or ""
        self.script.series.append(
            Series(self._at, match["station"], match["channel"], unit, tuple(made))
        )

    def _centre(self, words: list[str]) -> None:
        if len(words) != 5 or (words[0], words[1], words[3]) != ("down", "from", "to"):  # noqa: PLR2004
            raise self._error(" ".join(words), "write: centre down from TIME to TIME")
        span = self._time(words[2]), self._time(words[4])
        if span[0] >= span[1]:
            raise self._error(words[4], "write an end after the beginning")
        self.script.down.append(span)

    def _restart(self, words: list[str]) -> None:
        if len(words) != 2 or words[0] != "at":  # noqa: PLR2004  (at TIME)
            raise self._error(" ".join(words), "write: restart at TIME")
        self.script.restarts.append(self._time(words[1]))

    def _play(self, words: list[str]) -> None:
        if len(words) != 2 or words[0] != "until":  # noqa: PLR2004  (until TIME)
            raise self._error(" ".join(words), "write: play until TIME")
        self.script.until_ms = self._time(words[1])

    def _expect(self, words: list[str]) -> None:
        if words == ["others"]:
            self.script.others = True
            return
        text = "expect " + " ".join(words)
        phase = words.pop() if words and words[-1] in _PHASES else "settled"
        change: str | None = ""
        if words and words[0] in (EASED, RETURNED, "nothing"):
            change = None if words[0] == "nothing" else words[0]
            words = words[1:]
        level = words[0] if change in ("", EASED) and words else ""
        clauses = self._clauses(words[1:] if level else words, text)
        if change is None:
            from_ms, to_ms = self._time(clauses.get("from", "0")), clauses.get("until")
            if to_ms is None or {"at", "within", "because"} & clauses.keys():
                remedy = "write: expect nothing [of RULE] [on SUBJECT] [from TIME] until TIME"
                raise self._error(text, remedy)
            span = from_ms, self._time(to_ms)
            if span[0] >= span[1]:
                raise self._error(text, "write an `until` after the `from`: this span is empty")
            if phase != "settled":
                raise self._error(text, f"leave out {phase}: nothing has no phase")
        else:
            span = self._around(clauses, text)
        who = {"rule": clauses.get("of", ""), "subject": clauses.get("on", "")}
        why = {"reason": clauses.get("because", ""), "phase": phase}
        self.script.expected.append(
            Expected(self._at, text, change, level, **who, **why, from_ms=span[0], to_ms=span[1])
        )

    def _around(self, clauses: dict[str, str], text: str) -> tuple[int, int]:
        if "at" not in clauses or {"from", "until"} & clauses.keys():
            remedy = "write: expect LEVEL [of RULE] [on SUBJECT] at TIME [because REASON]"
            raise self._error(text, remedy)
        at_ms, within_ms = self._time(clauses["at"]), self._time(clauses.get("within", "0"))
        return at_ms - within_ms, at_ms + within_ms

    def _clauses(self, words: list[str], text: str) -> dict[str, str]:
        names = ("of", "on", "at", "within", "because", "from", "until")
        out = dict(zip(words[::2], words[1::2], strict=False))
        if len(words) % 2 or len(out) * 2 != len(words) or not out.keys() <= set(names):
            remedy = f"after the level write pairs of {', '.join(names)} and a word"
            raise self._error(text, remedy)
        return out
