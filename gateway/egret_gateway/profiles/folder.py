"""Where profiles lie: `/etc/egret/devices`, the packaged copy, then the repository's."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ETC = Path("/etc/egret/devices")
REPOSITORY = Path(__file__).resolve().parents[3] / "firmware-config" / "devices"


def folders() -> tuple[Path, ...]:
    """Return the folders that exist, in the order in which they are looked through."""
    packaged = Path(str(files("egret_gateway"))) / "devices"
    return tuple(folder for folder in (ETC, packaged, REPOSITORY) if folder.is_dir())


def find(name: str, where: Sequence[Path] | None = None) -> Path | None:
    """Return the file of the profile `name`, None where no folder has it."""
    for folder in folders() if where is None else where:
        path = folder / f"{name}.toml"
        if path.is_file():
            return path
    return None


def names(where: Sequence[Path] | None = None) -> list[str]:
    """Return the names of all profiles there are."""
    looked = folders() if where is None else where
    return sorted({path.stem for folder in looked for path in folder.glob("*.toml")})
