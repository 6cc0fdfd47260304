"""The dashboards as files: generated, whole, and naming only data sources that are provisioned."""

from __future__ import annotations

import importlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from rig import grafana

from egret_core.rules.index import Standing

if TYPE_CHECKING:
    from pathlib import Path

BOARDS = grafana.boards()
TARGETS = list(grafana.targets())
# Grafana's own ids of units that panels may name; a typing error would be shown as a word.
UNITS = {"", "none", "short", "s", "ms", "h", "bytes", "lengthm", "lengthmm", "pressurekpa"}
BUILT_IN = {"-- Mixed --", "-- Grafana --"}
SOURCES = sorted((grafana.PROVISIONING / "datasources").glob("*.yaml"))
VARIANTS = sorted((grafana.PROVISIONING / "variants").glob("*.yaml"))


def provisioned(path: Path) -> dict[str, dict[str, Any]]:
    body = yaml.safe_load(path.read_text("utf-8"))
    assert body["apiVersion"] == 1
    return {source["uid"]: source for source in body["datasources"]}


def found(body: Any, key: str) -> list[Any]:
    """Return every value of a key, however deep."""
    if isinstance(body, dict):
        here = [body[key]] if key in body else []
        return here + [value for item in body.values() for value in found(item, key)]
    if isinstance(body, list):
        return [value for item in body for value in found(item, key)]
    return []


@pytest.fixture
def dashboards(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(grafana.ROOT / "tools"))
    return importlib.import_module("dashboards")


def test_generating_them_anew_makes_no_difference(dashboards: Any) -> None:
    assert dashboards.main(["--check"]) == 0
    assert set(BOARDS) == {"egret-overview", "egret-station", "egret-gateways", "egret-service"}


