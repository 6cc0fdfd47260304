"""Every figure is in the table of the code and of the page, and none that is there is missing."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig.centre_half import free_port
from rig.centre_process import PATIENCE_S, CentreProcess, settings_file
from rig.gatewaylike import GatewayLike
from rig.prometheus import families, labels
from rig.seat import ms

from egret_aggregator.metrics import FAMILIES
from egret_core.reading import Reading

if TYPE_CHECKING:
    from rig.prometheus import Family

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/operator/metrics.md"
SOURCES = ROOT / "aggregator/egret_aggregator"
# What is not there before something came.
GROWN = {"egret_warnings", "egret_recording_age_seconds"}
ROW = re.compile(r"^\| `(egret_\w+)` \| (\w+) \| ([\w, ]*) ?\| (.*) \|$", re.MULTILINE)


def row(name: str, kind: str, names: tuple[str, ...], says: str) -> str:
    between = f" {', '.join(names)} " if names else " "
    return f"| `{name}` | {kind} |{between}| {says} |"


def test_the_page_and_the_code_name_the_same_figures() -> None:
    shown = [match.group(0) for match in ROW.finditer(PAGE.read_text(encoding="utf-8"))]
    expected = [row(*family) for family in FAMILIES]
    assert shown == expected, "the rows should be:\n" + "\n".join(expected)


def test_names_are_prometheus_names() -> None:
    names = [family.name for family in FAMILIES]
    assert len(names) == len(set(names))
    for family in FAMILIES:
        assert re.fullmatch(r"egret(_[a-z]+)+", family.name)
        assert family.name.endswith("_total") == (family.kind == "counter"), family.name
        assert not re.search(r"_(ms|kb|mb|s)$", family.name), "base units: seconds and bytes"
        assert family.kind != "histogram" or family.name.endswith("_seconds")
        assert not family.help.endswith(".")


def test_the_code_gives_every_figure_of_the_table_and_no_other() -> None:
    given: set[str] = set()
    for path in (*SOURCES.glob("metrics/*.py"), SOURCES / "line.py"):
        if path.name != "families.py":
            given |= set(re.findall(r'"(egret_[a-z_]+)"', path.read_text(encoding="utf-8")))
    assert given == {family.name for family in FAMILIES}


def arrived(found: dict[str, Family]) -> bool:
    """Whether the reading and the refusal have come through to the figures."""
    return set(found) >= GROWN and any(found["egret_intake_refused_total"].samples.values())


@pytest.mark.system
async def test_a_running_centre_shows_them_as_the_table_says(tmp_path: Path) -> None:
    port = free_port()
    path = settings_file(tmp_path, broker_port=port)
    known = {family.name: family for family in FAMILIES}
    async with CentreProcess(path) as centre, GatewayLike(port, gateway="XM-TA-0042") as gateway:
        before = families(await centre.text("/metrics"))
        start_ms = ms((await centre.get("/api/v1/warnings"))["as_of"])
        gateway.cut(1, [Reading("st0007", "wl", start_ms, 9.0), Reading("st9", "x", start_ms, 1.0)])
        async with asyncio.timeout(PATIENCE_S):
            while gateway.settled != {1}:  # until the centre has subscribed nobody hears it
                await gateway.send(1)
                await asyncio.sleep(0.1)
        await gateway.raw(b"no batch")
        await gateway.status()
        async with asyncio.timeout(PATIENCE_S):
            while not arrived(found := families(await centre.text("/metrics"))):
                await asyncio.sleep(0.05)
        assert set(before) <= set(found)
    for name, family in found.items():
        assert (family.kind, family.help) == (known[name].kind, known[name].help)
        for behind in family.samples:
            assert set(labels(behind)) - {"le"} == set(known[name].labels), (name, behind)
    rare = {"egret_recorder_asides_total"}  # nothing was set aside
    assert set(known) - set(found) <= rare
    assert found["egret_warning_push_seconds"].samples['_count{phase="provisional"}'] >= 1
    assert found["egret_judge_unknown_total"].samples[""] == 1
    assert sum(found["egret_intake_refused_total"].samples.values()) == 1
    assert found["egret_gateway_outbox_bytes"].samples.keys() == {'{gateway="XM-TA-0042"}'}
