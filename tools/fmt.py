"""Format, and fix what the linter can fix by itself."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run the fixer, then the formatter."""
    subprocess.run(["ruff", "check", "--fix", "--quiet", "."], cwd=ROOT, check=False)
    return subprocess.run(["ruff", "format", "."], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
