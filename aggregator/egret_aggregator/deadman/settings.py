"""The settings of the dead man's switch: a file of its own, on a machine of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from egret_aggregator.toml_table import TomlTable, read_toml

SILENCE_LEAST_S = 10.0  # a centre that restarts is silent for a few seconds
ARGUMENTS_MAX = 64  # of a command


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Whom to call over HTTP; key `[deadman.webhook]`.

    Attributes:
        url: what is POSTed to; token_file: sent as a bearer token, read at each call.
        ca_file: whose certificates to trust (PEM), the system's where it is left out.
    """

    url: str
    token_file: Path | None = None
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class DeadmanSettings:
    """A whole, checked configuration; key `[deadman]`.

    Attributes:
        url: the centre's API.
        state: file that remembers an outage and who has still to be told.
        silence_s: no heartbeat for so long is an outage.
        token_file: a viewer's token: the live stream is listened to instead of asking /readyz.
        ca_file: whose certificates of the centre to trust (PEM), the system's where left out.
        webhook: whom to call; command: what to run; at least one of them is there.
    """

    url: str
    state: Path
    silence_s: float = 60.0
    token_file: Path | None = None
    ca_file: Path | None = None
    webhook: WebhookSettings | None = None
    command: tuple[str, ...] = ()


def load(path: Path) -> DeadmanSettings:
    """Return the settings in a TOML file, wholly checked.

    Raises:
        ConfigError: names file, key, value seen and remedy.
    """
    root = TomlTable(str(path), "", read_toml(path))
    table = root.table("deadman")
    settings = DeadmanSettings(
        url=_url(table, "url").rstrip("/"),
        state=table.folder("state"),
        silence_s=table.number("silence_s", 60.0, SILENCE_LEAST_S, 86_400.0),
        token_file=_file(table, "token_file"),
        ca_file=_file(table, "ca_file"),
        webhook=_webhook(table),
        command=_command(table),
    )
    table.done()
    root.done()
    if settings.webhook is None and not settings.command:
        raise table.error("webhook", None, "say whom to call: [deadman.webhook] url, or command")
    return settings


def _webhook(table: TomlTable) -> WebhookSettings | None:
    if not table.has("webhook"):
        return None
    inner = table.table("webhook")
    webhook = WebhookSettings(
        _url(inner, "url"), _file(inner, "token_file"), _file(inner, "ca_file")
    )
    inner.done()
    return webhook


def _command(table: TomlTable) -> tuple[str, ...]:
    words = table.texts("command")
    if len(words) > ARGUMENTS_MAX:
        raise table.error("command", len(words), f"at most {ARGUMENTS_MAX} words")
    if words and not Path(words[0]).is_absolute():
        raise table.error("command", words[0], "name the program by its whole path")
    if words and not os.access(words[0], os.X_OK):
        raise table.error("command", words[0], "there is no such program that may be run")
    return tuple(words)


def _url(table: TomlTable, name: str) -> str:
    text = table.text(name)
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or "@" in text or any(letter.isspace() for letter in text):
        raise table.error(name, text, "write http:// or https://, a host, and no password in it")
    return text


def _file(table: TomlTable, name: str) -> Path | None:
    if not table.has(name):
        return None
    path = table.folder(name)
    if not path.is_file():
        raise table.error(name, str(path), "there is no such file")
    return path
