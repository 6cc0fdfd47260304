"""The broker's folder: modes, one CA for ever, a reload only when rights change, no half file."""

from __future__ import annotations

import os
import ssl
import stat
import threading
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from egret_aggregator.enrolment import folder as enrolment_folder
from egret_aggregator.enrolment.accounts import Account
from egret_aggregator.enrolment.authority import Authority, span_ms
from egret_aggregator.enrolment.files import PRIVATE, write
from egret_aggregator.enrolment.folder import BrokerFolder
from egret_aggregator.enrolment.settings import EnrolmentSettings, Kind, Program
from egret_aggregator.errors import EnrolmentError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAY_MS = 86_400_000
NOW_MS = 1_795_340_000_000


def folder(path: Path, reload: Callable[[], None] | None = None, **more: object) -> BrokerFolder:
    settings = EnrolmentSettings(path / "broker", "mqtt.city", ("10.0.0.7",), **more)  # type: ignore[arg-type]
    return BrokerFolder(settings, 8883, reload)


def account(number: int = 1) -> Account:
    return Account("gw1", number, "password", {"nats": "n", "mosquitto": "m"}, NOW_MS, NOW_MS + 1)


def modes(path: Path) -> dict[str, int]:
    return {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.iterdir()}


def test_all_that_a_broker_needs_is_made_with_the_right_modes(tmp_path: Path) -> None:
    office = folder(tmp_path)
    assert set(office.found(NOW_MS)) <= set(office.path.iterdir())
    assert modes(office.path) == {
        ".lock": 0o600,
        "accounts.conf": 0o640,
        "accounts.json": 0o600,
        "ca.key": 0o600,
        "ca.pem": 0o644,
        "centre.password": 0o600,
        "mosquitto.acl": 0o640,
        "mosquitto.passwd": 0o640,
        "nats.conf": 0o640,
        "server.key": 0o640,
        "server.pem": 0o644,
    }


def test_with_certificates_the_centre_has_its_own(tmp_path: Path) -> None:
    office = folder(tmp_path, by=Kind.CERTIFICATE, broker=Program.MOSQUITTO)
    office.found(NOW_MS)
    names = modes(office.path)
    assert (names["centre.key"], names["centre.pem"]) == (0o600, 0o644)
    assert "centre.password" not in names
    assert "mosquitto.conf" in names


def test_a_ca_is_never_replaced(tmp_path: Path) -> None:
    office = folder(tmp_path)
    office.found(NOW_MS)
    before = office.ca_pem()
    with pytest.raises(EnrolmentError, match="holds a CA already"):
        office.found(NOW_MS)
    assert office.ca_pem() == before


