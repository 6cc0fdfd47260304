"""What a dead man's switch remembers over its own restart: an outage, and who is still to tell."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from egret_aggregator.errors import DataFolderError

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Memory:
    """Written whole at every change.

    Attributes:
        silent_since_ms: last good heartbeat before the outage that was told of, None for none.
        waiting: notices by route.
    """

    silent_since_ms: int | None = None
    waiting: dict[str, list[Any]] = field(default_factory=dict)


def recall(path: Path) -> Memory:
    """Return what was remembered; what cannot be read is said in the log and forgotten."""
    try:
        body = json.loads(path.read_text())
        since = body["silent_since_ms"]
        waiting = {
            name: [_whole(item) for item in items] for name, items in body["waiting"].items()
        }
        return Memory(None if since is None else int(since), waiting)
    except FileNotFoundError:
        return Memory()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        _log.warning("event=state_unreadable file=%s error=%r", path, str(error))
        return Memory()


def _whole(item: dict[str, Any]) -> dict[str, Any]:
    """Return a notice; KeyError where it lacks what its telling needs."""
    return {**item, "id": str(item["id"]), "kind": str(item["kind"])}


def remember(path: Path, memory: Memory) -> None:
    """Make it durable: the old or the new, whenever the power goes.

    Raises:
        DataFolderError: it cannot be written.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("w") as file:
            json.dump(asdict(memory), file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise DataFolderError(
            f"{path}: {error.strerror}", "name a [deadman] state that this user can write"
        ) from error
