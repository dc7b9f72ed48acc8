# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The dictionary, and the socket: a request is a line of JSON, and so is its answer."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from typing import Any


class ToyServer:
    """Serves until it is stopped. What it acknowledges it keeps, but for every ``forgets``-th write (0: none)."""

    def __init__(self, forgets: int = 0) -> None:
        self.data: dict[str, str] = {}
        self.fences: dict[str, str] = {}  # by client; no data
        self.log: list[str] = []
        self._forgets, self._writes = forgets, 0
        self._lock = threading.Lock()
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    self.wfile.write(json.dumps(server.answer(json.loads(line))).encode() + b"\n")

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.endpoint = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.log.append(f"{time.time_ns()} started")

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what a request asks."""
        with self._lock:
            verb, key = request["verb"], request.get("key", "")
            if verb == "put":
                self._put(key, request["value"])
                return {}
            if verb == "move":
                return self._move(request)
            if verb == "get":
                return {"value": self.data.get(key)}
            if verb == "delete":
                return {"removed": int(self.data.pop(key, None) is not None)}
            return {"keys": self.data}

    def _put(self, key: str, value: str) -> None:
        self._writes += 1
        if not self._forgets or self._writes % self._forgets:
            self.data[key] = value

    def _move(self, request: dict[str, Any]) -> dict[str, Any]:
        """Move a client's fence, and change a key with it."""
        found = self.fences.get(request["fence"], "")
        if found != request["at"]:
            return {"moved": False, "found": found, "removed": None}
        self.fences[request["fence"]] = request["to"]
        removed = None
        if request["changes"] and request["value"] is None:
            removed = int(self.data.pop(request["key"], None) is not None)
        elif request["changes"]:
            self._put(request["key"], request["value"])
        return {"moved": True, "found": request["to"], "removed": removed}

    def stop(self) -> None:
        """Answer nobody any more."""
        self.log.append(f"{time.time_ns()} stopped")
        self._server.shutdown()
        self._server.server_close()
