"""`egret-gateway run` with one more folder of profiles: CONFIG.toml, FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

from egret_gateway.cli import main
from egret_gateway.profiles import folder

if __name__ == "__main__":
    folder.REPOSITORY = Path(sys.argv[2])
    sys.exit(main(["run", sys.argv[1]]))
