"""What ends by itself, what the broker is still to be told, and clocks and files that are wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from rig.renewal_bench import DAY_MS, DAYS, benched

from egret_aggregator.errors import EnrolmentError

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.enrolment.accounts import Book


async def test_the_brokers_certificate_is_renewed_before_it_ends(tmp_path: Path) -> None:
    async with benched(tmp_path) as bench:
        server = bench.folder.path / "server.pem"
        before = server.read_bytes()
        await bench.renewals._certify(trusted=True)
        assert server.read_bytes() == before
        bench.ms += 551 * DAY_MS
        await bench.renewals._certify(trusted=True)
        after = server.read_bytes()
        assert after != before
        await bench.renewals._certify(trusted=True)
        assert server.read_bytes() == after
        server.write_text("cut short")
        assert await bench.office.certify_when_due(), "one that cannot be read is made anew"


async def test_what_is_over_opens_nothing(tmp_path: Path) -> None:
    async with benched(tmp_path) as bench:
        await bench.office.add("gw1", days=1)
        await bench.office.add("gw2", days=3)
        bench.ms += 2 * DAY_MS
        await bench.renewals._sweep()
        assert bench.opened() == ["gw2.1"]
        await bench.renewals._sweep()
        assert bench.lines("credential_ended") == [{"accounts": ["gw1.1"], "why": "over"}]
        account_, _ = await bench.office.add("gw1")
        assert account_.name == "gw1.2", "one whose bundle was never used can be enrolled again"


async def test_a_clock_that_is_ahead_for_a_minute_locks_nobody_out(tmp_path: Path) -> None:
    async with benched(tmp_path) as bench:
        await bench.office.add("gw1")
        await bench.office.make("gw2", "renewal", "centre", days=DAYS)
        hashes = {one.name: one.hashes for one in bench.folder.book().accounts}
        bench.ms += 4000 * DAY_MS
        await bench.renewals._sweep()
        assert bench.opened() == []
        assert bench.folder.certificate_due(bench.ms - 4000 * DAY_MS), "it begins in the future"
        bench.ms -= 4000 * DAY_MS
        await bench.renewals._sweep()
        assert bench.opened() == ["gw1.1", "gw2.1"]
        assert {one.name: one.hashes for one in bench.folder.book().accounts} == hashes
        assert not bench.folder.certificate_due(bench.ms)
        assert [line["why"] for line in bench.lines("credential_added")][2:] == ["not over"] * 2


async def test_a_clock_nobody_vouches_for_ends_nothing(tmp_path: Path) -> None:
    async with benched(tmp_path) as bench:
        await bench.office.add("gw1")
        before = (bench.folder.path / "server.pem").read_bytes()
        bench.trusted = False
        bench.ms += 4000 * DAY_MS
        await bench.renewals._sweep()
        assert bench.opened() == ["gw1.1"]
        assert (bench.folder.path / "server.pem").read_bytes() == before
        (bench.folder.path / "server.pem").write_text("")
        await bench.renewals._sweep()
        assert not bench.folder.certificate_broken(), "what is of no use by any clock is made anew"


async def test_what_a_newer_one_has_replaced_is_removed(tmp_path: Path) -> None:
    async with benched(tmp_path) as bench:
        await bench.office.make("gw1", "renewal", "centre", days=1, pending=True)
        await bench.office.make("gw1", "renewal", "centre", days=DAYS, pending=True)
        bench.renewals.saw("gw1", "gw1.1")
        await bench.until(lambda: not bench.folder.book().accounts[0].pending)
        bench.renewals.saw("gw1", "gw1.2")
        await bench.until(lambda: not bench.folder.book().accounts[-1].pending)
        bench.ms += 2 * DAY_MS
        await bench.renewals._sweep()
        assert bench.names() == ["gw1.2"]


async def test_a_reload_that_failed_is_made_good_at_every_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with benched(tmp_path) as bench:
        await bench.office.add("gw1")
        told: list[bool] = []

        def refuse() -> None:
            raise EnrolmentError("no broker", "start it")

        monkeypatch.setattr(bench.folder, "_reload", refuse)
        with pytest.raises(EnrolmentError, match="no broker"):
            await bench.office.revoke("gw1")
        with pytest.raises(EnrolmentError, match="no broker"):
            await bench.office.revoke("gw1")
        for _ in range(3):
            await bench.renewals._sweep()
        assert caplog.text.count("event=broker_untold") == 1, "said once"
        monkeypatch.setattr(bench.folder, "_reload", lambda: told.append(True))
        await bench.renewals._sweep()
        assert told == [True], "the revoked account opens the broker no more"
        await bench.renewals._sweep()
        assert told == [True], "once"
        assert "event=broker_told" in caplog.text
        with pytest.raises(EnrolmentError, match="not enrolled"):
            await bench.office.revoke("gw1")


async def test_a_revocation_that_is_done_again_has_the_broker_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with benched(tmp_path) as bench:
        await bench.office.add("gw1")
        failing, told = [True], []

        def reload() -> None:
            if failing:
                raise EnrolmentError("no broker", "start it")
            told.append(True)

        monkeypatch.setattr(bench.folder, "_reload", reload)
        with pytest.raises(EnrolmentError, match="no broker"):
            await bench.office.revoke("gw1")
        failing.clear()
        assert await bench.office.revoke("gw1") == []
        assert told == [True]


@pytest.mark.parametrize(
    ("name", "content"),
    [("ca.key", None), ("accounts.json", b"\xff\xfe"), ("accounts.json", b"[[]]")],
)
async def test_files_that_nobody_expected_do_not_end_the_centre(
    tmp_path: Path, name: str, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with benched(tmp_path) as bench:
        path = bench.folder.path / name
        if content is None:  # a CA key with a passphrase
            key = load_pem_private_key(path.read_bytes(), None)
            content = key.private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"swordfish")
            )
        path.write_bytes(content)
        bench.ms += 551 * DAY_MS
        await bench.renewals._sweep()
        assert "event=renewal_failed" in caplog.text
        bench.renewals.saw("gw1", "gw1.1")
        await bench.until(lambda: not bench.renewals._waiting)
        assert bench.lines("certificate_renewed") == [], "none was"


async def test_any_other_error_is_told_and_tried_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with benched(tmp_path) as bench:

        async def broken() -> Book:
            raise ZeroDivisionError

        monkeypatch.setattr(bench.office, "book", broken)
        bench.renewals.saw("gw1", "gw1.1")
        await bench.until(lambda: "gw1" in bench.renewals._rests)
        await bench.renewals._sweep()
