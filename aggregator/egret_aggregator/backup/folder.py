"""The folder of one backup: begun with a mark, ended with a manifest, checked by its hashes."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from egret_aggregator import data_lock
from egret_aggregator.backup.manifest import FILE, PARTS, SETTINGS, Copy, Manifest, decode, encode
from egret_aggregator.errors import BackupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Said = Callable[[str, int, int], None]  # what, how much of how much is done

MARK = "backup.unfinished"
DATA, SECRETS = "data", "secrets"
LEDGER = f"{DATA}/ledger.jsonl.gz"
JOURNAL = f"{DATA}/journal.db"
PART = ".part"  # of a name while its file is not whole
BLOCK_B = 1024 * 1024  # read at once
_PRIVATE, _OWN = 0o700, 0o600  # token hashes are in it


def begin(folder: Path) -> None:
    """Make a folder ready; what an unfinished backup left in it goes.

    Raises:
        BackupError: something else is in it.
    """
    folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
    folder.chmod(_PRIVATE)  # it may have been there, open to all
    inside = {path.name for path in folder.iterdir()}
    if FILE in inside or (inside and MARK not in inside):
        raise BackupError(f"{folder}: is not empty", "name a folder that is not there yet")
    (folder / MARK).touch(_OWN)
    for name in sorted(inside & set(PARTS)):
        shutil.rmtree(folder / name)
    (folder / DATA).mkdir(_PRIVATE)


def put(source: Path, target: Path, mode: int | None = None) -> None:
    """Copy one file with its permissions, or with those named; it is there whole or not at all.

    Until it is whole only its owner may read it, under another name. Written by root, it belongs
    to whoever owns the folder: the centre's user must be able to open it.
    """
    _folder(target.parent)
    part = target.with_name(target.name + PART)
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWN)
    with source.open("rb") as given, os.fdopen(handle, "wb") as taken:
        while block := given.read(BLOCK_B):
            taken.write(block)
        taken.flush()
        data_lock.give(part, like=target.parent)
        os.fchmod(handle, stat.S_IMODE(source.stat().st_mode) if mode is None else mode)
        os.fsync(handle)
    part.rename(target)
    durable(target.parent)


def _folder(folder: Path) -> None:
    """Make a folder, and those above it, so that their names are on the disk."""
    if folder.is_dir():
        return
    _folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
    data_lock.give(folder, like=folder.parent)
    durable(folder.parent)


def copies(folder: Path, said: Said) -> tuple[Copy, ...]:
    """Return every file of a backup with its hash, once it and its name are durable."""
    found = []
    for name in PARTS:
        for path in (folder / name, *(folder / name).rglob("*")):
            if path.is_dir():
                durable(path)
    for path in _files(folder):
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(_OWN)
        durable(path)
        name = path.relative_to(folder).as_posix()
        found.append(Copy(name, path.stat().st_size, digest(path, name, said), mode))
    return tuple(found)


def finish(folder: Path, manifest: Manifest) -> None:
    """Write the manifest: from here on it is a backup."""
    part = folder / f"{FILE}{PART}"
    part.write_text(encode(manifest), encoding="utf-8")
    part.chmod(_OWN)
    durable(part)
    part.rename(folder / FILE)
    (folder / MARK).unlink()
    durable(folder)


def checked(folder: Path, said: Said) -> Manifest:
    """Return the manifest of a whole backup, every byte compared.

    Raises:
        BackupError: it is none, was cut short or is damaged; what and where is named.
    """
    try:
        manifest = decode((folder / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        cut = (folder / MARK).exists()
        why = "was cut short: it has no manifest" if cut else "is no backup: it has no manifest"
        raise BackupError(f"{folder} {why}", "name a whole one, or take another") from error
    except (OSError, ValueError) as error:
        raise BackupError(f"{folder / FILE}: {error}", "name a whole backup") from error
    for entry in manifest.files:
        path = folder / entry.path
        if not path.is_file() or path.stat().st_size != entry.size_b:
            raise BackupError(f"{path}: missing or not {entry.size_b} B", "name a whole backup")
        if digest(path, entry.path, said) != entry.sha256:
            raise BackupError(f"{path}: its bytes have changed", "name a whole backup")
    return manifest


def digest(path: Path, name: str, said: Said) -> str:
    """Return a file's SHA-256, hex."""
    total, done = path.stat().st_size, 0
    found = hashlib.sha256()
    with path.open("rb") as source:
        while block := source.read(BLOCK_B):
            found.update(block)
            done += len(block)
            said(f"hash {name}", done, total)
    return found.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    kept = [folder / SETTINGS, *(folder / name for name in PARTS)]
    for top in kept:
        yield from sorted(path for path in (top, *top.rglob("*")) if path.is_file())


def durable(path: Path) -> None:
    """Return once a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
