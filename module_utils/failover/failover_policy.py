# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a client fails over: the one loop that the clients of all systems share, and its figures.

An operation is one or more *attempts*, each a request to one member. An attempt that is not acknowledged either
certainly was not applied (the member refused it, or no connection ever came about) or is ambiguous (it was sent, and
what came back does not settle it). The loop goes to the next member at once, waits only between full rounds over all
members, and stops at the operation's budget. What it then says is no guess:

* acknowledged: ``ok``, whatever happened before;
* a write with at least one ambiguous attempt: ``unknown``;
* anything else, and every read: ``fail``.

Sending a write again after an ambiguous attempt is safe here because the second request is the same as the first one
and only this client writes the key. One risk remains: the first request may be stuck somewhere, and take effect after
the second one was acknowledged and after a later operation of the same key. Nothing in the client can rule that out.
The checkers find it: etcd counts the writes of each key (its ``version``), and a key that comes back has a wrong state.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from .shapes import LabError, Outcome

Emit = Callable[[str, dict[str, Any]], None]

_MS = 1_000_000  # nanoseconds


def emit_nothing(name: str, data: dict[str, Any]) -> None:
    """Take an event that nobody wants."""


@dataclass(frozen=True)
class FailoverPolicy:
    """The figures of failing over, the same for every system; all times in ms."""

    # Half of etcd's election timeout: shorter gives up on members that only wait for an election, longer adds to the
    # outage wherever an answer is lost.
    attempt_timeout_ms: int = 500
    # Hosts of one lab are less than 1 ms apart; a SYN that was lost is sent again after 1000 ms, by the next attempt.
    connect_timeout_ms: int = 300
    # About ten elections of etcd.
    operation_budget_ms: int = 10_000
    # Wait after the first full round over all members; it doubles with each further round.
    backoff_first_ms: float = 5.0
    # At this pace a member that is back is found after a tenth of a second at most.
    backoff_max_ms: float = 100.0
    # Time between a channel's own attempts to connect. gRPC's default grows to 120 s, which would be measured as outage.
    reconnect_backoff_ms: int = 100
    # etcd ends a connection that pings more often than every 5 s (--grpc-keepalive-min-time), or that pings at all
    # while no request is under way: so 10 s, and only during requests.
    keepalive_time_ms: int = 10_000
    # Data that is not acknowledged for so long ends the connection, too (gRPC sets TCP_USER_TIMEOUT to it): this, and
    # the attempt's own deadline, is what finds a peer that has vanished.
    keepalive_timeout_ms: int = 1_000

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
                raise LabError(f"Failover policy: {entry.name} is {value!r}, it has to be a time in ms above 0.")
        if self.longest_attempt_ms > self.operation_budget_ms:
            raise LabError(
                f"Failover policy: operation_budget_ms is {self.operation_budget_ms}, less than one attempt may take "
                f"({self.longest_attempt_ms} = connect_timeout_ms + attempt_timeout_ms). Give the operation more time."
            )

    @property
    def longest_attempt_ms(self) -> int:
        """How long an attempt takes at worst: a connect, then no answer."""
        return self.connect_timeout_ms + self.attempt_timeout_ms

    def backoff_s(self, rounds: int, draw: random.Random) -> float:
        """Return the wait after so many full rounds, in s: between half of it and all of it, so that clients spread."""
        ceiling_ms = min(self.backoff_max_ms, self.backoff_first_ms * 2.0 ** min(rounds - 1, 30))
        return ceiling_ms * draw.uniform(0.5, 1.0) / 1000


class AttemptResult(str, Enum):
    """What became of one request."""

    ACKNOWLEDGED = "acknowledged"
    NOT_APPLIED = "not applied"
    AMBIGUOUS = "ambiguous"


