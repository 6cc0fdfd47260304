"""The doctor at a broker: as the centre comes, without a word, and once as a stranger."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rig.bare_broker import bare_broker
from rig.broker import without
from rig.secured import PROGRAMS, running_secured

from egret_aggregator.clock import Clock
from egret_aggregator.config import BrokerSettings
from egret_aggregator.doctor.broker import broker
from egret_aggregator.enrolment.settings import Kind
from egret_aggregator.errors import BrokerError
from egret_aggregator.intake.mqtt import probe

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.enrolment.settings import Program


def settings(port: int, **more: object) -> BrokerSettings:
    return replace(BrokerSettings(embedded=False, port=port), **more)  # type: ignore[arg-type]


async def test_it_subscribes_and_leaves_without_a_word() -> None:
    async with bare_broker() as bare:
        await probe(settings(bare.port), Clock().now_ms)
        await bare.until(lambda: bare.farewells == 1)
        assert bare.connects == 1
        assert len(bare.topics) == 4
        # A last word would tell every gateway that the centre takes nothing.
        assert bare.came == []


@pytest.mark.parametrize("refusal", [{"connack": 5}, {"suback": 0x80}])
async def test_a_refusal_is_told(refusal: dict[str, int]) -> None:
    async with bare_broker() as bare:
        for name, value in refusal.items():
            setattr(bare, name, value)
        with pytest.raises(BrokerError, match=str(bare.port)):
            await probe(settings(bare.port), Clock().now_ms)
        result = await broker(settings(bare.port), Clock(), running=True, conf=None)
        assert len(result.findings) == 1


async def test_a_broker_that_needs_no_password_is_open(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("swordfish")
    async with bare_broker() as bare:
        with_account = settings(bare.port, username="u", password_file=tmp_path / "password")
        result = await broker(with_account, Clock(), running=True, conf=None)
        (found,) = result.findings
        assert "lets anybody in" in found.what
        assert bare.connects == 2
        # On loopback and without accounts only this machine's own programs reach it.
        assert (await broker(settings(bare.port), Clock(), running=True, conf=None)).findings == ()


async def test_one_that_listens_everywhere_is_open_though_the_centre_reaches_it_on_loopback() -> (
    None
):
    async with bare_broker(host="0.0.0.0") as bare:  # noqa: S104  (that is what is looked for)
        (found,) = (await broker(settings(bare.port), Clock(), running=True, conf=None)).findings
        assert "lets anybody in" in found.what


@pytest.mark.system
@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_stranger_comes_without_the_centres_certificate(
    tmp_path: Path, program: Program
) -> None:
    if without(program):
        pytest.skip(without(program))
    async with running_secured(tmp_path, program, Kind.CERTIFICATE) as secured:
        result = await broker(secured.as_centre(), Clock(), running=True, conf=None)
        assert result.findings == ()


async def test_an_embedded_one_is_not_looked_for_while_the_centre_is_down() -> None:
    result = await broker(BrokerSettings(port=1), Clock(), running=False, conf=None)
    assert result.findings == ()
    assert "runs with the centre" in result.seen


async def test_an_embedded_one_that_cannot_be_found_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EGRET_NATS_SERVER", str(tmp_path / "none"))
    result = await broker(BrokerSettings(port=1), Clock(), running=False, conf=None)
    (found,) = result.findings
    assert "nats-server" in found.what
    assert "install" in found.remedy
