"""The house rules as functions: files in, findings out.

A rule takes the files of the repository (path -> text) and returns findings, each
`path:line: what is wrong; what to do instead`. It reads nothing else, so that a test can feed it
a bad file and see it speak.
"""

from __future__ import annotations

import ast
import re
import statistics
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Files = Mapping[str, str]

FILE_LINES_MAX = 400
FILE_LINES_MEDIAN = 150
FUNCTION_LINES_MAX = 60
DEV_LINES_MAX = 120

SOURCES = (
    "core/egret_core/",
    "gateway/egret_gateway/",
    "aggregator/egret_aggregator/",
    "demo/egret_demo/",
)
CODE = (*SOURCES, "tests/", "bench/", "tools/")

# The rim: the only files that may ask what time it is.
CLOCKS = (
    "gateway/egret_gateway/clock.py",
    "aggregator/egret_aggregator/clock.py",
    "demo/egret_demo/",
)
MQTT = ("gateway/egret_gateway/uplink", "aggregator/egret_aggregator/intake/mqtt.py")
SQL = {
    "gateway/egret_gateway/outbox": ("sqlite3",),
    "aggregator/egret_aggregator/journal/": ("sqlite3",),
    "aggregator/egret_aggregator/store/": ("sqlite3", "aiosqlite", "sqlalchemy"),
    "aggregator/egret_aggregator/database/": ("sqlite3", "aiosqlite", "sqlalchemy", "alembic"),
    "aggregator/egret_aggregator/warnings/": ("sqlalchemy",),
}
SQL_MODULES = ("sqlite3", "aiosqlite", "sqlalchemy", "alembic")
IMPURE_MODULES = (
    *("asyncio", "socket", "selectors", "serial", "sqlite3", "subprocess", "threading", "os"),
    *("pathlib", "shutil", "tempfile", "logging", "urllib", "http", "io", "aiomqtt", "paho"),
)
IMPURE_CALLS = ("open", "input", "print", "exec", "eval")
WALL = {
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime", "clock_gettime"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}


def is_source(path: str) -> bool:
    """Tell whether a path is a Python file of a package."""
    return path.endswith(".py") and path.startswith(SOURCES)


def is_code(path: str) -> bool:
    """Tell whether a path is Python of ours anywhere, `dev` included."""
    return path == "dev" or (path.endswith(".py") and path.startswith(CODE))


@lru_cache(maxsize=1024)  # one parse per file content, however many rules ask
def tree(text: str) -> ast.Module:
    """Parse one file."""
    return ast.parse(text)


def imports(text: str, package: str = "") -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of all that a file imports, relative names resolved."""
    for node in ast.walk(tree(text)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = package.split(".")[: -(node.level - 1) or None] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            yield node.lineno, base
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def lines(text: str) -> int:
    """Count the lines of a file."""
    return len(text.splitlines())


def file_length(files: Files) -> list[str]:
    """No file of code beyond 400 lines."""
    return [
        f"{path}:{lines(text)}: longer than {FILE_LINES_MAX} lines; split it by its nouns"
        for path, text in files.items()
        if (is_code(path) or path.endswith((".c", ".ts"))) and lines(text) > FILE_LINES_MAX
    ]


def file_median(files: Files) -> list[str]:
    """The median file of the packages stays at 150 lines or below."""
    sizes = {p: lines(t) for p, t in files.items() if is_source(p) and lines(t) > 1}
    median = statistics.median(sizes.values()) if sizes else 0
    if median <= FILE_LINES_MEDIAN:
        return []
    long = max(sizes, key=lambda path: sizes[path])
    found = f"the median file has {median:.0f} lines, not {FILE_LINES_MEDIAN} at most"
    return [f"{long}:{sizes[long]}: {found}; split the longest first"]


def function_length(files: Files) -> list[str]:
    """No function beyond 60 lines, docstring included."""
    return [
        f"{path}:{node.lineno}: {node.name} has {size} lines; "
        f"take a step out of it (at most {FUNCTION_LINES_MAX})"
        for path, text in files.items()
        if is_code(path)
        for node in ast.walk(tree(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (size := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]


def no_print(files: Files) -> list[str]:
    """Packages log, or write to the stream they were given."""
    return [
        f"{path}:{node.lineno}: print; log it, or write to sys.stdout in a command"
        for path, text in files.items()
        if is_source(path)
        for node in ast.walk(tree(text))
        if isinstance(node, ast.Call) and _called(node) == "print"
    ]


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def no_naive_datetime(files: Files) -> list[str]:
    """Every datetime has a zone."""
    found = []
    for path, text in files.items():
        if not is_code(path):
            continue
        found += [
            f"{path}:{node.lineno}: datetime without a zone; pass UTC"
            for node in ast.walk(tree(text))
            if isinstance(node, ast.Call) and _is_naive(node)
        ]
    return found


def _is_naive(node: ast.Call) -> bool:
    if not isinstance(node.func, ast.Attribute):
        return False
    owner = ast.unparse(node.func.value).rpartition(".")[2]
    if owner not in ("datetime", "date"):
        return False
    zoned = {keyword.arg for keyword in node.keywords} & {"tz", "tzinfo"}
    name = node.func.attr
    if name in ("utcnow", "utcfromtimestamp", "today"):
        return True
    if name == "now":
        return not node.args and not zoned
    return name == "fromtimestamp" and len(node.args) < 2 and not zoned


def wall_clock(files: Files) -> list[str]:
    """Only the rim asks for the time; all else is told."""
    found = []
    for path, text in files.items():
        if not is_source(path) or path.startswith(CLOCKS):
            continue
        for node in ast.walk(tree(text)):
            name = _wall_name(node)
            if name:
                found.append(f"{path}:{node.lineno}: {name}; take `now` as an argument")
    return found


def _wall_name(node: ast.AST) -> str:
    if isinstance(node, ast.ImportFrom) and node.module == "time":
        bad = {alias.name for alias in node.names} & WALL["time"]
        return f"from time import {min(bad)}" if bad else ""
    if isinstance(node, ast.Attribute):
        owner = ast.unparse(node.value).rpartition(".")[2]
        if node.attr in WALL.get(owner, ()):
            return f"{owner}.{node.attr}"
    return ""


def module_of(path: str) -> str:
    """Return the dotted name of a package's file."""
    inner = path.split("/", 1)[1].removesuffix(".py").replace("/", ".")
    return inner.removesuffix(".__init__")


def no_orphan(files: Files) -> list[str]:
    """Each module is imported by another one, or is where a process starts."""
    modules = {module_of(path): path for path in files if is_source(path)}
    used: set[str] = set()
    for path, text in files.items():
        if not is_source(path):
            continue
        own = module_of(path)
        package = own if path.endswith("/__init__.py") else own.rpartition(".")[0]
        used |= {name for _, name in imports(text, package) if name != own}
    # `python -m NAME`, uvicorn's and alembic's names, and pyproject's scripts are strings.
    spoken = "\n".join(t for p, t in files.items() if is_code(p) or p == "pyproject.toml")
    return [
        f"{path}:1: nobody imports {name}; use it or remove it"
        for name, path in modules.items()
        if name not in used
        and not path.endswith(("/__init__.py", "/__main__.py"))
        and "/migrations/" not in path
        and not re.search(rf"[\"']{re.escape(name)}[\"':]", spoken)
    ]


def documented(files: Files) -> list[str]:
    """Every public module, class and function of the packages says what it is."""
    found = []
    for path, text in files.items():
        if not is_source(path):
            continue
        if not ast.get_docstring(tree(text)):
            found.append(f"{path}:1: no module docstring; say what stands here")
        found += [
            f"{path}:{node.lineno}: {node.name} is public and says nothing; document it"
            for node in _public(tree(text))
            if not ast.get_docstring(node)
        ]
    return found


def _public(parent: ast.AST) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            marks = {ast.unparse(d).rpartition(".")[2] for d in node.decorator_list}
            if node.name.startswith("_") or marks & {"overload", "override", "setter"}:
                continue
            if _is_stub(parent, node):
                continue
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node)


