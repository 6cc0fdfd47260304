"""`egret-aggregator backtest`: what the rules would have said, and what that was worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from egret_aggregator import catalogue, config
from egret_aggregator.backtest import observed, result
from egret_aggregator.cli.history import add_span, bad_of, judged, length_of, span_of
from egret_aggregator.cli.verb import add_verb
from egret_core.errors import ConfigError
from egret_core.rules.explain import LANGUAGES

if TYPE_CHECKING:
    import argparse

    from egret_aggregator.cli.output import Output
    from egret_aggregator.cli.verb import Verbs

EVENTS_TOLD = 1000  # events told to people; --json has up to EVENTS_JSON
EVENTS_JSON = 100_000  # all that are kept


def add_verbs(verbs: Verbs) -> None:
    """Add backtest."""
    text = "judge a span of history anew and tell what would have been warned"
    parser = add_verb(verbs, "backtest", text, backtest)
    add_span(parser)
    parser.add_argument("--rules", type=Path, metavar="FILE", help="in place of the catalogue's")
    parser.add_argument("--observed", type=Path, metavar="FILE.csv", help="what happened: scores")
    parser.add_argument("--before", default="1d", help="a warning is an event's own so far ahead")
    parser.add_argument("--apart", default="1d", help="warnings closer than this are one episode")
    parser.add_argument("--language", choices=LANGUAGES, default=LANGUAGES[0])


def backtest(arguments: argparse.Namespace, output: Output) -> int:
    """Judge a span; 1 where lines of a CSV could not be taken."""
    settings = config.load(arguments.config)
    places = catalogue.load(settings.catalogue, arguments.rules)
    span, offset_min = span_of(arguments)
    windows = observed.Windows(
        length_of("--before", arguments.before), length_of("--apart", arguments.apart)
    )
    happened = _observed(arguments.observed)
    observed.check_stations(happened, places, str(arguments.observed))
    (found,), file = judged(arguments, settings, [places], span)
    scored = observed.scores(found, happened, places.rules, span, windows) if happened else []
    # Each event has its sentence in both languages: those that nobody asked for are not written.
    most = EVENTS_JSON if arguments.json else EVENTS_TOLD
    body = result.body(found, span, scored, offset_min=offset_min, most=most)
    bad = bad_of(arguments.csv, file)
    lines = [] if arguments.json else result.lines(body, arguments.language)
    output.said([*bad["lines"], *lines], {**body, **bad["body"]})
    return 1 if file is not None and file.bad else 0


def _observed(path: Path | None) -> list[observed.Observed]:
    if path is None:
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return observed.read_observed(file, str(path))
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), "file", str(error), "write UTF-8") from None
    except OSError as error:
        raise ConfigError(str(path), "file", error.strerror, "name a readable file") from None
