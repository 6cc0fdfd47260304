"""The test runner's own arithmetic, and that a missing component is named."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rig import influxd

if TYPE_CHECKING:
    from types import ModuleType

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(TOOLS))

    def load(name: str) -> ModuleType:
        sys.modules.pop(name, None)
        return __import__(name)

    return load


def test_quick_ones_run_in_parallel_and_slow_ones_alone(tool: Any) -> None:
    quick, slow, alone = tool("test").phases(["tests/core"], long=False)
    assert quick == ["-n", "2", "-m", "not system and not long", "tests/core"]
    spread = ["-n", "3", "--dist", "worksteal"]
    assert slow == [*spread, "-m", "system and not long and not alone", "tests/core"]
    assert alone == ["-m", "system and not long and alone", "tests/core"]


def test_long_takes_everything_slow(tool: Any) -> None:
    assert tool("test").phases([], long=True)[2] == ["-m", "(system or long) and alone"]


def test_a_selection_of_the_callers_own_is_one_run(tool: Any) -> None:
    assert tool("test").phases(["-m", "system"], long=False) == [["-m", "system"]]


def test_one_store_has_its_conformance_suite_alone(tool: Any) -> None:
    (only,) = tool("test").phases(["--store", "influx", "-x"], long=False)
    assert only == [tool("test").CONFORMANCE, "-k", "influx", "-x"]
    assert (TOOLS.parent / only[0]).exists()


REPORT = """<testsuites><testsuite tests="7" failures="1" errors="1" skipped="2"><testcase>
<properties><property name="kill rounds" value="rounds=20 seed=7 lost=0"/></properties>
</testcase></testsuite></testsuites>"""


def test_what_a_drill_recorded_is_printed(
    tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    tool("test").add(report, Counter())
    assert capsys.readouterr().out == "kill rounds: rounds=20 seed=7 lost=0\n"


def test_both_reports_are_added_up(tool: Any, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    counts: Counter[str] = Counter(passed=10)
    tool("test").add(report, counts)
    assert counts == Counter(passed=13, failed=1, error=1, skipped=2)


def test_summary_reads_like_pytests_own(tool: Any) -> None:
    line = tool("test").summary(Counter(passed=3, failed=1), 1.5)
    assert line.strip("=") == " 1 failed, 3 passed in 1.50s "
    assert len(line) == 80


def test_a_missing_package_is_named_with_what_is_skipped(
    tool: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    debian = tool("debian")
    absent = debian.Package("egret-none", ("egret-none",), "a test of nothing")
    monkeypatch.setattr(debian, "PACKAGES", (absent,))
    monkeypatch.setattr(debian, "install", lambda _: "not root")
    monkeypatch.delenv("CI", raising=False)
    assert debian.provide("test") == 0
    assert "without egret-none (not root): skipped is a test of nothing" in capsys.readouterr().err
    monkeypatch.setenv("CI", "true")
    assert debian.provide("test") == 1


def test_nothing_is_installed_where_all_is_there(
    tool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    debian = tool("debian")
    monkeypatch.setattr(debian, "PACKAGES", (debian.Package("sh", ("true",), ""),))
    monkeypatch.setattr(debian, "install", lambda _: pytest.fail("installed"))
    assert debian.provide("test") == 0


def test_a_service_is_unpacked_and_not_installed(
    tool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    debian = tool("debian")
    ran: list[list[str]] = []
    monkeypatch.setattr(debian, "_run", lambda command, *_: ran.append(command) or "")
    monkeypatch.setattr(debian, "_unpack", lambda name: f"unpacked {name}")
    service = debian.Package("egret-service", ("none",), "", unpack=True)
    assert debian.install((service,)) == "unpacked egret-service"
    assert all("install" not in command for command in ran)


def test_what_is_unpacked_is_found_without_being_installed(
    tool: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    debian = tool("debian")
    monkeypatch.setattr(debian, "UNPACKED", tmp_path)
    package = debian.Package("egret-service", ("egret-service-program", "version"), "", unpack=True)
    monkeypatch.setattr(debian, "PACKAGES", (package,))
    assert debian.missing() == (package,)
    program = tmp_path / "egret-service" / "usr" / "bin" / "egret-service-program"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert debian.missing() == ()


def test_the_rig_looks_where_packages_are_unpacked(tool: Any) -> None:
    assert tool("debian").UNPACKED / "influxdb" / "usr" / "bin" == influxd.UNPACKED


def test_no_package_starts_its_service_and_a_policy_of_the_machine_stands(
    tool: Any, tmp_path: Path
) -> None:
    policy = tmp_path / "policy-rc.d"
    with tool("debian").services_left_off(policy):
        assert subprocess.run([policy], check=False).returncode == 101
    assert not policy.exists()
    policy.write_text("#!/bin/sh\nexit 0\n")
    with tool("debian").services_left_off(policy):
        assert "exit 0" in policy.read_text()
    assert policy.exists()