def test_a_difference_is_seen_and_generating_mends_it(
    dashboards: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    shutil.copytree(grafana.DASHBOARDS, tmp_path / "boards")
    monkeypatch.setattr(dashboards, "FOLDER", tmp_path / "boards")
    path = tmp_path / "boards/egret-service.json"
    text = path.read_text("utf-8")
    path.write_text(text.replace("Egret: the service", "My service"), "utf-8")
    assert dashboards.main(["--check"]) == 1
    assert capsys.readouterr().err.startswith("egret-service.json: differs")
    assert dashboards.main([]) == 0
    assert path.read_text("utf-8") == text
    assert dashboards.main(["--nonsense"]) == 2


@pytest.mark.parametrize("uid", BOARDS)
def test_a_board_is_whole(uid: str) -> None:
    board = BOARDS[uid]
    assert board.keys() >= {"title", "panels", "templating", "annotations", "schemaVersion", "time"}
    assert board["editable"] is False
    panels = board["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    for panel in panels:
        assert panel["type"] in ("stat", "table", "timeseries", "geomap")
        assert panel["title"]
        assert panel["targets"]
        refs = [target["refId"] for target in panel["targets"]]
        assert len(refs) == len(set(refs))
    titles = [panel["title"] for panel in panels]
    assert len(titles) == len(set(titles))


@pytest.mark.parametrize("uid", BOARDS)
def test_panels_do_not_overlap_and_stay_within_the_width(uid: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARDS[uid]["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        fields = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not fields & taken, panel["title"]
        taken |= fields


def test_every_unit_is_one_of_grafanas() -> None:
    for board in BOARDS.values():
        for defaults in found(board, "defaults"):
            assert defaults.get("unit", "") in UNITS
        for one in found(board, "properties"):
            named = [item["value"] for item in one if item["id"] == "unit"]
            assert set(named) <= UNITS


def test_every_data_source_is_provisioned() -> None:
    sources: dict[str, dict[str, Any]] = {}
    for path in SOURCES:
        sources |= provisioned(path)
    for board in BOARDS.values():
        for named in found(board, "datasource"):
            if named["uid"] not in BUILT_IN:
                assert sources[named["uid"]]["type"] == named["type"]
    used = {target.query["datasource"]["uid"] for target in TARGETS}
    assert used == set(sources) == {"egret-influx", "egret-api"}


@pytest.mark.parametrize("path", [*SOURCES, *VARIANTS], ids=lambda path: path.stem)
def test_a_source_is_encrypted_and_its_secrets_are_files(path: Path) -> None:
    for source in provisioned(path).values():
        assert source["access"] == "proxy"
        assert source["editable"] is False
        assert source["url"].startswith("https://")
        assert source["jsonData"]["tlsAuthWithCACert"] is True
        assert "tlsSkipVerify" not in source["jsonData"]
        for key, secret in source["secureJsonData"].items():
            assert "$__file{/run/secrets/" in secret, key


def test_influxdb_is_asked_by_influxql_in_every_edition() -> None:
    told = {path.stem: provisioned(path)["egret-influx"] for path in VARIANTS}
    told["influxdb-2"] = provisioned(grafana.PROVISIONING / "datasources/influxdb.yaml")[
        "egret-influx"
    ]
    assert set(told) == {"influxdb-1.8", "influxdb-2", "influxdb-3"}
    for source in told.values():
        assert source["type"] == "influxdb"
        # Both words: which one is read depends on Grafana's version.
        assert source["database"] == source["jsonData"]["dbName"] == "egret"
        assert source["jsonData"]["version"] == "InfluxQL"
    two = told.pop("influxdb-2")
    assert two["jsonData"]["httpHeaderName1"] == "Authorization"
    assert two["secureJsonData"]["httpHeaderValue1"].startswith("Token ")
    for source in told.values():
        assert source["user"]
        assert source["secureJsonData"]["password"]


def test_infinity_sends_its_token_to_the_api_only() -> None:
    source = provisioned(grafana.PROVISIONING / "datasources/api.yaml")["egret-api"]
    assert source["jsonData"]["auth_method"] == "bearerToken"
    assert source["jsonData"]["allowedHosts"] == [source["url"]]


def test_every_query_is_of_a_kind_that_shared_dashboards_can_run() -> None:
    for target in TARGETS:
        query = target.query
        if query["datasource"]["uid"] == "egret-api":
            assert (query["type"], query["source"], query["parser"]) == ("json", "url", "backend")
            assert query["url"].startswith("/api/v1/grafana/")
            assert query["url_options"]["method"] == "GET"
        elif "SELECT" in query["query"]:
            assert query["rawQuery"] is True
            assert "$timeFilter" in query["query"], "a read is bounded in time"
            assert "fill(none)" in query["query"], "a gap is a gap"


def test_the_folder_of_the_dashboards_is_read_only() -> None:
    text = (grafana.PROVISIONING / "dashboards/egret.yaml").read_text("utf-8")
    (provider,) = yaml.safe_load(text)["providers"]
    assert provider["allowUiUpdates"] is False
    assert provider["disableDeletion"] is True


def test_what_stands_is_shown_beside_whether_it_may_be_believed() -> None:
    for uid in ("egret-overview", "egret-service"):
        titles = {panel["title"] for panel in BOARDS[uid]["panels"]}
        assert {"Highest level on record", "Judgement", "Readings come in"} <= titles


def test_rules_that_do_not_judge_are_counted_beside_what_stands() -> None:
    tables = [target for target in TARGETS if target.panel == "Rules by standing"]
    assert {target.board for target in tables} == {"egret-overview", "egret-service"}
    for target in tables:
        columns = {column["selector"] for column in target.query["columns"]}
        assert columns == {f"standing_{standing}" for standing in Standing}


def test_every_list_of_warnings_says_what_they_rest_on_and_whether_they_are_of_the_past() -> None:
    lists = [target for target in TARGETS if target.query.get("url", "").endswith("/warnings")]
    assert {target.board for target in lists} == {"egret-overview", "egret-station"}
    for target in lists:
        types = {column["selector"]: column["type"] for column in target.query["columns"]}
        assert (types.get("basis"), types.get("retrospective")) == ("string", "boolean")


def test_unknown_is_not_green() -> None:
    text = json.dumps(BOARDS["egret-overview"])
    (mapped,) = {json.dumps(item) for item in found(json.loads(text), "unknown")}
    assert "green" not in mapped
