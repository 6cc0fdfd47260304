"""Which server stands there, and what to do where something is missing. Pure."""

from __future__ import annotations

import json
import re
import shlex
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.store.influx import line
from egret_aggregator.store.influx.answers import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egret_aggregator.store.influx.answers import Answer
    from egret_aggregator.store.settings import StoreSettings

CORE_SPAN_H = 72  # InfluxDB 3 Core: 432 files of 10 minutes a query
_VERSION = re.compile(r"v?(\d+)\.(\d+)")
_OF_CORE = re.compile(r"file.limit|parquet files", re.IGNORECASE)
_NO_DATABASE = re.compile(r"(database|dbrp|bucket|retention policy)\b.*not found", re.IGNORECASE)


class Family(StrEnum):
    """Editions that are set up in different ways."""

    V1 = "1"
    V2 = "2"
    V3 = "3"
    UNKNOWN = "unknown"


class Server(NamedTuple):
    """What answered: version and build are its own words, "" for none."""

    family: Family
    version: str
    build: str

    @property
    def told(self) -> str:
        """Return it for people."""
        return f"influxdb {' '.join(part for part in (self.version, self.build) if part) or '?'}"


NOBODY = Server(Family.UNKNOWN, "", "")


def found(headers: Mapping[str, str], text: str) -> Server:
    """Return what `/ping` tells by its headers, or in its body as 3.x does."""
    lower = {key.lower(): value for key, value in headers.items()}
    version, build = lower.get("x-influxdb-version", ""), lower.get("x-influxdb-build", "")
    if not version:
        try:
            body = json.loads(text)
        except ValueError:
            body = None
        version = str(body.get("version", "")) if isinstance(body, dict) else ""
    match = _VERSION.match(version)
    family = Family.UNKNOWN
    if match and match[1] in ("1", "2", "3"):
        family = Family(match[1])
    return Server(family, version[:80], build[:80])


def too_old(server: Server) -> str:
    """Return why a server cannot be written to, "" where it can."""
    match = _VERSION.match(server.version)
    if match and (int(match[1]), int(match[2])) < (1, 8):
        return f"{server.told} has no /api/v2/write: InfluxDB 1.8 or later is needed"
    return ""


def caveat(server: Server) -> str:
    """Return what a user of this server should know, "" for nothing."""
    if server.family is Family.V3 and server.build.lower() == "core":
        return f"InfluxDB 3 Core answers recent spans only, about {CORE_SPAN_H} h a query"
    return ""


def missing(server: Server, settings: StoreSettings) -> str:
    """Return the commands that make bucket, database or mapping."""
    database, _, policy = settings.bucket.partition("/")
    if server.family is Family.V1:
        made = f'CREATE DATABASE "{database}"'
        if policy:
            made += (
                f'; CREATE RETENTION POLICY "{policy}" ON "{database}" DURATION INF REPLICATION 1'
            )
        return f"run: influx -execute {shlex.quote(made)}"
    if server.family is Family.V3:
        return f"run: influxdb3 create database {shlex.quote(database)}"
    org, bucket = shlex.quote(settings.org), shlex.quote(settings.bucket)
    return (
        f"run: influx bucket create --org {org} --name {bucket} --retention 0"
        f" ; where the bucket is there, run: influx v1 dbrp create --org {org}"
        f" --bucket-id ID_OF_{bucket} --db {shlex.quote(database)}"
        f" --rp {shlex.quote(policy or 'autogen')} --default"
    )


def refused(answer: Answer, server: Server, settings: StoreSettings) -> str:
    """Return what a held write means, with its remedy where a person is needed."""
    if answer.verdict is Verdict.CREDENTIALS:
        return f"InfluxDB refuses the token ({answer.why}): {_token(server, settings)}"
    if answer.verdict is Verdict.MISSING:
        old = "" if _NO_DATABASE.search(answer.why) else too_old(server)
        remedy = old or missing(server, settings)
        return f"InfluxDB has no bucket {settings.bucket!r} to write to ({answer.why}): {remedy}"
    return f"InfluxDB at {settings.url} does not take it ({answer.verdict}): {answer.why}"


def is_too_long(why: str) -> bool:
    """Tell whether a statement was refused for the span it asks for, as InfluxDB 3 Core does."""
    return _OF_CORE.search(why) is not None


def question_refused(why: str, server: Server, settings: StoreSettings) -> str:
    """Return what a refused statement means, with its remedy."""
    if why[:3] in ("401", "403"):
        return f"InfluxDB refuses the token ({why}): {_token(server, settings)}"
    if why[:3] == "404" or _NO_DATABASE.search(why):
        remedy = missing(server, settings)
        return f"InfluxDB has no database {settings.bucket!r} to ask ({why}): {remedy}"
    if is_too_long(why):
        return (
            f"InfluxDB 3 Core answers recent spans only, about {CORE_SPAN_H} h a query, and"
            f" refused this one: ask for a shorter span ({why})"
        )
    return f"InfluxDB at {settings.url} refuses the question: {why}"


def foreign_fields(types: Mapping[str, str]) -> str:
    """Return what stands in the measurement with another type than ours, "" for nothing."""
    other = [
        f"{name} is {types[name]}, not {kind}"
        for name, kind in line.FIELDS.items()
        if types.get(name, kind) != kind
    ]
    if not other:
        return ""
    return (
        f"measurement {line.MEASUREMENT!r} is another's: {', '.join(other)}: name an empty bucket"
    )


def _token(server: Server, settings: StoreSettings) -> str:
    file = settings.token_file or "[store] token_file"
    if server.family is Family.V1:
        return f"write name:password of a user who may read and write into {file}"
    return f"write a token that may read and write bucket {settings.bucket!r} into {file}"
