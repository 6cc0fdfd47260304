"""Run one benchmark: it prints one JSON object of named figures on its last line."""

import subprocess
import sys
from pathlib import Path

import debian

ROOT = Path(__file__).resolve().parent.parent


def names() -> list[str]:
    """Return the benchmarks there are: one folder file each, `bench/NAME.py`."""
    return sorted(p.stem for p in (ROOT / "bench").glob("*.py") if not p.stem.startswith("_"))


def main(argv: list[str]) -> int:
    """Run `bench/NAME.py`; an unknown name prints the known ones and returns 2."""
    if not argv or argv[0] not in names():
        print(f"usage: ./dev bench NAME   one of: {', '.join(names())}", file=sys.stderr)
        return 2
    debian.provide("bench")  # a bench that lacks something all the same says so itself
    command = [sys.executable, f"bench/{argv[0]}.py", *argv[1:]]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
