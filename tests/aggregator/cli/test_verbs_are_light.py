"""What a console verb need not import: the web framework takes as long as the verb's own work."""

from __future__ import annotations

import subprocess
import sys


def test_no_verb_but_run_brings_the_web_framework() -> None:
    seen = "import egret_aggregator.cli.main, sys; print('fastapi' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
