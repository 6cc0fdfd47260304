"""Reading settings: every key is taken once, checked, and what is left over is refused by name."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_MAX_B = 4 * 1024 * 1024  # a settings file beyond it is something else

_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def read_toml(path: Path) -> dict[str, Any]:
    """Return a TOML file.

    Raises:
        ConfigError: it cannot be read, or is no TOML.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(str(path), "file", error.strerror, "name a file that exists") from None
    if len(raw) > FILE_MAX_B:
        raise ConfigError(str(path), "file", f"{len(raw)} B", f"at most {FILE_MAX_B} B")
    try:
        return tomllib.loads(raw.decode())
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, a thousand brackets
        raise ConfigError(str(path), "file", str(error), "write valid TOML in UTF-8") from None


class TomlTable:
    """One table being read; `key` is its dotted path, "" for the file itself."""

    def __init__(self, file: str, key: str, values: Mapping[str, Any]) -> None:
        self._file = file
        self._key = key
        self._values = values
        self._asked: dict[str, None] = {}  # in the order of asking

    def table(self, name: str) -> TomlTable:
        """Return a table below this one; empty where there is none."""
        values = self._take(name, {})
        if not isinstance(values, dict):
            raise self.error(name, values, f"write a table [{self._path(name)}]")
        return TomlTable(self._file, self._path(name), values)

    def has(self, name: str) -> bool:
        """Tell whether a key is given; asking makes it a known one."""
        self._asked[name] = None
        return name in self._values

    def text(self, name: str, default: str | None = None) -> str:
        """Return text; a key without a default must be given."""
        return str(self._typed(name, str, default))

    def flag(self, name: str, *, default: bool) -> bool:
        """Return true or false."""
        return bool(self._typed(name, bool, default))

    def whole(self, name: str, default: int | None, least: int, most: int) -> int:
        """Return a whole number from `least` to `most`."""
        value = int(self._typed(name, int, default))
        if not least <= value <= most:
            raise self.error(name, value, f"write a whole number from {least} to {most}")
        return value

    def number(self, name: str, default: float | None, least: float, most: float) -> float:
        """Return a number from `least` to `most`."""
        value = float(self._typed(name, float, default))
        if not least <= value <= most:
            raise self.error(name, value, f"write a number from {least:g} to {most:g}")
        return value

    def texts(self, name: str) -> list[str]:
        """Return a list of texts; empty where it is not given."""
        value = self._take(name, [])
        if not isinstance(value, list) or any(not isinstance(item, str) for item in value):
            raise self.error(name, value, 'write a list of text: [ "..." ]')
        return value

    def folder(self, name: str) -> Path:
        """Return a path; a relative one starts at the settings file's own folder."""
        text = self.text(name)
        if not text:
            raise self.error(name, text, "name a folder")
        return Path(self._file).parent / text

    def done(self) -> None:
        """Refuse keys that nobody asked for; the nearest known one is named."""
        for name in self._values:
            if name not in self._asked:
                near = difflib.get_close_matches(name, self._asked, 1)
                known = ", ".join(self._asked)
                hint = f"did you mean {near[0]!r}?" if near else f"known here: {known}"
                raise self.error(name, self._values[name], f"unknown key; {hint}")

    def error(self, name: str, seen: object, remedy: str) -> ConfigError:
        """Return the error of one key."""
        return ConfigError(self._file, self._path(name), seen, remedy)

    def _path(self, name: str) -> str:
        return f"{self._key}.{name}" if self._key else name

    def _take(self, name: str, default: object) -> Any:  # noqa: ANN401  (TOML holds any)
        self._asked[name] = None
        return self._values.get(name, default)

    def _typed(self, name: str, kind: type[str | int | float | bool], default: object) -> Any:  # noqa: ANN401  (of `kind`)
        value = self._take(name, default)
        if value is None:
            raise self.error(name, None, f"is missing; write {_NAMES[kind]}")
        right = isinstance(value, kind) or (kind is float and isinstance(value, int))
        if not right or (isinstance(value, bool) and kind is not bool):
            raise self.error(name, value, f"write {_NAMES[kind]}")
        return value