class AttemptFailedError(Exception):
    """A request that was not acknowledged.

    ``final`` means that every member would answer the same, so that trying on is pointless: the key is taken, the
    database is full, access is denied.
    """

    def __init__(self, result: AttemptResult, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.result = result
        self.reason = reason
        self.final = final


class OperationResult(NamedTuple):
    """What the client knows of an operation; the fields are those of a HistoryRow."""

    outcome: Outcome
    attempts: int
    endpoint: str
    read: str | None
    affected: int | None
    error: str | None  # of the last failed attempt, also where a later one was acknowledged


class Member(Protocol):
    """One server as the loop sees it. Whatever is not acknowledged is an AttemptFailedError."""

    endpoint: str  # "host:port"

    def put(self, key: str, value: str, *, doubtful: bool) -> int | None:
        """Write a key; return how many keys the system says were changed, None where it does not say.

        ``doubtful``: an earlier attempt of the same operation may have been applied.
        """

    def get(self, key: str) -> str | None:
        """Return the newest acknowledged value, None where the key is absent."""

    def delete(self, key: str) -> int | None:
        """Delete a key; return how many keys were removed. None removed is an acknowledgement, too."""

    def close(self) -> None:
        """Close the connection."""


MemberT = TypeVar("MemberT", bound=Member)


class FailoverClient(Generic[MemberT]):
    """A client that sticks to one member until it fails. For one thread.

    Emits ``client.attempt_failed`` for every attempt that fails, ``client.failover_started`` when the member in use
    fails, and ``client.failover_completed`` with the first operation that is acknowledged after it.
    """

    def __init__(
        self,
        members: Sequence[MemberT],
        policy: FailoverPolicy,
        emit: Emit,
        *,
        stop: threading.Event | None = None,
        jitter_seed: int = 0,
    ) -> None:
        """:param members: in the order in which they are tried, beginning with the one in use.

        :param stop: ends retrying when it is set; the operation under way then ends with what is known of it.
        """
        self.policy = policy
        self._members = list(members)
        self._emit = emit
        self._stop = stop if stop is not None else threading.Event()
        self._draw = random.Random(jitter_seed)
        self._current = 0
        self._failing_since_ns: int | None = None
        self._failing_from = ""
        self._last_start_ns = (policy.operation_budget_ms - policy.longest_attempt_ms) * _MS

    @property
    def members(self) -> list[str]:
        """Endpoints of all members."""
        return [member.endpoint for member in self._members]

    @property
    def endpoint(self) -> str:
        """Endpoint of the member in use."""
        return self._members[self._current].endpoint

    def put_with_retry(self, key: str, value: str) -> OperationResult:
        """Write a key."""
        return self._run(True, lambda member, doubtful: (None, member.put(key, value, doubtful=doubtful)))

    def get_with_retry(self, key: str) -> OperationResult:
        """Read a key; ``read`` is None where it is absent."""
        return self._run(False, lambda member, doubtful: (member.get(key), None))

    def delete_with_retry(self, key: str) -> OperationResult:
        """Delete a key."""
        return self._run(True, lambda member, doubtful: (None, member.delete(key)))

    def close(self) -> None:
        """Close all connections."""
        for member in self._members:
            member.close()

    def _is_worth_trying(self, member: MemberT) -> bool:
        """Say whether a request to this member can succeed now. Asked only while failing over."""
        return True

    def _run(
        self, is_write: bool, request: Callable[[MemberT, bool], tuple[str | None, int | None]]
    ) -> OperationResult:
        """Try until it is acknowledged, refused for good, or the budget is used up."""
        attempts, passed_over, doubtful = 0, 0, False
        error: str | None = None
        started_ns = time.monotonic_ns()
        while True:
            member = self._members[self._current]
            # The first attempt is always made: without it nothing would be known.
            if attempts == 0 or self._is_worth_trying(member):
                attempts += 1
                try:
                    read, affected = request(member, doubtful)
                except AttemptFailedError as failure:
                    error = failure.reason
                    doubtful = doubtful or (is_write and failure.result is AttemptResult.AMBIGUOUS)
                    self._note_failure(member, failure, attempts)
                    if failure.final:
                        break
                else:
                    if self._failing_since_ns is not None:
                        self._note_success(member)
                    return OperationResult(Outcome.OK, attempts, member.endpoint, read, affected, error)
            self._current = (self._current + 1) % len(self._members)
            passed_over += 1
            if passed_over % len(self._members) == 0:
                self._stop.wait(self.policy.backoff_s(passed_over // len(self._members), self._draw))
            if self._stop.is_set():
                error = f"interrupted while retrying after: {error}"
                break
            # No attempt starts that could outlast the budget.
            if time.monotonic_ns() - started_ns > self._last_start_ns:
                break
        outcome = Outcome.UNKNOWN if doubtful else Outcome.FAIL
        return OperationResult(outcome, attempts, member.endpoint, None, None, error)

    def _note_failure(self, member: MemberT, failure: AttemptFailedError, attempt: int) -> None:
        self._emit(
            "client.attempt_failed",
            {
                "endpoint": member.endpoint,
                "error": failure.reason,
                "result": failure.result.value,
                "attempt": attempt,
            },
        )
        # A final refusal is an answer: the member works.
        if self._failing_since_ns is None and not failure.final:
            self._failing_since_ns = time.monotonic_ns()
            self._failing_from = member.endpoint
            self._emit("client.failover_started", {"endpoint": member.endpoint, "reason": failure.reason})

    def _note_success(self, member: MemberT) -> None:
        assert self._failing_since_ns is not None
        duration_ms = (time.monotonic_ns() - self._failing_since_ns) / _MS
        self._failing_since_ns = None
        self._emit(
            "client.failover_completed",
            {
                "endpoint": member.endpoint,
                "from": self._failing_from,
                "to": member.endpoint,
                "duration_ms": duration_ms,
            },
        )
