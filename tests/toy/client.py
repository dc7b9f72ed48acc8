# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The client: requests through the failover loop, each on a connection of its own."""

from __future__ import annotations

import json
import socket
from typing import Any

from failover.shapes import ClientEmit, Kind
from failover.systems.endpoints import split_endpoint
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


class ToyClient:
    """A client of one server."""

    def __init__(self, endpoints: list[str], policy: FailoverPolicy, emit: ClientEmit, jitter_seed: int) -> None:
        self._loop = FailoverLoop(endpoints, policy, emit, jitter_seed)
        emit("client.connected", {"endpoint": self.endpoint})

    @property
    def endpoint(self) -> str:
        """The server."""
        return self._loop.endpoint

    def put_with_retry(self, key: str, value: str) -> OperationResult:
        """Set a key."""
        return self._run(Kind.CREATE, lambda answer, _after: Answer(), "put", key=key, value=value)

    def get_with_retry(self, key: str) -> OperationResult:
        """Look a key up."""
        return self._run(Kind.RETRIEVE, lambda answer, _after: Answer(read=answer["value"]), "get", key=key)

    def delete_with_retry(self, key: str) -> OperationResult:
        """Remove a key."""
        return self._run(Kind.DELETE, lambda answer, after: removed(answer["removed"], after), "delete", key=key)

    def close(self) -> None:
        """Nothing is kept open."""

    def _run(self, kind: Kind, read: Any, verb: str, **fields: Any) -> OperationResult:
        def attempt(endpoint: str, timeout_s: float, after_ambiguous: bool) -> Answer:
            try:
                answer: Answer = read(ask(endpoint, timeout_s, verb, **fields), after_ambiguous)
            except ConnectionRefusedError as error:
                raise AttemptFailedError("connection refused", ambiguous=False) from error
            except OSError as error:
                raise AttemptFailedError(str(error), ambiguous=True) from error
            return answer

        return self._loop.run(kind, attempt)
