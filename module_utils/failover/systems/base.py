# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the lab asks of a system, and what a system answers.

A system's wing has a :class:`System` (``systems/NAME/system.py``) for who drives, watches and judges it, and an
:class:`~.on_host.OnHost` (``systems/NAME/member.py``) for the fault agent beside each of its members. Importing neither
loads a driver: only the load generator has those, and only when a client is made.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ..shapes import ClientEmit, Event, Kind, LabError, RetryPolicy, Target, WatchRow
from .fence import Change, Doubt, Fence, Ids, Move
from .known_bugs import KnownBug
from .loop import Attempt, FailoverLoop, FailoverPolicy, OperationResult
from .steering import Steering


class Client(Protocol):
    """What the workload needs of a system's client; one thread uses it."""

    @property
    def endpoint(self) -> str:
        """The member that the next request goes to, as "host:port"."""

    def get_with_retry(self, key: str) -> OperationResult:
        """Look a key up."""

    def scan_with_retry(self, prefix: str, key: str, count: int) -> OperationResult:
        """Read ``count`` keys of a prefix at most, from one of them on in their order.

        ``affected`` is how many there were, ``read`` the last one without the prefix.

        :param key: with the prefix
        """

    def change_with_retry(self, change: Change) -> OperationResult:
        """Make a write of any kind."""

    @property
    def doubt(self) -> Doubt | None:
        """The write that is still to be settled, None under retry policies that settle nothing."""

    def settle(self) -> bool:
        """Settle what is in doubt, within one operation's budget; say whether nothing is in doubt any more."""

    def close(self) -> None:
        """Close its connections."""


@dataclass(frozen=True)
class ClientIdentity:
    """Which client it is."""

    name: str  # of its fence: the same for one that takes its place, and nobody else's
    jitter_seed: int = 0  # of the pauses between its attempts
    doubt: Doubt | None = None  # what it is made for to settle, instead of operations
    ids: Ids = field(default_factory=Ids)  # of its writes
    steering: Steering = field(default_factory=Steering)  # that leads it, and the other clients of its process


class FencedClient(ABC):
    """What the clients of all systems do with a fence; which they have under the retry policy ``safe`` only."""

    _loop: FailoverLoop
    _fence: Fence | None = None

    def put_with_retry(self, key: str, value: str) -> OperationResult:
        """Set a key that is not there."""
        return self.change_with_retry(Change(Kind.CREATE, key, value))

    def delete_with_retry(self, key: str) -> OperationResult:
        """Remove a key; ``affected`` is the number of keys that this removed, None where that is not known."""
        return self.change_with_retry(Change(Kind.DELETE, key))

    def change_with_retry(self, change: Change) -> OperationResult:
        """Make a write of any kind.

        A CAS that found another value than it expected is acknowledged, too: ``affected`` is 0, and ``read`` what it
        found; ``affected`` is None where an earlier attempt of it may have taken effect.
        """
        if self._fence is not None:
            return self._fence.write(change)
        return self._loop.run(change.kind, self._unfenced(change))

    @abstractmethod
    def _unfenced(self, change: Change) -> Attempt:
        """Return an attempt that makes a change as it is; a blind retry makes it again."""

    def _raise_fence(self, policy: FailoverPolicy, identity: ClientIdentity, move: Move, emit: ClientEmit) -> None:
        """Take the client's fence over; one that is made to settle a doubt leaves it where it stands."""
        if policy.retry_policy is RetryPolicy.SAFE:
            self._fence = Fence(identity.name, self._loop, move, emit, ids=identity.ids, doubt=identity.doubt)
            if identity.doubt is None:
                self._fence.take_over()

    def _read(self, attempt: Attempt, kind: Kind = Kind.RETRIEVE) -> OperationResult:
        """Make a read, after what is in doubt is settled."""
        return self._fence.read(attempt, kind) if self._fence is not None else self._loop.run(kind, attempt)

    @property
    def doubt(self) -> Doubt | None:
        """The write that is still to be settled; None but under the retry policy ``safe``."""
        return None if self._fence is None else self._fence.doubt

    def settle(self) -> bool:
        """Settle what is in doubt, within one operation's budget; say whether nothing is in doubt any more."""
        return self._fence is None or self._fence.settle()


