"""Figures as Prometheus' text format 0.0.4. Pure.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from egret_aggregator.metrics.families import FAMILIES
from egret_aggregator.metrics.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Figures: TypeAlias = "Mapping[str, float | Histogram]"  # by full name, labels included

_HELP = {family.name: family.help for family in FAMILIES}


def exposition(figures: Figures) -> str:
    """Return figures as text, each family in one piece with its type, and its help where known.

    A name that ends in `_total` is a counter, a `Histogram` speaks for itself, others are gauges.
    """
    lines: list[str] = []
    family = ""
    for name in sorted(figures, key=lambda name: name.partition("{")):  # a family in one piece
        base, value = name.partition("{")[0], figures[name]
        if base != family:
            family = base
            if base in _HELP:
                lines.append(f"# HELP {base} {_HELP[base]}")
            lines.append(f"# TYPE {base} {_kind(base, value)}")
        if isinstance(value, Histogram):
            lines.extend(_buckets(base, name.partition("{")[2].rstrip("}"), value))
        else:
            lines.append(f"{name} {value:.15g}")
    return "\n".join(lines) + "\n"


def labelled(name: str, **labels: str) -> str:
    """Return a name with labels; their values may hold anything."""
    inside = ",".join(f'{label}="{_escaped(value)}"' for label, value in labels.items())
    return f"{name}{{{inside}}}"


def _kind(base: str, value: float | Histogram) -> str:
    if isinstance(value, Histogram):
        return "histogram"
    return "counter" if base.endswith("_total") else "gauge"


def _buckets(base: str, labels: str, histogram: Histogram) -> Iterator[str]:
    before = f"{labels}," if labels else ""
    for bound_s, count in histogram.cumulated():
        bound = "+Inf" if bound_s == float("inf") else f"{bound_s:g}"
        yield f'{base}_bucket{{{before}le="{bound}"}} {count}'
    after = f"{{{labels}}}" if labels else ""
    yield f"{base}_sum{after} {histogram.sum_s:.15g}"
    yield f"{base}_count{after} {histogram.count}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
