"""A TOML table read key by key: every mistake is told with file, key, value seen and remedy."""

from __future__ import annotations

import tomllib
from math import isfinite
from typing import TYPE_CHECKING, Any, NoReturn

from egret_core.errors import ConfigError
from egret_core.spelling import meant
from egret_core.topics import is_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FILE_MAX_B = 1024 * 1024  # the largest site we know of needs 60 kB
TEXT_MAX = 500  # characters: names travel in every meta, and people read the rest
_HUGE = 1e300  # no bound of ours
_REQUIRED: Any = object()
_ID_RULE = "an id is 1 to 48 of the characters A-Z a-z 0-9 _ -"


class Table:
    """One table of a TOML file.

    Attributes:
        file: as the user named it; path: dotted path of this table, "" for the whole file.
    """

    def __init__(self, data: Mapping[str, Any], file: str, path: str = "") -> None:
        self.file = file
        self.path = path
        self._data = data
        self._asked: set[str] = set()

    def fail(self, key: str, remedy: str) -> NoReturn:
        """Raise the ConfigError for `key` of this table; an absent one may be there misspelt."""
        if key not in self._data:
            remedy += meant(key, [k for k in self._data if k not in self._asked], "is it ")
        raise ConfigError(self.file, self._key(key), self._data.get(key), remedy)

    def has(self, key: str) -> bool:
        """Tell whether the key stands in the file."""
        self._asked.add(key)
        return key in self._data

    def text(self, key: str, default: str = _REQUIRED, one_of: Sequence[str] = ()) -> str:
        """Return a string; ConfigError for another type or a word not in `one_of`.

        An empty one is refused unless it is the default.
        """
        value = self._get(key, default)
        if not isinstance(value, str):
            self.fail(key, 'write text in quotes, e.g. "..."')
        if not value and default != "":
            self.fail(key, f"empty: write {key} = ...")
        if len(value) > TEXT_MAX or not value.isprintable():
            self.fail(key, f"write at most {TEXT_MAX} characters, none of them a control character")
        if one_of and value not in one_of:
            self.fail(key, f"write one of {_listed(one_of)}{meant(value, one_of)}")
        return value

    def id(self, key: str) -> str:
        """Return an id fit for a topic; ConfigError otherwise."""
        value = self._get(key, _REQUIRED)
        if not is_id(value):
            self.fail(key, _ID_RULE)
        return value

    def integer(self, key: str, low: int, high: int, default: int = _REQUIRED) -> int:
        """Return a whole number within [low, high]."""
        value = self._get(key, default)
        if type(value) is not int or not low <= value <= high:
            self.fail(key, f"write a whole number from {low} to {high}, without quotes")
        return value

    def number(self, key: str, low: float, high: float, default: float = _REQUIRED) -> float:
        """Return a finite number within [low, high]."""
        value = self._get(key, default)
        if type(value) not in (int, float) or not isfinite(value) or not low <= value <= high:
            self.fail(key, f"write a number from {low:g} to {high:g}, without quotes")
        return float(value)

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._get(key, default)
        if type(value) is not bool:
            self.fail(key, "write true or false, without quotes")
        return value

    def array(self, key: str, kind: type, default: Sequence[Any] = ()) -> list[Any]:
        """Return a list of items of one type (float takes whole numbers too)."""
        value = self._get(key, list(default))
        kinds = (int, float) if kind is float else (kind,)
        if not isinstance(value, list) or any(type(item) not in kinds for item in value):
            self.fail(key, f"write a list of {kind.__name__} in [ ]")
        return value

    def numbers(self, key: str) -> tuple[float, ...]:
        """Return one number, or a list of them."""
        self._asked.add(key)
        value = self._data.get(key)
        if type(value) in (int, float):
            return (float(self.number(key, -_HUGE, _HUGE)),)
        return tuple(float(number) for number in self.array(key, float))

    def names(self) -> tuple[str, ...]:
        """Return every key of this table, in the file's order."""
        return tuple(self._data)

    def table(self, key: str) -> Table:
        """Return a sub-table, an empty one where it is absent."""
        value = self._get(key, {})
        if not isinstance(value, dict):
            self.fail(key, f"write a table: [{self._key(key)}] or {{ ... }}")
        return Table(value, self.file, self._key(key))

    def tables(self, key: str) -> list[Table]:
        """Return an array of tables, an empty one where it is absent."""
        value = self._get(key, [])
        if not isinstance(value, list) or any(not isinstance(item, dict) for item in value):
            self.fail(key, f"write an array of tables: [[{key}]] for each")
        return [
            Table(item, self.file, f"{self._key(key)}[{index}]") for index, item in enumerate(value)
        ]

    def named(self) -> dict[str, Table]:
        """Return every key of this table as a sub-table, in the file's order."""
        return {key: self.table(key) for key in self._data}

    def done(self) -> None:
        """Raise ConfigError for the first key that nobody asked for."""
        for key in self._data:
            if key not in self._asked:
                known = sorted(self._asked)
                self.fail(key, f"unknown key{meant(key, known)}; known here: {_listed(known)}")

    def _get(self, key: str, default: Any) -> Any:  # noqa: ANN401  (TOML holds anything)
        self._asked.add(key)
        if key in self._data:
            return self._data[key]
        if default is _REQUIRED:
            self.fail(key, f"missing: write {key} = ...")
        return default

    def _key(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key


def read_table(path: Path, shown: str = "") -> Table:
    """Read a TOML file whole.

    Raises:
        ConfigError: absent, unreadable, too large, or not TOML (line and column are told).
    """
    file = shown or str(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(file, "", error.strerror, "name a file that can be read") from error
    if len(data) > FILE_MAX_B:
        raise ConfigError(file, "", f"{len(data)} B", f"write at most {FILE_MAX_B} B")
    try:
        return Table(tomllib.loads(data.decode()), file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(file, "", str(error), "mend the TOML at that place") from error


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)
