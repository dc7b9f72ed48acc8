# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fault agent as a program: it listens, lets in who has the lab's key (see ``wire``), and passes requests on.

Run as ``python3 -m failover.agent.server --config /etc/failover-lab/agent.json`` with nothing but the stdlib.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import socket
import socketserver
import ssl
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol

from ..shapes import LabError
from ..tls import server_context
from .agent import Agent
from .config import AgentConfig
from .wire import DEFAULT_PORT, HELLO, MAX_LINE, PROTOCOL, FrameError, load_key, seal, unseal

# A connection that says nothing for so long is closed, in s.
IDLE_TIMEOUT_S = 300.0
# So is one whose handshake takes longer, in s.
HANDSHAKE_TIMEOUT_S = 5.0
MAX_CONNECTIONS = 64


class Answering(Protocol):
    """Who answers authentic requests."""

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return what to answer; OSError closes the connection without a word."""


class Server(socketserver.ThreadingTCPServer):
    """Listens, and lets in who has the lab's key."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = MAX_CONNECTIONS

    def __init__(
        self, address: tuple[str, int], agent: Answering, key: bytes, tls: ssl.SSLContext | None = None
    ) -> None:
        self.agent = agent
        self.key = key
        self.tls = tls
        self.slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, _Connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Name what went wrong on one connection in one line; the others go on."""
        print(f"Connection of {client_address}: {sys.exc_info()[1]!r}", file=sys.stderr, flush=True)


class _Connection(socketserver.StreamRequestHandler):
    server: Server
    timeout = IDLE_TIMEOUT_S
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Shake hands first, where there is TLS; on this thread, so that nobody else waits for it."""
        if not self.server.slots.acquire(blocking=False):
            raise ConnectionError(f"more than {MAX_CONNECTIONS} connections")
        try:
            if self.server.tls is not None:
                self.request.settimeout(HANDSHAKE_TIMEOUT_S)
                self.request = self.server.tls.wrap_socket(self.request, server_side=True)
            super().setup()
        except BaseException:
            self.server.slots.release()
            raise

    def finish(self) -> None:
        """Close what setup made."""
        self.server.slots.release()
        super().finish()
        self.request.close()

    def handle(self) -> None:
        """Answer requests until the other end closes, goes silent, or says something that is not authentic."""
        try:
            self._converse()
        except OSError:
            # Closed, reset or silent: there is nobody to tell.
            return

    def _converse(self) -> None:
        session = secrets.token_hex(16)
        hello = {"hello": HELLO, "protocol": PROTOCOL, "session": session}
        self.wfile.write(json.dumps(hello).encode() + b"\n")
        last_seq = 0
        while True:
            line = self.rfile.readline(MAX_LINE)
            if not line.endswith(b"\n"):
                return
            try:
                request = unseal(line, self.server.key)
                seq = request.get("seq")
                if request.get("session") != session or not isinstance(seq, int) or seq <= last_seq:
                    raise FrameError("replayed")
            except FrameError as error:
                print(f"Refused {self.client_address[0]}: {error}", file=sys.stderr, flush=True)
                self.wfile.write(json.dumps({"refused": str(error)}).encode() + b"\n")
                return
            last_seq = seq
            reply = {"reply_to": seq, "session": session, **self.server.agent.handle(request)}
            self.wfile.write(seal(reply, self.server.key))


def notify_ready() -> None:
    """Tell the service manager that the agent listens (sd_notify(3)), where one started it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect("\0" + address[1:] if address.startswith("@") else address)
        channel.sendall(b"READY=1")


def serve(config: AgentConfig, ready: Callable[[int], None] = lambda port: None) -> None:
    """Serve until SIGTERM or SIGINT; ``ready`` is told the port once the agent listens."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    key = load_key(config.key_file)
    tls = server_context(config.certificate, config.certificate_key) if config.certificate else None
    try:
        os.makedirs(config.state_dir, mode=0o700, exist_ok=True)
        agent = Agent(config)
    except OSError as error:
        raise LabError(f"{config.state_dir} cannot be used: {(error.strerror or str(error)).lower()}.") from None
    try:
        server = Server((config.listen, config.port), agent, key, tls)
    except OSError as error:
        agent.close()
        reason = (error.strerror or str(error)).lower()
        raise LabError(f"The fault agent cannot listen on {config.listen}:{config.port}: {reason}.") from None
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.5}, daemon=True)
        thread.start()
        notify_ready()
        ready(server.server_address[1])
        stop.wait()
        server.shutdown()
    agent.close()


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="failover.agent.server", description="Injects and heals faults of one member."
    )
    parser.add_argument(
        "--config", default="/etc/failover-lab/agent.json", help=f"JSON file; default port {DEFAULT_PORT}"
    )
    arguments = parser.parse_args()
    try:
        serve(
            AgentConfig.load(arguments.config),
            lambda port: print(f"Fault agent listens on port {port}.", flush=True),
        )
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
