"""A small HTTP server in a thread: a centre's `/readyz`, its stream, or whoever takes a webhook."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path


class Receiver:
    """Answers as it is told, and notes what was POSTed.

    Args:
        certificate: PEM beside its key: TLS is spoken with it.
        port: 0 takes a free one.
    """

    def __init__(self, certificate: Path | None = None, port: int = 0) -> None:
        self.statuses: list[int] = []  # of the next answers; after them `status`
        self.status = 200
        self.body: Any = {}
        self.stream: list[str] = []  # lines of the stream, which then stays open until the end
        self.posts: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.gets: list[str] = []
        self._over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self.scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.scheme = "https"
        self.port = int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                receiver.gets.append(self.path)
                receiver.headers.append(dict(self.headers.items()))
                if self.path.endswith("/stream") and receiver.status == 200:
                    self.send_response(200)
                    self.end_headers()
                    for line in receiver.stream:
                        self.wfile.write(line.encode())
                    self.wfile.flush()
                    receiver._over.wait(60)
                    return
                self._answer()

            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                receiver.posts.append(json.loads(self.rfile.read(size)))
                receiver.headers.append(dict(self.headers.items()))
                self._answer()

            def _answer(self) -> None:
                body = json.dumps(receiver.body).encode()
                status = receiver.statuses.pop(0) if receiver.statuses else receiver.status
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
