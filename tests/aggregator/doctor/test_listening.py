"""Which ports others reach, by the kernel's own table."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from egret_aggregator.doctor import listening
from egret_aggregator.doctor.listening import beyond_loopback, open_to_others

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"


@pytest.mark.parametrize(
    ("family", "host", "others"),
    [
        (socket.AF_INET, "127.0.0.1", False),
        (socket.AF_INET, "0.0.0.0", True),  # noqa: S104  (that is what is looked for)
        (socket.AF_INET6, "::1", False),
        (socket.AF_INET6, "::", True),
    ],
)
def test_a_real_listener_is_found(family: socket.AddressFamily, host: str, *, others: bool) -> None:
    with socket.socket(family) as holder:
        try:
            holder.bind((host, 0))
        except OSError as error:
            pytest.skip(f"no {host} on this machine: {error}")
        holder.listen()
        assert beyond_loopback(holder.getsockname()[1]) is others


@pytest.mark.parametrize(
    ("line", "others"),
    [
        ("0: 00000000:075B 00000000:0000 0A 0", True),
        ("0: 00000000:075B 00000000:0000 01 0", False),  # a connection, no listener
        ("0: 00000000:075C 00000000:0000 0A 0", False),  # another port
        ("0: 00000000:075B", False),
        ("", False),
    ],
)
def test_only_listeners_on_the_port_count(line: str, *, others: bool) -> None:
    assert open_to_others(f"{HEAD}   {line}\n", 1883) is others


def test_where_the_kernel_does_not_say_nobody_is_accused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(listening, "TABLES", (tmp_path / "none",))
    assert not beyond_loopback(1883)
