# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How an operation is carried through a failure: the same rules for every system.

An operation is a row of attempts. Each attempt is acknowledged, or fails in one of two ways:

- *definite*: the request certainly had no effect and never will (refused connection, rolled back);
- *ambiguous*: it was, or may have been, sent, and nothing settles whether it took effect.

After a failed attempt the next member is tried at once, or the same one where two clients' requests only crossed each
other there, or where to get ready took the attempt's time; only after a round through all members without an answer
does the loop pause, so that a cluster without a leader is not flooded. While it fails over, a client may pass over a
member where a request would only be lost; that is no attempt. A failure that says that the request itself is
wrong is *final*: no member will answer otherwise. In the end an operation is ``ok`` if an attempt was acknowledged; a
write of which any attempt was ambiguous is ``unknown``; everything else is ``fail``.

What is done after a failed attempt is the retry policy's: ``safe`` and ``blind`` go on as above, ``none`` leaves it at
one attempt, ``notebook`` waits and goes to another member at random, whatever that one is.

Sent again blindly, an ambiguous attempt may still be under way when its retry is acknowledged, and take effect
after it (a *late duplicate*), even after a later operation on the same key. The client cannot see that. The checkers
can: in etcd a key's version counts its writes, and a deleted key that came back stands in the members' data. Under
``safe`` that cannot happen: writes stand behind a fence (:mod:`.fence`).
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..shapes import READ_KINDS, ClientEmit, Kind, LabError, Outcome, ReadConsistency, RetryPolicy
from .steering import Steering

# Reasons go into every row of a history and into events: long server messages are cut here.
REASON_MOST_CHARS = 200
# The notebook's pause after an exception, in s.
NOTEBOOK_PAUSE_S = 2.0
# For so long a member that kept the client waiting is passed over without being asked, in s: asking takes a tenth of a
# second of each round, in which the others may have elected.
SILENT_S = 0.5


def discard(event: str, data: dict[str, Any]) -> None:
    """Take an event that nobody asked for."""


@dataclass(frozen=True)
class FailoverPolicy:
    """How long to wait for what, in milliseconds, and what to do then."""

    # Some hundred times the latency of a healthy write, and below etcd's default election timeout (1000 ms), so that
    # a paused member is left before the others have even begun to elect.
    attempt_timeout_ms: int = 500
    # The lab's hosts answer a connect within a millisecond; one that does not is down or partitioned.
    connect_timeout_ms: int = 300
    # Longer than any failover of the lab is meant to take: an operation that outlives it is a finding.
    operation_budget_ms: int = 10_000
    # Pauses between rounds, doubling from the first to the longest: short against what is measured (an election).
    backoff_first_ms: int = 5
    backoff_most_ms: int = 50
    # How long members may be passed over because a request to them would be lost. Longer than etcd's elections (1 to 2
    # election timeouts of 1000 ms); bounded, because what makes a client pass over a member may be an error.
    pass_over_ms: int = 5_000
    retry_policy: RetryPolicy = RetryPolicy.SAFE
    read_consistency: ReadConsistency = ReadConsistency.LINEARIZABLE

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, int) and value <= 0:
                raise LabError(f"{name} of the failover policy is {value}; give a number of milliseconds above 0")
        if self.backoff_first_ms > self.backoff_most_ms:
            raise LabError(
                f"backoff_first_ms ({self.backoff_first_ms}) is above backoff_most_ms ({self.backoff_most_ms}); "
                "give a first pause that is not longer than the longest"
            )


class OperationResult(NamedTuple):
    """What came of one operation; the fields mean what they mean in shapes.HistoryRow."""

    outcome: str
    attempts: int
    endpoint: str
    read: str | None
    affected: int | None
    error: str | None
    revision: int | None = None
    transaction: str | None = None


class Answer(NamedTuple):
    """What a member acknowledged: the value that was found, or the number of keys or rows that a write changed."""

    read: str | None = None
    affected: int | None = None
    revision: int | None = None  # of the store


def changed(count: int, after_ambiguous: bool, revision: int | None = None, read: str | None = None) -> Answer:
    """Return what a DELETE or CAS that changed ``count`` keys says: not how many, where an earlier attempt may have.

    :param read: what a CAS that changed nothing found
    """
    return Answer(read, None if count == 0 and after_ambiguous else count, revision)


