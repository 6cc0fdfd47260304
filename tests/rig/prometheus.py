"""A reader of Prometheus' text format 0.0.4, by the letter of its specification.

https://prometheus.io/docs/instrumenting/exposition_formats/ : each family in one piece, its help
and type before its samples, no sample twice, histograms with rising cumulated buckets, `+Inf` and
a `_count` that agree, and a line break at the end. What breaks a rule is an AssertionError.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:\\[\\n"]|[^\\\n"])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)")
HELP = re.compile(rf"# HELP ({NAME}) ((?:\\[\\n]|[^\\\n])+)")
TYPE = re.compile(rf"# TYPE ({NAME}) (counter|gauge|histogram)")
PART = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:\\.|[^\\"])*)"')


@dataclass
class Family:
    """One family: samples by what stands behind its name, labels included."""

    kind: str
    help: str
    samples: dict[str, float] = field(default_factory=dict)


def labels(text: str) -> dict[str, str]:
    """Return the labels of a sample, unescaped."""
    plain = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
    return {
        name: re.sub(r'\\[\\"n]', lambda hit: plain[hit[0]], value)
        for name, value in PART.findall(text)
    }


def families(text: str) -> dict[str, Family]:
    """Return all families of a page."""
    assert text.endswith("\n")
    found: dict[str, Family] = {}
    current, says = "", ""
    for line in text.split("\n")[:-1]:
        if match := HELP.fullmatch(line):
            assert match[1] not in found, f"the help of {match[1]} comes late"
            current, says = match[1], match[2]
        elif match := TYPE.fullmatch(line):
            assert match[1] not in found, f"{match[1]} comes twice"
            assert current == match[1] or not says or current in found, "help without its type"
            found[match[1]] = Family(match[2], says if current == match[1] else "")
            current, says = match[1], ""
        else:
            _sample(line, current, found)
    assert all(family.samples for family in found.values())
    for name, family in found.items():
        if family.kind == "histogram":
            _histogram(name, family)
    return found


def _sample(line: str, current: str, found: dict[str, Family]) -> None:
    match = SAMPLE.fullmatch(line)
    assert match is not None, line
    family = found[current]
    ends = ("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",)
    assert match[1] in [current + end for end in ends], f"{match[1]} stands among {current}"
    behind = match[1].removeprefix(current) + (f"{{{match[2]}}}" if match[2] else "")
    assert behind not in family.samples, line
    if family.kind != "gauge":
        assert not float(match[3]) < 0, line
    family.samples[behind] = float(match[3])


def _histogram(name: str, family: Family) -> None:
    """Check every series of a histogram on its own."""
    series: dict[str, list[tuple[float, float]]] = {}
    for behind, value in family.samples.items():
        if behind.startswith("_bucket"):
            found = labels(behind)
            bound = float(found.pop("le"))
            series.setdefault(repr(sorted(found.items())), []).append((bound, value))
    assert series, f"{name} has no buckets"
    for key, buckets in series.items():
        bounds, counts = zip(*buckets, strict=True)
        assert list(bounds) == sorted(set(bounds)), f"{name}{key}: bounds do not rise"
        assert bounds[-1] == float("inf"), f"{name}{key}: no +Inf"
        assert list(counts) == sorted(counts), f"{name}{key}: not cumulated"
        count = [
            value
            for behind, value in family.samples.items()
            if behind.startswith("_count") and repr(sorted(labels(behind).items())) == key
        ]
        assert count == [counts[-1]], f"{name}{key}: _count is not its last bucket"
