# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
r"""How the load generator and the fault agents talk: framing, authentication, and the client's end.

Over TCP, one line of JSON each way::

    agent  -> {"hello": "failover-lab-agent", "protocol": 1, "session": "<random>"}      once, not sealed
    client -> {"body": "{\"verb\": ..., \"session\": ..., \"seq\": 1, ...}", "mac": "<hex>"}
    agent  -> {"body": "{\"reply_to\": 1, \"session\": ..., \"ok\": true, ...}", "mac": "<hex>"}

``mac`` is HMAC-SHA256 over the UTF-8 of ``body`` with the lab's key, which never travels. The session is drawn by the
agent for each connection and ``seq`` must rise, so that a recorded request is worth nothing a second time; a reply
names the request it answers, so that a request cannot be sent back as a reply. Where the lab has certificates, TLS goes
around all of it: who asks knows whom, and nobody reads along. Who may ask is decided by the key alone.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import json
import os
import socket
import stat
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..clock import CLOCK
from ..shapes import LabError
from ..tls import secured, why_not_secured

PROTOCOL = 1
DEFAULT_PORT = 7470
HELLO = "failover-lab-agent"
# Longest line either end accepts, in bytes; the longest one sent is a status with all records of a long campaign.
MAX_LINE = 262_144
# Shorter keys are refused, in bytes: 16 random characters cannot be guessed over a network.
MIN_KEY_LENGTH = 16
# How long a status with details may take, in s: the agent asks systemctl, which is slow on a busy host.
DETAILS_TIMEOUT_S = 20.0
# How long a process may take to end after its signal before the agent stops looking, in s (systemd kills after 90).
GONE_TIMEOUT_S = 120.0
# How long a member may take to start before a heal counts as failed, in s (systemd's own default is 90).
START_TIMEOUT_S = 100.0
# How long a member of a group may take to be a full one again before a heal counts as failed, in s: MySQL takes a
# minute to give up a join, and a member that lost its data copies it first.
JOIN_TIMEOUT_S = 180.0
# Pings per clock measurement; the one with the shortest way there and back counts.
CLOCK_PINGS = 7


class AgentError(LabError):
    """An agent cannot be reached, or does not do what it was asked."""


class FrameError(Exception):
    """A line is not a sealed message of this lab."""


def load_key(path: str) -> bytes:
    """Read the lab's key from a file that only its owner may read; LabError says what is wrong with it."""
    try:
        with open(path, "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            key = file.read().strip()
    except OSError as error:
        raise LabError(
            f"The fault agents' key {path} cannot be read: {(error.strerror or str(error)).lower()}. "
            "Provision the hosts with playbooks/up.yml."
        ) from None
    if mode & 0o077:
        raise LabError(f"The fault agents' key {path} has mode {mode:04o}: others may read it. Try chmod 0600 {path}.")
    if len(key) < MIN_KEY_LENGTH:
        raise LabError(
            f"The fault agents' key {path} has {len(key)} characters, at least {MIN_KEY_LENGTH} are needed. "
            "Set fault_agent_key and provision the hosts with playbooks/up.yml."
        )
    return key


def seal(body: dict[str, Any], key: bytes) -> bytes:
    """Turn a message into one line with its authentication code."""
    text = json.dumps(body, separators=(",", ":"))
    mac = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return json.dumps({"body": text, "mac": mac}, separators=(",", ":")).encode() + b"\n"


def unseal(line: bytes, key: bytes) -> dict[str, Any]:
    """Check a line's authentication code and return its message; FrameError for anything else."""
    try:
        frame = json.loads(line)
        text, mac = frame["body"], frame["mac"]
        expected = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), mac.encode()):
            raise FrameError("wrong authentication code")
        body = json.loads(text)
    # RecursionError: a line of nothing but brackets.
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise FrameError("not a sealed message") from None
    if not isinstance(body, dict):
        raise FrameError("not a sealed message")
    return body


def split_address(address: str, default_port: int = DEFAULT_PORT) -> tuple[str, int]:
    """Split ``host:port`` or ``host``; LabError where the port is not a number."""
    host, separator, port = address.rpartition(":")
    if not separator:
        return address, default_port
    if not port.isdecimal() or not host:
        raise LabError(f"{address!r} is not an address of a fault agent. It should look like 10.0.0.11:{default_port}.")
    return host, int(port)


@dataclass(frozen=True)
class ClockOffset:
    """How far an agent's wall clock is ahead of ours, and by how much that may be wrong (half a round trip)."""

    offset_ns: int
    uncertainty_ns: int