class AttemptFailedError(Exception):
    """One attempt that was not acknowledged.

    :param ambiguous: the request may have had, or may still get, an effect
    :param final: no retry on any member will be answered otherwise
    :param crossed: it met with another client's and gave way, as in a deadlock, or getting ready for it took its time;
        the member is well, and is tried again at once
    """

    def __init__(self, reason: str, *, ambiguous: bool, final: bool = False, crossed: bool = False) -> None:
        super().__init__(reason)
        self.reason = " ".join(reason.split())[:REASON_MOST_CHARS]
        self.ambiguous = ambiguous
        self.final = final
        self.crossed = crossed


# One attempt on one member: (endpoint, time left for it in seconds, whether an earlier attempt of the same operation
# was ambiguous) -> Answer; raises AttemptFailedError.
Attempt = Callable[[str, float, bool], Answer]


class PassOver(NamedTuple):
    """Why a request to a member would be lost now."""

    reason: str
    go_to: str | None = None  # the member that takes requests ("host:port"), where this one knows it
    silent: bool = False  # it kept the client waiting: it is not asked again for SILENT_S


# Whether, and why, to leave the endpoint out now. Asked only while failing over.
WhyPassOver = Callable[[str], PassOver | None]


def pass_over_nobody(_endpoint: str) -> PassOver | None:
    """Try every member."""
    return None


@dataclass
class _Round:
    """How far an operation has come in trying the members."""

    untried: set[str]  # in this round
    backoff_s: float  # the next pause between two rounds