class LeaderFinder(Protocol):
    """Tells again and again, at little cost, who leads; closed at the end."""

    def ask(self) -> str | None:
        """Return the leader's name, None where nobody is known to lead."""

    def close(self) -> None:
        """Close its connections."""


class Sampler(Protocol):
    """One member as a watch sees it."""

    def sample(self) -> dict[str, Any]:
        """Return its state now.

        ``reachable`` and ``error`` are always there. Where they mean something to the system: ``id``, ``leader_id``,
        ``term``, ``revision`` (grows with every write, and is equal where the data are), ``state``.
        """

    def close(self) -> None:
        """Give up the connection."""


@dataclass(frozen=True)
class Watched:
    """All members as a watch sees them."""

    samplers: Mapping[str, Sampler]  # by member
    # Compares all data at a revision that every member has reached: {"equal", "revision", "hashes": {member: int or
    # None}, "errors": {member: text}}. None where there is nothing to compare.
    compare: Callable[[int], dict[str, Any]] | None = None
    close: Callable[[], None] = lambda: None  # what ``compare`` had opened


@dataclass(frozen=True)
class Observation:
    """A system as its members describe it."""

    # What experiment.json keeps of it: "healthy", "reasons" (what is wrong, one sentence each), "elapsed_s" and what
    # is the system's own; of one that replicates also "observation" and "leader".
    facts: dict[str, Any]
    reached: bool  # whether it is as it was waited for
    look_at: str  # where a person finds more


class Resumption(NamedTuple):
    """A watch that was begun on a member, or resumed there."""

    endpoint: str
    revision: int  # watched from
    wall_ns: int
    why: str  # what ended the watch on the member before; empty where there was none


class Watcher(ABC):
    """Is told every change of an experiment's keys, by whichever member is there. One thread uses it.

    Making one opens nothing: it may be used in another process then.
    """

    def __init__(self) -> None:
        self.seen_to = 0  # revision up to which all changes were told
        self.gaps: list[tuple[int, int]] = []  # first and last revision of what no member can tell any more
        self.resumptions: list[Resumption] = []
        self.last_error = ""  # why a member could not be watched

    @abstractmethod
    def begin(self, timeout_s: float) -> None:
        """Watch from the next change on; LabError where no member can be watched within the time."""

    @abstractmethod
    def receive(self, timeout_s: float) -> list[WatchRow]:
        """Return the changes that came, waiting for some; none where the time is over.

        What ends the watch on a member is no error: it is resumed on another one as soon as that can be.
        """

    @abstractmethod
    def newest(self, timeout_s: float) -> int | None:
        """Return the revision of the store, as a majority knows it; None where no member tells within the time."""

    @abstractmethod
    def ask_progress(self) -> None:
        """Ask how far the watch is; the answer is in :attr:`seen_to` after a while."""

    @abstractmethod
    def close(self) -> None:
        """Close its connections."""


# What to wait for: nothing, until the system is whole, or until its members have equal data as well.
WAIT_FOR = ("none", "healthy", "converged")


def look_until_reached(look: Callable[[], dict[str, Any]], *, interval_s: float, timeout_s: float) -> dict[str, Any]:
    """Look again and again until what is seen is ``reached`` or the time is over; return it with ``elapsed_s``."""
    started = time.monotonic()
    while True:
        seen = look()
        elapsed_s = time.monotonic() - started
        if seen["reached"] or elapsed_s >= timeout_s:
            return {**seen, "elapsed_s": round(elapsed_s, 3)}
        time.sleep(interval_s)