class AgentClient:
    """One connection to one agent, opened when it is first needed and again after an error. Safe for threads."""

    def __init__(self, member: str, address: str, key: bytes, *, ca: str = "", timeout_s: float = 5.0) -> None:
        """``member`` names the agent in messages; ``timeout_s`` bounds the connect and each answer.

        ``ca`` is the file with the certificate of the authority that signs the agent's; empty: without TLS.
        """
        self.member = member
        self.address = split_address(address)
        self._key = key
        self._ca = ca
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._buffer = b""
        self._session = ""
        self._seq = 0

    def request(
        self, verb: str, fields: Mapping[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> dict[str, Any]:
        """Send one request and return the reply, which has ``ok`` true or ``ok`` false and ``error``.

        AgentError where there is no authentic reply in time. It is not sent again: whether the agent acted on it is
        then not known, and ``fire`` is told apart by its token anyway.
        """
        with self._lock:
            try:
                if self._socket is None:
                    self._connect()
                assert self._socket is not None
                self._socket.settimeout(self._timeout_s if timeout_s is None else timeout_s)
                self._seq += 1
                body = {"verb": verb, "session": self._session, "seq": self._seq, **(fields or {})}
                self._socket.sendall(seal(body, self._key))
                return self._read_reply()
            except (OSError, FrameError) as error:
                self._drop()
                raise AgentError(self._explain(error)) from None
            except BaseException:
                # Interrupted between request and reply: the next reply on this connection would be the wrong one.
                self._drop()
                raise

    def measure_clock(self) -> tuple[ClockOffset, dict[str, Any]]:
        """Ping the agent a few times; return its clock's offset and its last reply.

        Offset of one ping (as NTP does it): the agent's stamp less the middle between request and reply; the truth
        lies within half of the round trip, so the quickest ping is the best one.
        """
        best: ClockOffset | None = None
        for _ in range(CLOCK_PINGS):
            sent_wall, sent = CLOCK.now_ns(), time.monotonic_ns()
            reply = self.request("ping")
            took = time.monotonic_ns() - sent
            if not reply.get("ok"):
                raise AgentError(f"The fault agent of {self.member} refuses a ping: {reply.get('error')}")
            measured = ClockOffset(int(reply["wall_ns"]) - (sent_wall + took // 2), (took + 1) // 2)
            if best is None or measured.uncertainty_ns < best.uncertainty_ns:
                best = measured
        assert best is not None
        return best, reply

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    def _connect(self) -> None:
        plain = socket.create_connection(self.address, timeout=self._timeout_s)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = secured(plain, self.address[0], self._ca)
        self._buffer, self._seq = b"", 0
        try:
            hello = json.loads(self._read_line())
            if hello["hello"] != HELLO:
                raise FrameError("this is not a fault agent")
            if hello["protocol"] != PROTOCOL:
                raise FrameError(f"it speaks protocol {hello['protocol']}, not {PROTOCOL}: provision the hosts again")
            self._session = str(hello["session"])
        except (ValueError, TypeError, KeyError):
            raise FrameError("this is not a fault agent") from None

    def _read_line(self) -> bytes:
        assert self._socket is not None
        while b"\n" not in self._buffer:
            chunk = self._socket.recv(65_536)
            if not chunk:
                raise ConnectionResetError(errno.ECONNRESET, "connection closed")
            self._buffer += chunk
            if len(self._buffer) > MAX_LINE:
                raise FrameError("its answer is too long")
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line

    def _read_reply(self) -> dict[str, Any]:
        line = self._read_line()
        try:
            reply = unseal(line, self._key)
        except FrameError:
            if _is_refusal(line):
                raise FrameError("it has another key than this client: provision all hosts again") from None
            raise
        if reply.get("reply_to") != self._seq or reply.get("session") != self._session:
            raise FrameError("its answer belongs to another request")
        return reply

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _explain(self, error: OSError | FrameError) -> str:
        if isinstance(error, FrameError):
            said = str(error)
        elif isinstance(error, TimeoutError):
            said = "no answer in time"
        else:
            said = why_not_secured(error)
        return (
            f"The fault agent of {self.member} ({self.address[0]}:{self.address[1]}) cannot be used: {said}. "
            "See systemctl status failover-lab-agent there, or provision the hosts with playbooks/up.yml."
        )


def _is_refusal(line: bytes) -> bool:
    """Whether an unsealed line is the agent's word that it does not accept the key."""
    try:
        return bool(json.loads(line).get("refused"))
    except (ValueError, AttributeError):
        return False
