"""What stands there is told by its own words; what is missing, with the command that makes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from egret_aggregator.store.influx import server
from egret_aggregator.store.influx.answers import judged
from egret_aggregator.store.influx.server import Family, Server
from egret_aggregator.store.settings import StoreSettings

HERE = StoreSettings("influx", "http://series:8086", "egret", "city", Path("/etc/token"))
V1 = Server(Family.V1, "1.8.10", "OSS")
V2 = Server(Family.V2, "v2.7.1", "OSS")
CORE = Server(Family.V3, "3.1.0", "Core")


@pytest.mark.parametrize(
    ("headers", "text", "found"),
    [
        ({"X-Influxdb-Version": "1.8.10", "X-Influxdb-Build": "OSS"}, "", V1),
        ({"x-influxdb-version": "v2.7.1", "x-influxdb-build": "OSS"}, "", V2),
        ({"x-influxdb-version": "3.1.0", "x-influxdb-build": "Core"}, "", CORE),
        ({}, '{"version":"3.1.0","revision":"abc"}', Server(Family.V3, "3.1.0", "")),
        ({"X-Influxdb-Version": "openGemini"}, "", Server(Family.UNKNOWN, "openGemini", "")),
        ({}, "<html>", server.NOBODY),
        ({}, "[1]", server.NOBODY),
    ],
)
def test_a_server_is_known_by_its_ping(headers: dict[str, str], text: str, found: Server) -> None:
    assert server.found(headers, text) == found


def test_it_is_told_for_people() -> None:
    assert V1.told == "influxdb 1.8.10 OSS"
    assert server.NOBODY.told == "influxdb ?"
    assert "72 h" in server.caveat(CORE)
    assert server.caveat(V1) == server.caveat(Server(Family.V3, "3.1.0", "Enterprise")) == ""


def test_a_missing_bucket_comes_with_the_command_that_makes_it() -> None:
    why = 'retention policy not found: database not found: "egret"'
    told = server.question_refused(why, V1, HERE)
    assert """influx -execute 'CREATE DATABASE "egret"'""" in told
    told = server.question_refused("404 dbrp mapping not found", V2, HERE)
    assert "influx bucket create --org city --name egret --retention 0" in told
    assert "influx v1 dbrp create --org city --bucket-id ID_OF_egret" in told
    assert "--db egret --rp autogen --default" in told
    assert "influxdb3 create database egret" in server.question_refused("404", CORE, HERE)
    long = HERE.__class__("influx", HERE.url, "egret/a year")
    assert 'CREATE RETENTION POLICY "a year" ON "egret"' in server.missing(V1, long)


def test_a_name_cannot_leave_its_quotes_in_a_shown_command() -> None:
    evil = HERE.__class__("influx", HERE.url, "a; rm -rf b")
    assert "--name 'a; rm -rf b'" in server.missing(V2, evil)


def test_held_writes_name_their_remedy() -> None:
    told = server.refused(judged(401, "no", {}), V1, HERE)
    assert "name:password" in told
    assert "/etc/token" in told
    assert "may read and write bucket 'egret'" in server.refused(judged(403, "", {}), V2, HERE)
    told = server.refused(judged(404, 'database not found: "egret"', {}), V1, HERE)
    assert "CREATE DATABASE" in told
    old = Server(Family.V1, "1.6.7~rc0", "")
    assert "1.8 or later" in server.refused(judged(404, "404 page not found", {}), old, HERE)
    assert "(down): 500 broken" in server.refused(judged(500, "broken", {}), V1, HERE)


def test_a_refused_question_is_told_for_what_it_is() -> None:
    core = "Query would exceed file limit of 432 parquet files"
    assert "72 h a query" in server.question_refused(core, CORE, HERE)
    assert "/etc/token" in server.question_refused("401 unauthorized", V2, HERE)
    assert "refuses the question: odd" in server.question_refused("odd", V1, HERE)


def test_a_measurement_of_anothers_is_named() -> None:
    assert server.foreign_fields({}) == ""
    assert server.foreign_fields({"value": "float", "q": "integer", "more": "string"}) == ""
    told = server.foreign_fields({"value": "integer", "q": "integer"})
    assert "value is integer, not float" in told