def _is_stub(parent: ast.AST, node: ast.AST) -> bool:
    """Tell whether a Protocol's own docstring speaks for a property that is only declared."""
    return (
        isinstance(parent, ast.ClassDef)
        and any(ast.unparse(base).endswith("Protocol") for base in parent.bases)
        and isinstance(node, ast.FunctionDef)
        and [ast.unparse(mark) for mark in node.decorator_list] == ["property"]
        and ast.unparse(node.body[-1]) == "..."
    )


# Put together here, so that this file does not break the rule it states.
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
MACHINE = re.compile(r"(?<![\w.~-])/(?:work|root|home)/\w")


def _grep(files: Files, pattern: re.Pattern[str], remedy: str) -> list[str]:
    return [
        f"{path}:{number}: {hit.group(0)}; {remedy}"
        for path, text in files.items()
        if path != "uv.lock"
        for number, line in enumerate(text.splitlines(), 1)
        if (hit := pattern.search(line))
    ]


def nothing_unfinished(files: Files) -> list[str]:
    """What is not done is an issue, not a word in a file."""
    return _grep(files, UNFINISHED, "do it, or open an issue and take the word out")


def no_machine_paths(files: Files) -> list[str]:
    """Nothing in the repository knows the machine it was written on."""
    return _grep(files, MACHINE, "name it from the project's root or by a setting")


