"""Writes Grafana's dashboards: `python tools/dashboards.py [--check]`.

They are generated, never edited by hand: Grafana shows them read-only.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from grafana_boards import boards

FOLDER = Path(__file__).resolve().parent.parent / "docker" / "grafana" / "dashboards"


def texts() -> dict[str, str]:
    """Return every dashboard's file, by name."""
    return {
        f"{board['uid']}.json": json.dumps(board, indent=1, ensure_ascii=False) + "\n"
        for board in boards()
    }


def main(argv: list[str]) -> int:
    """Write the files; with --check only say which ones differ, and return 1 for any."""
    if argv not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    differing = [name for name, text in texts().items() if _there(name) != text]
    if argv:
        for name in differing:
            print(f"{name}: differs; run python tools/dashboards.py", file=sys.stderr)
        return 1 if differing else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


def _there(name: str) -> str:
    path = FOLDER / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
