# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An etcd member's JSON gateway in this process: range, deleterange and status over keys in memory."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MEMBER_ID = 0x1A2F


class Gateway:
    """What the member has and what it was asked; a test may change ``keys`` and ``refuse`` at any time."""

    def __init__(self) -> None:
        self.keys: dict[str, tuple[str, int, int]] = {}  # key -> (value, version, mod_revision)
        self.revision = 7
        self.is_leader = True
        self.refuse: str | None = None  # answer everything with this error
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.endpoint = ""
        self.scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.endpoint}"

    def answer_to(self, path: str, body: dict[str, Any], _token: str | None) -> tuple[int, dict[str, Any]]:
        """Return HTTP status and answer to whoever asks."""
        return self.answer(path, body)

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return HTTP status and answer; numbers are strings and empty fields are left out, as etcd does it."""
        self.requests.append((path, body))
        if self.refuse:
            return 503, {"code": 14, "message": self.refuse}
        header = {"member_id": str(MEMBER_ID), "cluster_id": "99", "revision": str(self.revision)}
        if path == "/v3/maintenance/status":
            leader = MEMBER_ID if self.is_leader else MEMBER_ID + 1
            return 200, {"header": header, "leader": str(leader), "raftTerm": "2", "version": "3.5.16"}
        start, end = (base64.b64decode(body[name]) for name in ("key", "range_end"))
        found = sorted(key for key in self.keys if key.encode() >= start and (end == b"\0" or key.encode() < end))
        if path == "/v3/kv/deleterange":
            for key in found:
                del self.keys[key]
            return 200, {"header": header, **({"deleted": str(len(found))} if found else {})}
        if path != "/v3/kv/range":
            return 404, {"message": "Not Found"}
        answer: dict[str, Any] = {"header": header, **({"count": str(len(found))} if found else {})}
        if body.get("count_only"):
            return 200, answer
        limit = int(body.get("limit", 0)) or len(found)
        if found[:limit]:
            answer["kvs"] = [self._entry(key) for key in found[:limit]]
        if len(found) > limit:
            answer["more"] = True
        return 200, answer

    def _entry(self, key: str) -> dict[str, str]:
        value, version, mod_revision = self.keys[key]
        entry = {"key": _b64(key), "mod_revision": str(mod_revision), "version": str(version)}
        return {**entry, "value": _b64(value)} if value else entry


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@contextmanager
def serve_gateway(given: Gateway | None = None, tls: ssl.SSLContext | None = None) -> Iterator[Gateway]:
    """Serve a member on a free port of the loopback interface."""
    gateway = given or Gateway()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = gateway.answer_to(self.path, body, self.headers["Authorization"])
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_args: Any) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # of who did not shake hands
    if tls is not None:
        # The handshake on the connection's own thread, and not on the one that accepts.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        gateway.scheme = "https"
    gateway.endpoint = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield gateway
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def closed_endpoint() -> str:
    """Return an endpoint of this host on which nobody listens."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    port = server.server_address[1]
    server.server_close()
    return f"127.0.0.1:{port}"
