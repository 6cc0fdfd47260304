"""Everything that can be said about the code without running the product."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

STEPS = (
    ("format", ["ruff", "format", "--check", "."]),
    ("lint", ["ruff", "check", "."]),
    ("types", ["mypy"]),
    ("imports", ["lint-imports"]),
    ("house", ["pytest", "-q", "-p", "no:cacheprovider", "tests/test_house.py"]),
)


def main() -> int:
    """Run each step; stop at the first that fails and return its code."""
    for name, command in STEPS:
        print(f"check: {name}", flush=True)
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if code != 0:
            print(f"check: {name} failed ({' '.join(command)})", file=sys.stderr)
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
