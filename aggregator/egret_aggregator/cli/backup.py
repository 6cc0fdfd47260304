"""`egret-aggregator backup | restore`."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egret_aggregator import config, data_folder
from egret_aggregator.api.times import rfc3339
from egret_aggregator.backup import folder, making, restoring
from egret_aggregator.cli.commands import ARGUMENTS
from egret_aggregator.cli.verb import add_verb
from egret_aggregator.clock import Clock
from egret_aggregator.database import portable
from egret_aggregator.errors import BackupError
from egret_core.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from egret_aggregator.backup.manifest import Manifest
    from egret_aggregator.cli.output import Output
    from egret_aggregator.cli.verb import Verbs

VERIFY = Path("verify")  # in the place of a settings file
SAY_S = 1.0  # between two words of progress


def add_verbs(verbs: Verbs) -> None:
    """Add backup and restore."""
    backup = add_verb(verbs, "backup", "copy the whole centre while it runs", backup_or_verify)
    backup.usage = "egret-aggregator backup CONFIG.toml --to FOLDER | backup verify FOLDER"
    backup.add_argument("folder", type=Path, nargs="?", help="after `verify`: what to compare")
    backup.add_argument("--to", type=Path, metavar="FOLDER", help="a folder that is not there yet")
    backup.add_argument(
        "--secrets", action="store_true", help="with password files and private keys"
    )
    restore = add_verb(verbs, "restore", "put a backup into an empty data folder", restore_from)
    restore.add_argument("--from", type=Path, required=True, metavar="FOLDER", dest="source")


class Progress:
    """Words of progress on standard error, a line a second."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._said_s = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Say how far a part is, if it is time."""
        now_s = time.monotonic()
        if now_s - self._said_s < SAY_S:
            return
        self._said_s = now_s
        far = f"{100 * done // total} %" if total else str(done)
        sys.stderr.write(f"{self._verb}: {what} {far}\n")
        sys.stderr.flush()


def backup_or_verify(arguments: argparse.Namespace, output: Output) -> int:
    """Make a backup of CONFIG.toml, or compare every byte of one that was made."""
    if arguments.config == VERIFY and arguments.folder is not None and arguments.to is None:
        return backup_verify(arguments, output)
    if arguments.to is None or arguments.folder is not None:
        raise ConfigError(ARGUMENTS, "--to", arguments.to, "write `backup CONFIG.toml --to FOLDER`")
    return backup_make(arguments, output)


def backup_make(arguments: argparse.Namespace, output: Output) -> int:
    """Copy the centre into a new folder."""
    settings = config.load(arguments.config)
    with _whole("backup"):
        manifest = making.make(
            settings,
            data_folder.database_place(settings),
            arguments.to,
            now_ms=Clock(settings.timescale).now_ms(),
            secrets=arguments.secrets,
            said=Progress("backup"),
        )
    output.said([f"{arguments.to}: {_words(manifest)}"], _body(arguments.to, manifest))
    return 0


def backup_verify(arguments: argparse.Namespace, output: Output) -> int:
    """Compare every byte of a backup with its manifest, and follow the ledger's chain."""
    manifest = folder.checked(arguments.folder, Progress("verify"))
    portable.check(arguments.folder / folder.LEDGER)
    output.said([f"{arguments.folder}: ok: {_words(manifest)}"], _body(arguments.folder, manifest))
    return 0


def restore_from(arguments: argparse.Namespace, output: Output) -> int:
    """Put a backup back; 1 where the ledger in it was not in order before it was copied."""
    settings = config.load(arguments.config)
    with _whole("restore"):
        done = restoring.restore(
            settings,
            data_folder.database_place(settings),
            arguments.source,
            now_ms=Clock(settings.timescale).now_ms,
            said=Progress("restore"),
        )
    lines = [f"{settings.data}: restored from {arguments.source}: {_words(done.manifest)}"]
    lines += [f"left as it was, though the backup has another: {path}" for path in done.left]
    lines += [
        f"not put back, these settings name no place for it: {name}" for name in done.homeless
    ]
    if done.report.findings:
        lines.append("the ledger is not in order: see `egret-aggregator audit verify`")
    ok = not done.report.findings
    body = {
        **_body(arguments.source, done.manifest),
        "ledger_ok": ok,
        "left": done.left,
        "no_place": done.homeless,
    }
    output.said(lines, body)
    return 0 if ok else 1


@contextmanager
def _whole(verb: str) -> Iterator[None]:
    """Have an interruption end with an error: half a backup must not look like one."""
    try:
        yield
    except KeyboardInterrupt:
        raise BackupError(f"the {verb} was interrupted", "give the same command again") from None


def _words(manifest: Manifest) -> str:
    size_mb = sum(entry.size_b for entry in manifest.files) / 1e6
    return (
        f"{rfc3339(manifest.created_ms)}, {len(manifest.files)} files, {size_mb:.1f} MB,"
        f" {manifest.journal_entries} journal entries,"
        f" ledger head {manifest.head_seq}:{manifest.head_hash}"
    )


def _body(where: Path, manifest: Manifest) -> dict[str, Any]:
    return {
        "folder": str(where),
        "created": rfc3339(manifest.created_ms),
        "egret": manifest.egret,
        "database": manifest.database,
        "files": len(manifest.files),
        "bytes": sum(entry.size_b for entry in manifest.files),
        "journal_entries": manifest.journal_entries,
        "rows": manifest.rows,
        "head": {"seq": manifest.head_seq, "hash": manifest.head_hash},
        "secrets": manifest.secrets,
    }