class FailoverLoop:
    """Carries operations to the members of one system; sticks to a member until it fails. Not for several threads.

    Events: ``client.attempt_failed`` {endpoint, kind, error, ambiguous}; ``client.failover_started`` {from, endpoint,
    reason} at the first failed attempt, and ``client.failover_completed`` {from, to, endpoint, duration_ms} at the
    next acknowledged one, which may belong to a later operation. With one member ``from`` and ``to`` are the same: the
    client came back to it. ``client.member_passed_over`` {endpoint, reason} for the first one in a failover.

    :param endpoints: "host:port" of the members, in the order in which they are tried
    :param seed: of the jitter that keeps clients from retrying in step
    :param why_pass_over: keeps attempts after the first one from members where they would be lost, and may name the
        member to go to instead; each member is gone to once a round, however many name it
    :param pass_over_s: how long members may be passed over in one failover; the policy's time where not given
    :param steering: leads the clients during some faults
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        policy: FailoverPolicy,
        emit: ClientEmit,
        seed: int,
        *,
        why_pass_over: WhyPassOver = pass_over_nobody,
        pass_over_s: float | None = None,
        steering: Steering | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not endpoints:
            raise LabError("a client was given no member to talk to; give at least one host and port")
        self._endpoints = list(endpoints)
        self._policy = policy
        self._emit = emit
        self._random = random.Random(seed)
        self._why_pass_over = why_pass_over
        self._pass_over_s = policy.pass_over_ms / 1000 if pass_over_s is None else pass_over_s
        self._steering = steering or Steering()
        # Clients that are led to the same members spread over them.
        self._number = seed
        self._turn = self._steering.turn
        self._clock = clock
        self._sleep = sleep
        self._current = 0
        self._failed_from: str | None = None  # the member that was left, while no other has answered yet
        self._failed_at = 0.0
        self._told_passed_over = False
        self._silent: dict[str, tuple[float, PassOver | None]] = {}  # who kept the client waiting: when, and why

    @property
    def endpoint(self) -> str:
        """The member that the next attempt goes to, as "host:port"."""
        return self._endpoints[self._current]

    def run(self, kind: Kind, attempt: Attempt) -> OperationResult:
        """Try ``attempt`` on one member after the other until it is acknowledged, final, or the budget is gone.

        The last attempt gets no more time than the budget leaves, where the system's client can be told so.
        """
        if not self._steering.active:
            return self._run(kind, attempt)
        if self._turn != self._steering.turn:
            self._turn = self._steering.turn
            allowed = self._steering.allowed(self._endpoints)
            self._current = self._endpoints.index(allowed[self._number % len(allowed)])
        home, began_s = self._current, self._clock()
        led_to = self._steering.take_read(kind)
        if led_to in self._endpoints:
            self._current = self._endpoints.index(led_to)
        result = self._run(kind, attempt)
        if led_to is not None:
            self._current = home
        if kind not in READ_KINDS and result.outcome == Outcome.OK:
            self._steering.note_write(began_s)
        return result

    def _run(self, kind: Kind, attempt: Attempt) -> OperationResult:
        policy = self._policy
        attempt_s = policy.attempt_timeout_ms / 1000
        deadline = self._clock() + policy.operation_budget_ms / 1000
        attempts = 0
        round_ = _Round(set(self._steering.allowed(self._endpoints)), policy.backoff_first_ms / 1000)
        ambiguous = False
        error: str | None = None
        endpoint = self.endpoint
        left_s = policy.operation_budget_ms / 1000
        crossed = False  # the last attempt was
        while left_s > 0:
            # The first attempt is always made: without one nothing is known of the operation.
            passed_over = self._pass_over() if attempts > 0 and not crossed else None
            # Asking the members took time, too.
            left_s = deadline - self._clock() if attempts > 0 else left_s
            round_.untried.discard(self.endpoint)
            if passed_over is None and left_s > 0:
                endpoint = self.endpoint
                attempts += 1
                try:
                    answer = attempt(endpoint, min(attempt_s, left_s), ambiguous)
                except AttemptFailedError as failed:
                    error, crossed = failed.reason, failed.crossed
                    ambiguous = ambiguous or failed.ambiguous
                    self._note_failure(endpoint, kind, failed)
                    if failed.final:
                        break
                else:
                    if self._failed_from is not None:
                        self._note_recovery(endpoint)
                    return OperationResult(
                        Outcome.OK.value, attempts, endpoint, answer.read, answer.affected, error, answer.revision
                    )
            if policy.retry_policy is RetryPolicy.NONE:
                if not crossed:
                    self._move_on(set(), None)
                break
            if not crossed:
                self._go_on(round_, deadline - self._clock(), passed_over)
            left_s = deadline - self._clock()
        outcome = Outcome.UNKNOWN if ambiguous and kind not in READ_KINDS else Outcome.FAIL
        return OperationResult(outcome.value, attempts, endpoint, None, None, error)

    def _go_on(self, round_: _Round, left_s: float, passed_over: PassOver | None) -> None:
        """Choose the next member, and pause where it is time to."""
        if self._policy.retry_policy is RetryPolicy.NOTEBOOK:
            others = [number for number in range(len(self._endpoints)) if number != self._current]
            self._current = self._random.choice(others or [self._current])
            self._sleep(max(0.0, min(left_s, NOTEBOOK_PAUSE_S)))
            return
        pause = not round_.untried and left_s > 0
        if pause:
            round_.untried = set(self._steering.allowed(self._endpoints))
        self._move_on(round_.untried, passed_over)
        if pause:
            self._sleep(min(left_s, round_.backoff_s * self._random.uniform(0.5, 1.0)))
            round_.backoff_s = min(round_.backoff_s * 2, self._policy.backoff_most_ms / 1000)

    def _move_on(self, untried: set[str], passed_over: PassOver | None) -> None:
        """Choose the next member: the one that was named, else the next in turn of those not tried in this round."""
        if passed_over is not None and passed_over.go_to in untried:
            self._current = self._endpoints.index(passed_over.go_to)
            return
        self._current = (self._current + 1) % len(self._endpoints)
        while untried and self.endpoint not in untried:
            self._current = (self._current + 1) % len(self._endpoints)

    def _pass_over(self) -> PassOver | None:
        """Say why the current member is to be left out this time, None where it is not."""
        if self._policy.retry_policy is RetryPolicy.NOTEBOOK or self._clock() - self._failed_at > self._pass_over_s:
            return None
        since_s, passed_over = self._silent.get(self.endpoint, (-math.inf, None))
        if self._clock() - since_s >= SILENT_S:
            passed_over = self._why_pass_over(self.endpoint)
            if passed_over is not None and passed_over.silent:
                # Whom it named may have lost that role by then.
                self._silent[self.endpoint] = (self._clock(), passed_over._replace(go_to=None))
        if passed_over is not None and not self._told_passed_over:
            self._told_passed_over = True
            self._emit("client.member_passed_over", {"endpoint": self.endpoint, "reason": passed_over.reason})
        return passed_over

    def _note_failure(self, endpoint: str, kind: Kind, failed: AttemptFailedError) -> None:
        self._emit(
            "client.attempt_failed",
            {"endpoint": endpoint, "kind": kind.value, "error": failed.reason, "ambiguous": failed.ambiguous},
        )
        # A member that finds the request itself wrong is well: there is nothing to fail over from.
        if self._failed_from is None and not failed.final and not failed.crossed:
            self._failed_from = endpoint
            self._failed_at = self._clock()
            self._emit("client.failover_started", {"from": endpoint, "endpoint": endpoint, "reason": failed.reason})

    def _note_recovery(self, endpoint: str) -> None:
        duration_ms = round((self._clock() - self._failed_at) * 1000, 3)
        self._emit(
            "client.failover_completed",
            {"from": self._failed_from, "to": endpoint, "endpoint": endpoint, "duration_ms": duration_ms},
        )
        self._failed_from = None
        self._told_passed_over = False
