# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The toy, as the lab drives, watches and judges it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from failover.shapes import ClientEmit, Event, LabError, Target
from failover.systems.base import Client, ClientIdentity, LeaderFinder, Observation, System, Watched
from failover.systems.dump_file import header, unavailable, write_dump
from failover.systems.loop import FailoverPolicy

from .client import ToyClient, ask

TIMEOUT_S = 1.0
EVENTS = {"started": "server.started", "stopped": "server.stopped"}


class ToySampler:
    """Whether it answers."""

    def __init__(self, endpoint: str, timeout_s: float) -> None:
        self._endpoint, self._timeout_s = endpoint, timeout_s

    def sample(self) -> dict[str, Any]:
        """Return its state now."""
        try:
            ask(self._endpoint, self._timeout_s, "keys")
        except OSError as error:
            return {"reachable": False, "error": str(error)}
        return {"reachable": True, "error": None}

    def close(self) -> None:
        """Nothing is kept open."""


class OnlyToy:
    """There is one."""

    def __init__(self, name: str) -> None:
        self._name = name

    def ask(self) -> str:
        """Return its name."""
        return self._name

    def close(self) -> None:
        """Nothing is kept open."""


class Toy(System):
    """One dictionary."""

    name = "toy"
    title = phrase = "Toy"
    leader_word = "server"
    several = False
    member_counts = "1"
    uses_prefix = True
    reads = ("linearizable",)
    rejoins = False
    fence_price = ()
    acknowledges = "A toy has it in its memory."
    in_memory = False
    versions = cover_settings = ()
    first_version = own_hash = ""
    durable_with = ()

    def check(self, target: Target) -> None:
        """Nothing can be missing."""

    def client(self, target: Target, policy: FailoverPolicy, emit: ClientEmit, identity: ClientIdentity) -> Client:
        """Make a client."""
        return ToyClient(list(target.endpoints), policy, emit, identity)

    def leader(self, target: Target, timeout_s: float) -> LeaderFinder:
        """Name it."""
        return OnlyToy(next(iter(target.members)))

    def watch(self, target: Target, *, sample_timeout_s: float, compare_timeout_s: float) -> Watched:
        """Ask it for its keys."""
        return Watched({member: ToySampler(given, sample_timeout_s) for member, given in target.addresses.items()})

    def empty(self, target: Target, key_prefix: str, *, longest_value: int, dry_run: bool) -> dict[str, Any]:
        """Delete the keys under the prefix, one by one."""
        (endpoint,) = target.endpoints
        try:
            keys = [key for key in ask(endpoint, TIMEOUT_S, "keys")["keys"] if key.startswith(key_prefix)]
            for key in [] if dry_run else keys:
                ask(endpoint, TIMEOUT_S, "change", kind="DELETE", key=key, value=None)
        except OSError as error:
            raise LabError(f"{endpoint} could not be emptied: {error}") from error
        return {"removed": len(keys), "created": False, "endpoint": endpoint}

    def dump(self, target: Target, member: str, key_prefix: str, dest: Path, *, write: bool) -> dict[str, Any]:
        """Write its keys."""
        try:
            found = ask(target.addresses[member], TIMEOUT_S, "keys")["keys"]
        except OSError as error:
            return unavailable(member, dest, str(error), write=write)
        rows = [
            (key.removeprefix(key_prefix), value, None, None)
            for key, value in sorted(found.items())
            if key.startswith(key_prefix)
        ]
        return write_dump(dest, header(member, self.name, key_prefix, len(rows), None), iter(rows), write=write)

    def observe(self, target: Target, wait_for: str, timeout_s: float) -> Observation:
        """Look whether it answers."""
        (state,) = (ToySampler(given, timeout_s).sample() for given in target.addresses.values())
        reasons = [] if state["reachable"] else [f"it does not answer: {state['error']}"]
        facts = {**state, "healthy": not reasons, "reasons": reasons, "elapsed_s": 0.0}
        return Observation(facts, wait_for == "none" or not reasons, "its log")

    def events(
        self, logs: Mapping[str, Sequence[str]], members: Mapping[str, Mapping[str, Any]], ids: Mapping[str, str]
    ) -> list[Event]:
        """Read its log: a stamp and a word each line."""
        return [
            Event(int(line.split()[0]), member, EVENTS[line.split()[1]]) for member, log in logs.items() for line in log
        ]

    def refused(self, error: str) -> bool:
        """Nobody hears a request where nothing listens."""
        return error == "connection refused"
