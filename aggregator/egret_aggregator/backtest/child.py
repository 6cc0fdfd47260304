"""A backtest in a process of its own: `python -m egret_aggregator.backtest.child CONFIG.toml`.

It is the last to get the processor and may use so much memory and no more; it ends with the centre
that started it. It opens the series only, beside the running centre, as `export` does.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egret_aggregator import config
from egret_aggregator.backtest import request, result
from egret_aggregator.backtest.observed import scores
from egret_aggregator.backtest.replay import Backtest, Told
from egret_aggregator.store import chosen
from egret_core.errors import EgretError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MB = 1024 * 1024


def main(argv: Sequence[str]) -> int:
    """Answer one request; 1 where it failed, and the last line says why."""
    parent = os.getppid()
    os.nice(request.NICE - os.nice(0))
    resource.setrlimit(resource.RLIMIT_AS, (request.MEMORY_MAX_B, request.MEMORY_MAX_B))

    def tell(told: Told) -> None:
        if os.getppid() != parent:
            sys.exit(1)  # the centre is gone: nobody reads this
        _say({"progress": told._asdict()})

    try:
        asked = request.Request.read(sys.stdin.buffer.readline(request.REQUEST_MAX_B))
        body = asyncio.run(_work(Path(argv[0]), asked, tell))
    except MemoryError:
        _say({"failed": f"it needs more than {request.MEMORY_MAX_B // _MB} MB: a shorter span"})
        return 1
    except (EgretError, OSError) as error:
        _say({"failed": str(error)})
        return 1
    _say({"result": body})
    return 0


async def _work(path: Path, asked: request.Request, tell: Callable[[Told], None]) -> dict[str, Any]:
    settings = config.load(path)
    async with AsyncExitStack() as stack:
        store = chosen.store(settings.store, settings.data)
        await store.open()
        stack.push_async_callback(store.close)
        found = await Backtest(store, asked.catalogue, asked.span, tell).run()
    rules, windows = asked.catalogue.rules, asked.windows
    scored = scores(found, asked.observed, rules, asked.span, windows) if asked.observed else []
    most = request.EVENTS_MAX
    return request.cut(result.body(found, asked.span, scored, offset_min=0, most=most))


def _say(body: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(body) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
