# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The client: requests through the failover loop, each on a connection of its own."""

from __future__ import annotations

import json
import socket
from typing import Any

from failover.shapes import ClientEmit, Kind
from failover.systems.base import ClientIdentity, FencedClient
from failover.systems.endpoints import split_endpoint
from failover.systems.fence import Change, Moved
from failover.systems.loop import (
    Answer,
    Attempt,
    AttemptFailedError,
    FailoverLoop,
    FailoverPolicy,
    OperationResult,
    changed,
)


def ask(endpoint: str, timeout_s: float, verb: str, **fields: Any) -> Any:
    """Make one request; OSError where it is not answered."""
    with socket.create_connection(split_endpoint(endpoint), timeout=timeout_s) as connection:
        connection.sendall(json.dumps({"verb": verb, **fields}).encode() + b"\n")
        line = connection.makefile().readline()
    if not line:
        raise ConnectionResetError("closed without an answer")
    return json.loads(line)


class ToyClient(FencedClient):
    """A client of one server."""

    def __init__(
        self, endpoints: list[str], policy: FailoverPolicy, emit: ClientEmit, identity: ClientIdentity
    ) -> None:
        self._loop = FailoverLoop(endpoints, policy, emit, identity.jitter_seed)
        self._name = identity.name
        emit("client.connected", {"endpoint": self.endpoint})
        self._raise_fence(policy, identity, self._move, emit)

    @property
    def endpoint(self) -> str:
        """The server."""
        return self._loop.endpoint

    def get_with_retry(self, key: str) -> OperationResult:
        """Look a key up."""

        def attempt(endpoint: str, timeout_s: float, _after: bool) -> Answer:
            return Answer(read=asked(endpoint, timeout_s, "get", key=key)["value"])

        return self._read(attempt)

    def scan_with_retry(self, prefix: str, key: str, count: int) -> OperationResult:
        """Read keys in their order."""

        def attempt(endpoint: str, timeout_s: float, _after: bool) -> Answer:
            keys = asked(endpoint, timeout_s, "scan", prefix=prefix, key=key, count=count)["keys"]
            return Answer(keys[-1].removeprefix(prefix) if keys else None, len(keys))

        return self._read(attempt, Kind.SCAN)

    def _unfenced(self, change: Change) -> Attempt:
        """Return an attempt at a change."""

        def attempt(endpoint: str, timeout_s: float, after_ambiguous: bool) -> Answer:
            answer = asked(endpoint, timeout_s, "change", **change._asdict())
            return changed(answer["affected"], after_ambiguous, read=answer["read"])

        return attempt

    def close(self) -> None:
        """Nothing is kept open."""

    def _move(self, endpoint: str, timeout_s: float, at: str, to: str, change: Change | None) -> Moved:
        given = None if change is None else change._asdict()
        return Moved(**asked(endpoint, timeout_s, "move", fence=self._name, at=at, to=to, change=given))


def asked(endpoint: str, timeout_s: float, verb: str, **fields: Any) -> Any:
    """Make one request as an attempt of an operation."""
    try:
        return ask(endpoint, timeout_s, verb, **fields)
    except ConnectionRefusedError as error:
        raise AttemptFailedError("connection refused", ambiguous=False) from error
    except OSError as error:
        raise AttemptFailedError(str(error), ambiguous=True) from error
