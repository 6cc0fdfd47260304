"""What a look at one room says. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """Something to act on: what is so, and what to do about it, one sentence each."""

    what: str
    remedy: str


class Result(NamedTuple):
    """One room: what was seen there, and what is to be acted on."""

    room: str
    seen: str
    findings: tuple[Finding, ...] = ()