def enough_tests(files: Files) -> list[str]:
    """Tests have at least as many lines as the packages."""
    source = sum(lines(t) for p, t in files.items() if is_source(p))
    tests = sum(lines(t) for p, t in files.items() if p.startswith("tests/") and _is_test(p))
    if tests >= source:
        return []
    return [f"tests:{tests}: {tests} lines of tests for {source} of source; test what is untested"]


def _is_test(path: str) -> bool:
    return path.endswith((".py", ".c"))


def mqtt_in_two_files(files: Files) -> list[str]:
    """The MQTT library lives in one file per side, and both are there."""
    users = {
        path: line
        for path, text in files.items()
        if is_source(path)
        for line, name in imports(text)
        if name.split(".")[0] in ("aiomqtt", "paho")
    }
    found = [
        f"{path}:{line}: imports the MQTT library; only {' and '.join(MQTT)} do"
        for path, line in users.items()
        if not path.startswith(MQTT)
    ]
    for side in MQTT:
        count = sum(path.startswith(side) for path in users)
        if count != 1:
            found.append(f"{side}:1: {count} files import the MQTT library; exactly one per side")
    return found


def sql_in_its_rooms(files: Files) -> list[str]:
    """SQL lives in the outbox, the journal, the store and the database."""
    found = []
    for path, text in files.items():
        if not is_source(path):
            continue
        allowed = {name for room, names in SQL.items() if path.startswith(room) for name in names}
        found += [
            f"{path}:{line}: imports {name}; ask the room that owns the table"
            for line, name in imports(text)
            if name in SQL_MODULES and name not in allowed
        ]
    return found


def core_is_pure(files: Files) -> list[str]:
    """The core touches nothing outside itself."""
    found = []
    for path, text in files.items():
        if not (is_source(path) and path.startswith(SOURCES[0])):
            continue
        found += [
            f"{path}:{line}: imports {name}; let an edge do it and pass the result in"
            for line, name in imports(text)
            if name.split(".")[0] in IMPURE_MODULES or name == "importlib.resources"
        ]
        found += [
            f"{path}:{node.lineno}: calls {_called(node)}; let an edge do it"
            for node in ast.walk(tree(text))
            if isinstance(node, ast.Call) and _called(node) in IMPURE_CALLS
        ]
    return found


def dev_is_short(files: Files) -> list[str]:
    """The one command stays readable, and needs nothing but the standard library."""
    text = files.get("dev", "")
    found = []
    if not 0 < lines(text) <= DEV_LINES_MAX:
        found.append(f"dev:{lines(text)}: at most {DEV_LINES_MAX} lines; move work to tools/")
    foreign = {"tools", "egret_core", "egret_gateway", "egret_aggregator", "egret_demo"}
    found += [
        f"dev:{line}: imports {name}; it runs before anything is installed"
        for line, name in imports(text)
        if name.split(".")[0] in foreign
    ]
    return found


RULES: tuple[Callable[[Files], list[str]], ...] = (
    *(file_length, file_median, function_length, no_print, no_naive_datetime, wall_clock),
    *(no_orphan, documented, nothing_unfinished, no_machine_paths, enough_tests),
    *(mqtt_in_two_files, sql_in_its_rooms, core_is_pure, dev_is_short),
)
