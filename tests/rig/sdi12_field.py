"""Make-believe SDI-12 sensors in a process of their own, on a tty that can be pulled out."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

from egret_gateway.profiles import REPOSITORY

START_S = 20.0
STOP_S = 10.0
STEP_S = 0.02
FOLDERS = (Path(__file__).with_name("devices"), REPOSITORY)


class Sdi12Field:
    """`with Sdi12Field(folder, sensors) as field`: `field.port` is the tty to open.

    Args:
        sensors: by address: measurements by command, each (promised seconds, values).
    """

    def __init__(
        self,
        folder: Path,
        sensors: dict[str, dict[str, tuple[int, list[str]]]],
        adapter: str = "transparent",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "sensors.toml"
        self.port = folder / "sdi0"
        self._sensors = sensors
        self._adapter = adapter
        self._process: subprocess.Popen[bytes] | None = None
        self.trouble()

    def trouble(self, **by_address: dict[str, Any]) -> None:
        """Write the sensors' file; `trouble(a0={"dead": True})` for sensor 0."""
        text = f'link = "{self.port.name}"\nadapter = "{self._adapter}"\n'
        for address, measurements in self._sensors.items():
            text += f'[[sensor]]\naddress = "{address}"\n'
            for command, (ready_s, values) in measurements.items():
                text += f"[sensor.measurements.{command}]\nready_s = {ready_s}\n"
                text += f"values = {json.dumps(values)}\n"
                if command == "C":  # these are of v1.4, the others say nothing of themselves
                    words = [f"V{number},1" for number in range(1, len(values) + 1)]
                    text += f"described = {json.dumps(words)}\n"
            text += "[sensor.troubles]\n"
            for key, value in by_address.get(f"a{address}", {}).items():
                text += f"{key} = {json.dumps(value)}\n"
        fresh = self.file.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.file)

    def plug_in(self) -> None:
        """Start the process, and wait for its tty."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "egret_demo.sdi12_wire", str(self.file)]
        )
        end_s = time.monotonic() + START_S
        while not self.port.exists():
            assert time.monotonic() < end_s, "no tty"
            time.sleep(STEP_S)

    def pull_out(self) -> None:
        """Kill the process: the tty hangs up, and its link leads nowhere."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_S)
        self.port.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        self.plug_in()
        return self

    def __exit__(self, *_: object) -> None:
        self.pull_out()


def config(
    folder: Path,
    port: Path | str,
    devices: dict[str, tuple[str, str]],
    *,
    adapter: str,
    period_s: float,
) -> Path:
    """Write a gateway's file: by address the profile and the item wanted of it."""
    text = (
        f'[gateway]\nid = "gw1"\ndata = "{folder / "data"}"\n[clock]\nsource = "rtc"\n'
        f'[[bus]]\nname = "sdi0"\nprotocol = "sdi-12"\nport = "{port}"\nadapter = "{adapter}"\n'
    )
    for address, (profile, item) in devices.items():
        text += (
            f'[[bus.device]]\nprofile = "{profile}"\naddress = "{address}"\nstation = "st1"\n'
            f'period_s = {period_s}\n[bus.device.channels.{item}]\nchannel = "{item}{address}"\n'
        )
        text += 'datum = "Luoling"\n' if item == "level" else ""
    path = folder / "gateway.toml"
    path.write_text(text)
    return path
