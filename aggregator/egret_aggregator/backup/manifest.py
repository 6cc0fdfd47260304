"""What a backup says of itself: written last, so that a backup without it was cut short. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

FORMAT = 1
FILE = "manifest.json"
FILES_MAX = 100_000  # a centre has some dozens; more is not one of ours
PARTS = ("data", "catalogue", "enrolment", "secrets")  # folders of a backup
SETTINGS = "settings.toml"


@dataclass(frozen=True, slots=True)
class Copy:
    """One file of a backup.

    Attributes:
        path: within the backup, by `/`; size_b: its length; sha256: of its bytes, hex.
        mode: permissions it had, and gets again; in the backup only its owner may read it.
    """

    path: str
    size_b: int
    sha256: str
    mode: int = 0o600


@dataclass(frozen=True, slots=True)
class Manifest:
    """One backup.

    Attributes:
        created_ms: the centre's time when it was begun; egret: the version that made it.
        database: `sqlite` or `postgresql`; revision: of its tables.
        rows: of each of its tables; head_seq, head_hash: the ledger's newest line.
        journal_head: newest entry; journal_entries: how many there are.
        positions: by partition, where the copied consumers go on.
        secrets: whether passwords and private keys are in it.
        files: every file but the manifest.
    """

    created_ms: int
    egret: str
    database: str
    revision: str
    rows: dict[str, int]
    head_seq: int
    head_hash: str
    journal_head: int
    journal_entries: int
    positions: dict[int, int]
    secrets: bool
    files: tuple[Copy, ...] = field(default=())


def encode(manifest: Manifest) -> str:
    """Return the text of a manifest."""
    return json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1) + "\n"


def decode(text: str) -> Manifest:
    """Return the manifest in a text.

    Raises:
        ValueError: it is none of this version; the message says what is wrong.
    """
    try:
        body: dict[str, Any] = json.loads(text)
        if body.pop("format") != FORMAT:
            raise ValueError("a manifest of another version")
        files = tuple(Copy(**entry) for entry in body.pop("files"))
        positions = {int(part): int(at) for part, at in body.pop("positions").items()}
        manifest = Manifest(**body, files=files, positions=positions)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no manifest of ours: {error}") from error
    if len(files) > FILES_MAX:
        raise ValueError(f"more than {FILES_MAX} files")
    for entry in files:
        if not is_inside(entry.path):
            raise ValueError(f"{entry.path!r} leads out of the backup")
    return manifest


def is_inside(path: str) -> bool:
    """Tell whether a path is one that a backup of ours has."""
    if path == SETTINGS:
        return True
    first, *rest = path.split("/")
    return first in PARTS and bool(rest) and not set(rest) & {"", ".", ".."} and "\0" not in path
