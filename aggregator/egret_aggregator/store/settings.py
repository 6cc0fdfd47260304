"""The settings of the time-series store: which one, and where it is reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.toml_table import TomlTable

KINDS = ("sqlite", "influx")
NAME_MAX = 200  # characters of a bucket's or an organisation's name
_REMOTE = ("url", "bucket", "org", "token_file", "ca_file")


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where readings are kept; key `[store]`.

    Attributes:
        kind: `sqlite` (a file of ours) or `influx` (InfluxDB 1.8+, 2.x, 3.x).
        url: of the server; a path before `/api/v2/write` and `/query` belongs to it.
        bucket: its name, `database` or `database/policy` on 1.8; org: needed by 2.x alone.
        token_file: holds the token, `name:password` on 1.8; None sends none.
        ca_file: who signed the server's certificate, None for the machine's own list.
    """

    kind: str = "sqlite"
    url: str = ""
    bucket: str = "egret"
    org: str = "-"
    token_file: Path | None = None
    ca_file: Path | None = None


def read(table: TomlTable) -> StoreSettings:
    """Return `[store]`, wholly checked.

    Raises:
        ConfigError: names file, key, value seen and remedy.
    """
    kind = table.text("kind", "sqlite")
    if kind not in KINDS:
        raise table.error("kind", kind, f"write one of {', '.join(KINDS)}")
    given = [name for name in _REMOTE if table.has(name)]
    if kind == "sqlite":
        table.done()
        if given:
            remedy = "write kind = 'influx', or remove this: the SQLite store takes none of it"
            raise table.error(given[0], "given", remedy)
        return StoreSettings()
    url = _url(table)
    settings = StoreSettings(
        kind=kind,
        url=url,
        bucket=_name(table, "bucket", "egret"),
        org=_name(table, "org", "-"),
        token_file=table.folder("token_file") if table.has("token_file") else None,
        ca_file=table.folder("ca_file") if table.has("ca_file") else None,
    )
    if settings.ca_file is not None and not url.startswith("https:"):
        raise table.error(
            "ca_file", str(settings.ca_file), "it is for https: write url = 'https:..'"
        )
    table.done()
    return settings


def _url(table: TomlTable) -> str:
    url = table.text("url")
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port  # refuses what is no port
    except ValueError:
        whole = False
    if not whole or not url.isprintable() or " " in url:
        raise table.error("url", url[:NAME_MAX], "write e.g. 'http://127.0.0.1:8086'")
    if parts.username is not None or parts.password is not None:
        # The value is not shown: it holds what must not be seen.
        raise table.error("url", "a name or a password in it", "write those into token_file")
    if parts.query or parts.fragment:
        raise table.error("url", url[:NAME_MAX], "end it before '?' or '#'")
    return url.rstrip("/")


def _name(table: TomlTable, key: str, default: str) -> str:
    name = table.text(key, default)
    if not 1 <= len(name) <= NAME_MAX or not name.isprintable():
        remedy = f"write a name of 1 to {NAME_MAX} printable characters"
        raise table.error(key, name[:NAME_MAX], remedy)
    return name
