"""`./dev demo`: the whole line on one machine, from a make-believe storm to a real warning."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from egret_demo.centre import CentreError
from egret_demo.processes import ChildError
from egret_demo.story import Story
from egret_demo.voice import Voice

if TYPE_CHECKING:
    from types import FrameType

PORT = 8420
USAGE, PEER = 2, 3  # exit codes, as everywhere in Egret


def arguments(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="./dev demo", description="A storm over a make-believe valley, and the warning."
    )
    parser.add_argument(
        "--for",
        dest="for_s",
        type=float,
        metavar="SECONDS",
        help="end after so many seconds; exit 0 only if a red warning came and nothing was lost",
    )
    parser.add_argument("--port", type=int, default=PORT, help=f"of the API (default {PORT})")
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep all files here")
    parser.add_argument("--seed", type=int, default=2026, help="another seed, another storm")
    return parser.parse_args(argv)


def why_taken(port: int) -> str:
    """Return why nobody can listen on a loopback port, "" where one can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            return str(error)
    return ""


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def why_unusable(folder: Path | None) -> str:
    """Return why a folder cannot be the demo's, "" where it can: it must be new or empty."""
    if folder is None or not folder.exists():
        return ""
    if not folder.is_dir():
        return "not a folder"
    return "not empty; the demo writes over nothing" if any(folder.iterdir()) else ""


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(argv: list[str]) -> int:
    """Run the demo; 0 when it went well, 1 when it did not, 2 and 3 when it could not start."""
    options = arguments(argv)
    voice = Voice()
    taken = why_taken(options.port)
    if taken:
        voice.say(f"demo: port {options.port}: {taken}; choose another with --port")
        return PEER
    unusable = why_unusable(options.data)
    if unusable:
        voice.say(f"demo: --data {options.data}: {unusable}; name a new folder")
        return USAGE
    signal.signal(signal.SIGTERM, _interrupt)  # a service manager's Ctrl-C
    with ExitStack() as stack:
        folder = options.data or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="egret-demo-"))
        )
        folder.mkdir(parents=True, exist_ok=True)
        story = Story(folder.resolve(), options.port, free_port(), options.seed, voice)
        stack.callback(story.end)
        try:
            return story.tell(options.for_s)
        except (ChildError, CentreError) as error:
            voice.say(f"demo: {error}")
            return PEER
        except KeyboardInterrupt:
            voice.say("\ndemo: stopped")
            return 0 if options.for_s is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
