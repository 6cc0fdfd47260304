"""The front with the shipped nginx.conf, before a real API: encrypted, and without delay."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2
import pytest
from rig import docker_folder as docker
from rig.api_centre import ApiCentre, api_centre
from rig.broker import free_port
from rig.events import event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NGINX = shutil.which("nginx", path=f"/usr/sbin{os.pathsep}{os.environ.get('PATH', '')}")
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(NGINX is None, reason="nginx is not here (Debian: nginx-light)"),
]
PATIENCE_S = 60.0


class Front:
    """One nginx before one API."""

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        self.url = url
        self.context = context

    def client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.url, verify=self.context, timeout=PATIENCE_S)


@asynccontextmanager
async def front(folder: Path, centre: ApiCentre) -> AsyncIterator[Front]:
    made, port = docker.prepared(folder), free_port()
    text = (made / "front/nginx.conf").read_text("utf-8")
    for there, here in (
        ("/tmp/", f"{folder}/"),  # noqa: S108  (the container's, in the shipped file)
        ("/run/secrets/", f"{made}/secrets/"),
        ("listen 8443", f"listen 127.0.0.1:{port}"),
        ("http://aggregator:8420", centre.url),
        ("/dev/stderr", f"{folder}/nginx.log"),
    ):
        assert there in text
        text = text.replace(there, here)
    (folder / "nginx.conf").write_text(text)
    assert NGINX is not None
    command = [NGINX, "-c", str(folder / "nginx.conf"), "-p", str(folder), "-g", "daemon off;"]
    tried = await asyncio.to_thread(docker.run, *command[:-2], "-t")
    assert tried.returncode == 0, tried.stderr
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: ASYNC220  (outlives this call)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await docker.listens(port):
                assert child.poll() is None, (folder / "nginx.log").read_text()
                await asyncio.sleep(0.02)
        context = ssl.create_default_context(cafile=str(made / "ca/ca.pem"))
        yield Front(f"https://localhost:{port}", context)
    finally:
        child.terminate()
        child.wait(PATIENCE_S)


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[ApiCentre]:
    async with api_centre(tmp_path) as running:
        yield running


async def test_the_api_is_reached_by_whoever_trusts_the_ca(
    centre: ApiCentre, tmp_path: Path
) -> None:
    async with front(tmp_path, centre) as here, here.client() as client:
        answer = await client.get("/api/v1/grafana/service", headers=centre.bearer("viewer"))
        assert answer.status_code == 200, answer.text
        assert answer.json()[0]["level"] == "none"
        assert "max-age" in answer.headers["strict-transport-security"]
        assert (await client.get("/api/v1/grafana/service")).status_code == 401
        with pytest.raises(httpx2.ConnectError):
            async with httpx2.AsyncClient(base_url=here.url) as stranger:
                await stranger.get("/healthz")


async def test_a_seats_cookie_is_for_encrypted_lines_only(
    centre: ApiCentre, tmp_path: Path
) -> None:
    async with front(tmp_path, centre) as here, here.client() as client:
        body = {"token": centre.token["officer"]}
        answer = await client.post("/api/v1/session", json=body, headers={"Origin": here.url})
        assert answer.status_code == 200, answer.text
        assert "secure" in answer.headers["set-cookie"].lower()
        foreign = {"Origin": "https://elsewhere.example"}
        refused = await client.post("/api/v1/session", json=body, headers=foreign)
        assert refused.json()["code"] == "cross_site"


async def test_an_event_passes_at_once(centre: ApiCentre, tmp_path: Path) -> None:
    async with front(tmp_path, centre) as here, here.client() as client:
        path, bearer = "/api/v1/warnings/stream?after=0", centre.bearer("viewer")
        async with (
            asyncio.timeout(PATIENCE_S),
            client.stream("GET", path, headers=bearer) as stream,
        ):
            lines = stream.aiter_lines()
            while await anext(lines) != "event: hello":
                pass
            await centre.ledger.take([event("raised", 3)])
            # Buffered, it would come with the answer's end: never.
            while not (await anext(lines)).startswith("event: warning"):
                pass