def test_the_brokers_certificate_bears_every_name(tmp_path: Path) -> None:
    office = folder(tmp_path)
    office.found(NOW_MS)
    found = x509.load_pem_x509_certificate((office.path / "server.pem").read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["mqtt.city", "localhost"]
    addresses = map(str, names.get_values_for_type(x509.IPAddress))
    assert list(addresses) == ["10.0.0.7", "127.0.0.1"]
    found.verify_directly_issued_by(x509.load_pem_x509_certificate(office.ca_pem().encode()))


def test_a_certificate_is_for_one_purpose(tmp_path: Path) -> None:
    authority = Authority.made(tmp_path, "city", NOW_MS)
    purposes = {
        ExtendedKeyUsageOID.SERVER_AUTH: authority.server(["a"], NOW_MS),
        ExtendedKeyUsageOID.CLIENT_AUTH: authority.client("gw1.1", NOW_MS, 1),
    }
    for purpose, pair in purposes.items():
        found = x509.load_pem_x509_certificate(pair.certificate.encode()).extensions
        assert list(found.get_extension_for_class(x509.ExtendedKeyUsage).value) == [purpose]
        assert not found.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_gateways_certificate_made_while_the_clock_was_ahead_is_good_once_it_is_right(
    tmp_path: Path,
) -> None:
    authority = Authority.made(tmp_path, "city", NOW_MS)
    pair = authority.client("gw1.2", NOW_MS + 4000 * DAY_MS, 30)
    begins_ms, ends_ms = span_ms(pair.certificate.encode())
    assert begins_ms <= NOW_MS - 3_600_000
    assert ends_ms == NOW_MS + 4030 * DAY_MS
    later = authority.server(["a"], NOW_MS + DAY_MS)
    assert span_ms(later.certificate.encode())[0] == NOW_MS + DAY_MS - 3_600_000


def test_a_new_certificate_is_of_the_same_ca_and_told_to_the_broker(tmp_path: Path) -> None:
    told: list[bool] = []
    office = folder(tmp_path, lambda: told.append(True))
    office.found(NOW_MS)
    before = [(office.path / name).read_text() for name in ("ca.pem", "server.pem")]
    office.certify(NOW_MS)
    after = [(office.path / name).read_text() for name in ("ca.pem", "server.pem")]
    assert (before[0], before[1] == after[1], told) == (after[0], False, [True])


def test_only_a_change_of_rights_is_told_to_the_broker(tmp_path: Path) -> None:
    told: list[bool] = []
    office = folder(tmp_path, lambda: told.append(True))
    office.found(NOW_MS)
    office.change(lambda book: book.added(account()))
    assert len(told) == 1
    office.change(lambda book: book.put(account()))
    office.change(lambda book: book)
    assert len(told) == 1
    office.change(lambda book: book.without("gw1.1"))
    assert len(told) == 2
    assert "gw1.1" not in (office.path / "mosquitto.acl").read_text()


def test_what_another_process_wrote_is_seen(tmp_path: Path) -> None:
    one, two = folder(tmp_path), folder(tmp_path)
    one.found(NOW_MS)
    assert one.book() == two.book()
    two.change(lambda book: book.added(account()))
    assert one.book().named("gw1.1") == account()


def test_writers_side_by_side_lose_nothing(tmp_path: Path) -> None:
    folder(tmp_path).found(NOW_MS)

    def add(first: int) -> None:
        for number in range(first, first + 10):
            folder(tmp_path).change(lambda book, n=number: book.added(account(n)))

    threads = [threading.Thread(target=add, args=(first,)) for first in (1, 101, 201)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folder(tmp_path).book().accounts) == 30


@pytest.mark.parametrize(
    ("command", "words"),
    [(("false",), "ended with 1"), (("no-such-command",), "enrolment.reload")],
)
def test_a_reload_that_fails_is_told_and_the_accounts_stand(
    tmp_path: Path, command: tuple[str, ...], words: str
) -> None:
    office = folder(tmp_path, reload=None)
    office.found(NOW_MS)
    office = BrokerFolder(EnrolmentSettings(tmp_path / "broker", "mqtt.city", reload=command), 8883)
    with pytest.raises(EnrolmentError, match=words):
        office.change(lambda book: book.added(account()))
    assert office.book().named("gw1.1") is not None


def held(office: BrokerFolder) -> dict[str, str]:
    return {path.name: path.read_text() for path in office.path.iterdir() if path.is_file()}


class Killed(BaseException):
    """The process ends here."""


def killed_at(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Have everything end before a file of that name is written."""

    def until(path: Path, text: str, mode: int) -> None:
        if path.name == name:
            raise Killed
        write(path, text, mode)

    monkeypatch.setattr(enrolment_folder, "write", until)


@pytest.mark.parametrize("name", ["accounts.conf", "mosquitto.passwd", "accounts.json"])
def test_a_kill_between_the_files_leaves_no_account_that_cannot_be_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    office = folder(tmp_path)
    office.found(NOW_MS)
    office.change(lambda book: book.added(account()))
    with monkeypatch.context() as patch:
        killed_at(patch, name)
        with pytest.raises(Killed):
            office.change(lambda book: book.without("gw1.1"))
    assert office.book().named("gw1.1") is not None, "it can be revoked again"
    office.ready(NOW_MS)
    assert "gw1.1" in (office.path / "mosquitto.passwd").read_text(), "as the book says"
    office.change(lambda book: book.without("gw1.1"))
    assert not any("gw1.1" in text for text in held(office).values())


def test_a_start_renders_what_the_book_says(tmp_path: Path) -> None:
    office = folder(tmp_path)
    office.found(NOW_MS)
    (office.path / "accounts.conf").unlink()
    (office.path / "mosquitto.acl").write_text("user gw9.9\n")
    before = (office.path / "server.pem").read_text()
    office.ready(NOW_MS)
    assert (office.path / "accounts.conf").exists()
    assert "gw9.9" not in (office.path / "mosquitto.acl").read_text()
    assert (office.path / "server.pem").read_text() == before, "a pair that fits stays"


def test_a_broker_of_somebody_else_is_told_after_a_start(tmp_path: Path) -> None:
    flag = tmp_path / "told"
    office = folder(tmp_path, reload=None)
    office.found(NOW_MS)
    settings = EnrolmentSettings(tmp_path / "broker", "mqtt.city", reload=("touch", str(flag)))
    office = BrokerFolder(settings, 8883)
    office.ready(NOW_MS)
    assert not flag.exists(), "not before the centre runs"
    assert office.make_good()
    assert flag.exists()
    assert not office.make_good()


def test_what_changes_while_the_broker_is_told_stays_owed(tmp_path: Path) -> None:
    told: list[int] = []

    def reload() -> None:
        told.append(1)
        if len(told) == 1:
            office._owe()  # another process has changed something

    office = folder(tmp_path, reload)
    office.found(NOW_MS)
    office.change(lambda book: book.added(account()))
    assert office.make_good()
    assert not office.make_good()
    assert len(told) == 2


@pytest.mark.parametrize("name", ["server.pem", "centre.key", "centre.pem"])
def test_a_certificate_that_a_kill_left_without_its_key_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    office = folder(tmp_path, by=Kind.CERTIFICATE)
    office.found(NOW_MS)
    with monkeypatch.context() as patch:
        killed_at(patch, name)
        with pytest.raises(Killed):
            office.certify(NOW_MS)
    assert (office._pairs_fit(), office.certificate_due(NOW_MS)) == (
        (True, False) if name == "centre.key" else (False, True)
    )
    office.ready(NOW_MS)
    assert (office._pairs_fit(), office.certificate_due(NOW_MS)) == (True, False)
    for one in ("server", "centre"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(office.path / f"{one}.pem", office.path / f"{one}.key")


def test_a_certificate_is_due_before_its_end_and_while_it_has_not_begun(tmp_path: Path) -> None:
    office = folder(tmp_path, by=Kind.CERTIFICATE, days=90)
    office.found(NOW_MS)
    assert not office.certificate_due(NOW_MS + 59 * DAY_MS)
    assert office.certificate_due(NOW_MS + 61 * DAY_MS), "the centre's own lives shorter"
    assert office.certificate_due(NOW_MS - DAY_MS), "made while the clock was ahead"
    assert not folder(tmp_path).certificate_due(NOW_MS + 549 * DAY_MS)
    assert folder(tmp_path).certificate_due(NOW_MS + 551 * DAY_MS)


@pytest.mark.parametrize("name", ["ca.pem", "server.key", "accounts.json"])
def test_an_init_that_was_cut_short_is_done_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    office = folder(tmp_path)
    with monkeypatch.context() as patch:
        killed_at(patch, name)
        patch.setattr("egret_aggregator.enrolment.authority.write", enrolment_folder.write)
        with pytest.raises(Killed):
            office.found(NOW_MS)
    with pytest.raises(EnrolmentError) as told:
        office.book()
    assert "ca init" in told.value.remedy
    office.found(NOW_MS)
    assert office.book().accounts == ()
    with pytest.raises(EnrolmentError, match="holds a CA already"):
        office.found(NOW_MS)


@pytest.mark.parametrize("how", ["ready", "found"])
def test_an_init_that_only_could_not_say_that_it_was_done_is_never_done_again(
    tmp_path: Path, how: str
) -> None:
    office = folder(tmp_path)
    office.found(NOW_MS)
    before = office.ca_pem()
    write(office.path / enrolment_folder.BEGUN, "", PRIVATE)
    if how == "ready":
        office.ready(NOW_MS)
    else:
        with pytest.raises(EnrolmentError, match="holds a CA already"):
            office.found(NOW_MS)
    (office.path / "accounts.json").unlink()  # long after, by mistake
    with pytest.raises(EnrolmentError, match="holds a CA already"):
        office.found(NOW_MS)
    assert office.ca_pem() == before
    with pytest.raises(EnrolmentError) as told:
        office.book()
    assert "from a backup" in told.value.remedy


def test_without_the_ca_a_start_renders_all_the_same(tmp_path: Path) -> None:
    office = folder(tmp_path)
    office.found(NOW_MS)
    for name in ("ca.key", "server.key", "mosquitto.acl"):
        (office.path / name).unlink()
    with pytest.raises(EnrolmentError, match="no CA"):
        office.ready(NOW_MS)
    assert (office.path / "mosquitto.acl").exists()


@pytest.mark.parametrize("lost", ["ca.key", "ca.pem"])
def test_a_part_of_a_ca_in_use_is_never_replaced(tmp_path: Path, lost: str) -> None:
    office = folder(tmp_path)
    office.found(NOW_MS)
    (office.path / lost).unlink()
    with pytest.raises(EnrolmentError, match="holds a CA already"):
        office.found(NOW_MS)
    with pytest.raises(EnrolmentError) as told:
        office.certify(NOW_MS)
    assert "from a backup" in told.value.remedy


def test_without_a_ca_the_remedy_is_named(tmp_path: Path) -> None:
    office = folder(tmp_path)
    with pytest.raises(EnrolmentError, match="ca init"):
        office.book()
    with pytest.raises(EnrolmentError, match="ca init"):
        office.certify(NOW_MS)


def test_a_file_keeps_its_former_content_where_the_new_one_cannot_be_written(
    tmp_path: Path,
) -> None:
    write(tmp_path / "f", "old", PRIVATE)
    (tmp_path / ".f.new").mkdir()
    with pytest.raises(OSError, match="directory"):
        write(tmp_path / "f", "new", PRIVATE)
    assert (tmp_path / "f").read_text() == "old"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_what_root_writes_belongs_to_the_folders_owner_and_group(tmp_path: Path) -> None:
    """`sudo egret-aggregator gateway add` must not lock out a centre that runs as another."""
    office = folder(tmp_path)
    office.path.mkdir()
    os.chown(office.path, 12_345, 23_456)
    office.path.chmod(0o2750)
    office.found(NOW_MS)
    office.change(lambda book: book.added(account()))
    owners = {(one.stat().st_uid, one.stat().st_gid) for one in office.path.iterdir()}
    assert owners == {(12_345, 23_456)}
    assert modes(office.path)["mosquitto.acl"] == 0o640
