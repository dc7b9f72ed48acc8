# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The dictionary, and the socket: a request is a line of JSON, and so is its answer."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from typing import Any

WRITES = ("change", "move")


class ToyServer:
    """Serves until it is stopped. What it acknowledges it keeps, but for every ``forgets``-th write (0: none).

    Every ``holds_up``-th write (0: none) gets no answer, and is executed 50 requests later.
    """

    def __init__(self, forgets: int = 0, holds_up: int = 0) -> None:
        self.data: dict[str, str] = {}
        self.fences: dict[str, str] = {}  # by client; no data
        self.log: list[str] = []
        self._forgets, self._writes = forgets, 0
        self._holds_up, self._requests = holds_up, 0
        self._held_up: list[tuple[int, dict[str, Any]]] = []  # writes, each with the request before which it comes
        self.late = 0  # writes that came late
        self._lock = threading.Lock()
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    answer = server.take(json.loads(line))
                    if answer is None:
                        return
                    self.wfile.write(json.dumps(answer).encode() + b"\n")

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.endpoint = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.log.append(f"{time.time_ns()} started")

    def take(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Do what a request asks, or say nothing and do it later."""
        with self._lock:
            self._requests += 1
            number = self._requests
            due = [held for at, held in self._held_up if at <= number]
            self._held_up = [(at, held) for at, held in self._held_up if at > number]
            if self._holds_up and request["verb"] in WRITES and number % self._holds_up == 0:
                self._held_up.append((number + 50, request))
                return None
        for held in due:
            self.late += 1
            self.answer(held)
        return self.answer(request)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what a request asks."""
        with self._lock:
            verb = request["verb"]
            if verb == "change":
                return self._change(request)
            if verb == "move":
                return self._move(request)
            if verb == "scan":
                there = [key for key in self.data if key.startswith(request["prefix"]) and key >= request["key"]]
                return {"keys": sorted(there)[: request["count"]]}
            if verb == "get":
                return {"value": self.data.get(request["key"])}
            return {"keys": self.data}

    def _change(self, change: dict[str, Any]) -> dict[str, Any]:
        """Change a key."""
        kind, key, value = change["kind"], change["key"], change["value"]
        held = self.data.get(key)
        if kind == "CAS" and held != change["expected"]:
            return {"affected": 0, "read": held}
        if kind == "DELETE":
            self.data.pop(key, None)
            return {"affected": int(held is not None), "read": None}
        self._writes += 1
        if not self._forgets or self._writes % self._forgets:
            self.data[key] = f"{held},{value}" if kind == "APPEND" and held is not None else value
        return {"affected": 1, "read": None}

    def _move(self, request: dict[str, Any]) -> dict[str, Any]:
        """Move a client's fence, and change a key with it."""
        found = self.fences.get(request["fence"], "")
        if found != request["at"]:
            return {"moved": False, "found": found}
        self.fences[request["fence"]] = request["to"]
        changed = {} if request["change"] is None else self._change(request["change"])
        return {"moved": True, "found": request["to"], **changed}

    def stop(self) -> None:
        """Answer nobody any more."""
        self.log.append(f"{time.time_ns()} stopped")
        self._server.shutdown()
        self._server.server_close()
