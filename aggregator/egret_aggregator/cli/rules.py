"""`egret-aggregator rules`: timelines that test rules, and what a change of them would change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egret_aggregator import catalogue, config
from egret_aggregator.backtest.result import counted, event_told
from egret_aggregator.cli.commands import ARGUMENTS
from egret_aggregator.cli.history import add_span, bad_of, judged, length_of, span_of
from egret_core.errors import ConfigError
from egret_core.instants import rfc3339
from egret_core.rules.difference import difference
from egret_core.rules.event import Change, Phase
from egret_core.rules.explain import LANGUAGES, sentence
from egret_core.rules.timeline import parse_timeline
from egret_core.rules.timeline_play import play

if TYPE_CHECKING:
    import argparse

    from egret_aggregator.backtest import Outcome, Span
    from egret_aggregator.catalogue import Catalogue
    from egret_aggregator.cli.output import Output
    from egret_aggregator.cli.verb import Verbs
    from egret_core.rules.difference import Difference
    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.timeline import Script
    from egret_core.rules.timeline_play import Finding, Played

FILE_MAX_B = 1024 * 1024  # of a timeline: far more than its lines allow
SUFFIX = ".timeline"
TOLD_MAX = 1000  # rises of a difference that are told one by one; all are counted


def add_verbs(verbs: Verbs) -> None:
    """Add rules test and rules diff."""
    rules = verbs.add_parser("rules", help="test rules by timelines; show what a change changes")
    actions = rules.add_subparsers(required=True, metavar="ACTION")
    text = "play timelines through the rules and compare with what they expect"
    test = actions.add_parser("test", help=text, description=text)
    test.add_argument("files", nargs="+", type=Path, metavar="FILE", help="or folders of them")
    test.add_argument("--verbose", "-v", action="store_true", help="tell every event, too")
    text = "what other rules would have said differently over a span of history"
    diff = actions.add_parser("diff", help=text, description=text)
    diff.add_argument("old", type=Path, metavar="OLD.toml")
    diff.add_argument("new", type=Path, metavar="NEW.toml")
    diff.add_argument("--config", type=Path, required=True, metavar="CONFIG.toml")
    diff.add_argument("--within", default="6h", help="rises closer than this may be the same one")
    add_span(diff)
    for parser, command in ((test, run_tests), (diff, run_diff)):
        parser.add_argument("--json", action="store_true", help="one JSON object")
        parser.add_argument("--language", choices=LANGUAGES, default=LANGUAGES[0])
        parser.set_defaults(command=command)


def run_tests(arguments: argparse.Namespace, output: Output) -> int:
    """Play each timeline; 1 where one is not as expected."""
    lines: list[str] = []
    shown: list[dict[str, Any]] = []
    for path in _files(arguments.files):
        script = parse_timeline(_text(path), str(path))
        played = play_file(script, path)
        shown.append(_shown(script, played))
        if arguments.verbose:
            told = [sentence(event, script.offset_min) for event in played.events]
            lines += [f"{path}: {one[arguments.language]}" for one in told]
        lines += [_finding(path, finding) for finding in played.findings]
        verdict = f"{len(played.findings)} findings" if played.findings else "ok"
        lines.append(f"{path}: {verdict}, {len(script.expected)} expectations")
    ok = all(one["ok"] for one in shown)
    output.said(lines, {"ok": ok, "files": shown})
    return 0 if ok else 1


def play_file(script: Script, path: Path) -> Played:
    """Play a script with the catalogue that it names, beside its own file.

    Raises:
        ConfigError: names file, line or key, what was seen and the remedy.
    """
    found = _catalogue(script, path)
    return play(script, found.places(), found.rules)


def _catalogue(script: Script, path: Path) -> Catalogue:
    texts = script.texts
    if not script.catalogue:
        return catalogue.of_texts(texts["stations"], texts["rules"], script.file)
    whole = catalogue.load(path.parent / script.catalogue)
    stations = texts.get("stations", whole.texts[catalogue.STATIONS])
    rules = texts.get("rules", whole.texts[catalogue.RULES])
    return catalogue.of_texts(stations, rules, script.file) if texts else whole


def run_diff(arguments: argparse.Namespace, output: Output) -> int:
    """Judge the same history by both; 1 where a rise differs, or lines of a CSV are bad."""
    settings = config.load(arguments.config)
    both = [catalogue.load(settings.catalogue, path) for path in (arguments.old, arguments.new)]
    span, offset_min = span_of(arguments)
    within_ms = length_of("--within", arguments.within)
    (old, new), file = judged(arguments, settings, both, span)
    before, after = _rises(old, span), _rises(new, span)
    found = difference(before, after, within_ms)
    kept = len(old.events) == old.settled and len(new.events) == new.settled
    body = {
        "old": {"settled": old.settled, "rules": counted(before), "readings": old.readings},
        "new": {"settled": new.settled, "rules": counted(after), "readings": new.readings},
        "same": found.same,
        "by_rule": found.by_rule(),
        "appears": [event_told(event, offset_min) for event in found.appears],
        "vanishes": [event_told(event, offset_min) for event in found.vanishes],
        "moves": [
            {
                "before": event_told(moved.before, offset_min),
                "after": event_told(moved.after, offset_min),
                "later_s": (moved.after.time_ms - moved.before.time_ms) / 1000,
            }
            for moved in found.moves
        ],
        "complete": kept,
    }
    bad = bad_of(arguments.csv, file)
    lines = _difference_lines(found, offset_min, arguments.language, complete=kept)
    lines.append(f"{old.readings} readings judged by the old rules, {new.readings} by the new")
    lines += [
        f"{path}: no [[rule]]: it judges nothing, and all that the other says is new or gone"
        for path, one in zip((arguments.old, arguments.new), both, strict=True)
        if not one.rules
    ]
    output.said([*bad["lines"], *lines], {**body, **bad["body"]})
    changed = bool(found.appears or found.vanishes or found.moves)
    return 1 if changed or (file is not None and file.bad) else 0


def _rises(found: Outcome, span: Span) -> list[ConditionEvent]:
    """Return what was said; a level that stood at the start is a rise at it."""
    standing = [
        replace(
            event,
            change=Change.RAISED,
            time_ms=span.from_ms,
            evidence={**event.evidence, "stood_since_ms": event.time_ms},
        )
        for event in found.standing.values()
    ]
    return standing + found.events


def _difference_lines(
    found: Difference, offset_min: int, language: str, *, complete: bool
) -> list[str]:
    def told(event: ConditionEvent) -> str:
        return sentence(event, offset_min)[language]

    lines = [f"+ {told(event)}" for event in found.appears]
    lines += [f"- {told(event)}" for event in found.vanishes]
    lines += [
        f"~ {told(moved.after)} (before: {rfc3339(moved.before.time_ms, offset_min)})"
        for moved in found.moves
    ]
    left = len(lines) - TOLD_MAX
    lines = lines[:TOLD_MAX] + ([f"... and {left} more; --json gives all"] if left > 0 else [])
    for rule, counts in found.by_rule().items():
        lines.append(f"{rule}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    if not complete:
        lines.append("not all events were kept: take a shorter span")
    return [*lines, f"{found.same} rises are the same"]


def _files(given: list[Path]) -> list[Path]:
    """Return the files; of a folder all that end in `.timeline`, below it too."""
    out: list[Path] = []
    for path in given:
        found = sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else [path]
        if not found:
            remedy = f"name files, or a folder that has some ending in {SUFFIX}"
            raise ConfigError(ARGUMENTS, "FILE", str(path), remedy)
        out += found
    return out


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > FILE_MAX_B:
            remedy = f"write at most {FILE_MAX_B} bytes"
            raise ConfigError(str(path), "file", path.stat().st_size, remedy)
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), "file", str(error), "write UTF-8") from None
    except OSError as error:
        # No file of this name is wrong usage; what stands in a file is a finding.
        remedy = f"{error.strerror}: name a timeline, or a folder of some ending in {SUFFIX}"
        raise ConfigError(ARGUMENTS, "FILE", str(path), remedy) from None


def _finding(path: Path, finding: Finding) -> str:
    where = f"{path}:{finding.line}" if finding.line else str(path)
    return f"{where}: expected: {finding.expected}; seen: {finding.seen}; {finding.remedy}"


def _shown(script: Script, played: Played) -> dict[str, Any]:
    return {
        "file": script.file,
        "ok": not played.findings,
        "expectations": len(script.expected),
        "findings": [finding._asdict() for finding in played.findings],
        "settled": sum(event.phase is Phase.SETTLED for event in played.events),
        "events": [event_told(event, script.offset_min) for event in played.events],
    }
