"""How good the detectors are on recorded events: hits, false alarms, lead; what does badly too.

Each `bench/_skill_NAME.py` is a part, with `figures()`; without a name all of them run. A score
that cannot be reckoned (no alarm at all has no false alarm ratio) is null. Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parent / "tests")]
PREFIX = "_skill_"


def parts() -> list[str]:
    return sorted(path.stem.removeprefix(PREFIX) for path in FOLDER.glob(f"{PREFIX}*.py"))


def main(argv: list[str]) -> int:
    unknown = [name for name in argv if name not in parts()]
    if unknown:
        print(f"usage: ./dev bench skill [PART...]   of: {', '.join(parts())}", file=sys.stderr)
        return 2
    figures: dict[str, Any] = {}
    for name in argv or parts():
        figures.update(import_module(PREFIX + name).figures())
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