class System(Protocol):
    """One system: its facts, and what is done with it.

    Members that are unreachable, late or broken are data; what cannot be used as it is given is a LabError.
    """

    name: str  # in YAML, in results, and of the inventory's group
    title: str  # in titles and figures
    phrase: str  # in a sentence
    leader_word: str  # what its leader is called
    several: bool  # replicates: members can be counted, compared, and lose a majority
    member_counts: str  # how many members make sense, for people
    uses_prefix: bool  # keys stand under the experiment's prefix, which may not be empty
    reads: tuple[str, ...]  # what its reads can be (shapes.ReadConsistency), the usual one first
    rejoins: bool  # a member whose server runs again may need to be brought back into its group
    # For the report:
    acknowledges: str  # where an acknowledged write is, as a sentence
    # Throughput behind the fence over that of blind retries, with 1, 8 and 32 clients; empty where nobody measured it.
    fence_price: tuple[float, ...]
    in_memory: bool  # the majority that an acknowledgement rests on need not have the write on disk
    versions: tuple[str, ...]  # what its version, and that of its client's driver, are recorded as
    cover_settings: tuple[str, ...]  # effective settings that decide durability and failover
    # Effective settings, each with the value without which a loss of power takes what was acknowledged.
    durable_with: tuple[tuple[str, str], ...]
    known_bugs: tuple[KnownBug, ...] = ()  # of released versions
    first_version: str  # what a key's version of 1 shows after a DELETE; empty where keys have no version
    own_hash: str  # what it computes itself over its data; empty where that is nothing

    def check(self, target: Target) -> None:
        """Raise LabError where the target lacks what clients need."""

    def client(self, target: Target, policy: FailoverPolicy, emit: ClientEmit, identity: ClientIdentity) -> Client:
        """Connect a client; LabError where its driver is missing or the system cannot be used."""

    def leader(self, target: Target, timeout_s: float) -> LeaderFinder:
        """Return what finds the leader; a member has ``timeout_s`` to answer."""

    def watch(self, target: Target, *, sample_timeout_s: float, compare_timeout_s: float) -> Watched:
        """Return what samples each member and compares all data."""

    def watcher(self, target: Target, key_prefix: str, policy: FailoverPolicy) -> Watcher | None:
        """Return what is told every change under a prefix; None where the system offers nothing like that."""
        return None

    def why_not_whole(self, state: Mapping[str, Any]) -> str | None:
        """Say why a member that answers a sample is no full one; None where it is."""
        return None

    def empty(self, target: Target, key_prefix: str, *, longest_value: int, dry_run: bool) -> dict[str, Any]:
        """Remove what an experiment will write to: ``removed``, ``created`` (its table), ``endpoint``.

        :param longest_value: characters that a key may come to hold
        """

    def dump(self, target: Target, member: str, key_prefix: str, dest: Path, *, write: bool) -> dict[str, Any]:
        """Write every key of one member to a file, as :mod:`.dump_file` says."""

    def observe(self, target: Target, wait_for: str, timeout_s: float) -> Observation:
        """Observe the system until it is as wanted (:data:`WAIT_FOR`) or the time is over."""

    def alarms(self, members: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
        """Return the alarms that an observation's members report, each with the member that raised it."""
        return []

    def executed(self, observed: Mapping[str, Any], members: Sequence[str]) -> dict[str, Container[str]]:
        """Return the transactions that each member says it executed and can pass on, as clients record them.

        LabError where what it says cannot be read. Members that say nothing are missing.

        :param observed: as in experiment.json, before or after
        """
        return {}

    def events(
        self, logs: Mapping[str, Sequence[str]], members: Mapping[str, Mapping[str, Any]], ids: Mapping[str, str]
    ) -> list[Event]:
        """Return what the servers' logs tell.

        :param logs: lines by member; :param members: as in Target; :param ids: member by the id it had when observed
        """

    def waits(self, fault: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, str]:
        """Name the settings that bound the servers' waits of an outage, by wait (see report/outage/lanes).

        :param fault: as the report tells it
        :param settings: the recorded ones, names in lower case with underscores
        """
        return {}

    def refused(self, error: str) -> bool:
        """Say whether an attempt that ended with this error, as its client writes it, certainly had no effect."""


def need_account(target: Target) -> None:
    """Raise LabError where user, password or database is missing."""
    if target.lacking:
        raise LabError(
            f"system is {target.system}, and {', '.join(target.lacking)} of its account is missing: give the account "
            "of the workload"
        )
