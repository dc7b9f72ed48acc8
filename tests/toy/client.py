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
    AttemptFailedError,
    FailoverLoop,
    FailoverPolicy,
    OperationResult,
    removed,
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

    def put_with_retry(self, key: str, value: str) -> OperationResult:
        """Set a key."""
        if self._fence is not None:
            return self._fence.write(Change(Kind.CREATE, key, value))
        return self._run(Kind.CREATE, lambda answer, _after: Answer(), "put", key=key, value=value)

    def get_with_retry(self, key: str) -> OperationResult:
        """Look a key up."""

        def attempt(endpoint: str, timeout_s: float, _after: bool) -> Answer:
            return Answer(read=asked(endpoint, timeout_s, "get", key=key)["value"])

        return self._read(attempt)

    def delete_with_retry(self, key: str) -> OperationResult:
        """Remove a key."""
        if self._fence is not None:
            return self._fence.write(Change(Kind.DELETE, key))
        return self._run(Kind.DELETE, lambda answer, after: removed(answer["removed"], after), "delete", key=key)

    def close(self) -> None:
        """Nothing is kept open."""

    def _run(self, kind: Kind, read: Any, verb: str, **fields: Any) -> OperationResult:
        def attempt(endpoint: str, timeout_s: float, after_ambiguous: bool) -> Answer:
            answer: Answer = read(asked(endpoint, timeout_s, verb, **fields), after_ambiguous)
            return answer

        return self._loop.run(kind, attempt)

    def _move(self, endpoint: str, timeout_s: float, at: str, to: str, change: Change | None) -> Moved:
        answer = asked(
            endpoint,
            timeout_s,
            "move",
            fence=self._name,
            at=at,
            to=to,
            key=change.key if change is not None else "",
            changes=change is not None,
            value=change.value if change is not None else None,
        )
        return Moved(answer["moved"], answer["found"], answer["removed"])


def asked(endpoint: str, timeout_s: float, verb: str, **fields: Any) -> Any:
    """Make one request as an attempt of an operation."""
    try:
        return ask(endpoint, timeout_s, verb, **fields)
    except ConnectionRefusedError as error:
        raise AttemptFailedError("connection refused", ambiguous=False) from error
    except OSError as error:
        raise AttemptFailedError(str(error), ambiguous=True) from error
