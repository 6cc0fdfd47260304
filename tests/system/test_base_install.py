"""The box in the field: the base dependencies alone, from the wheel, without the sources."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 180

PROBE = """
import importlib, json, pkgutil, sys
import egret_gateway
names = [m.name for m in pkgutil.walk_packages(egret_gateway.__path__, "egret_gateway.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
heavy = {"fastapi", "pydantic", "influxdb_client", "sqlalchemy", "alembic", "uvicorn"}
print(json.dumps({"modules": len(names), "heavy": sorted(heavy & set(sys.modules)),
                  "where": egret_gateway.__file__}))
"""


def uv() -> str:
    own = ROOT / ".uv" / "bin" / "uv"
    found = shutil.which("uv") or (str(own) if own.exists() else None)
    if not found:
        pytest.skip("uv: neither on PATH nor in .uv/")
    return found


def run(*command: str | Path) -> str:
    env = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT_S, env=env, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.system
def test_base_dependencies_import_every_gateway_module(tmp_path: Path) -> None:
    run(uv(), "build", "--quiet", "--wheel", "--out-dir", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    profiles = {
        f"egret_gateway/devices/{path.name}"
        for path in (ROOT / "firmware-config/devices").glob("*.toml")
    }
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert profiles <= inside
    venv = tmp_path / "venv"
    run(uv(), "venv", "--quiet", "--python", sys.executable, venv)
    python = venv / "bin" / "python"
    run(uv(), "pip", "install", "--quiet", "--python", python, wheel)
    seen = json.loads(run(python, "-c", PROBE))
    assert seen["heavy"] == []
    assert str(venv) in seen["where"]
    assert (
        seen["modules"]
        == sum(name.startswith("egret_gateway/") and name.endswith(".py") for name in inside) - 1
    )
    assert run(venv / "bin" / "egret-gateway", "--help")
