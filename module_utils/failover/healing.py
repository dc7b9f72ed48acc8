# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Heals faults and watches the members until they are equal again, with the time of each phase.

Durations count from the moment the heal was requested, on this host's monotonic clock. Stamps of the agents are moved
onto this host's wall clock by the offset measured right before (see agent.wire.ClockOffset).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from .actions.record import group_events, heal_events
from .agent.wire import DETAILS_TIMEOUT_S, AgentClient, AgentError, ClockOffset
from .clock import CLOCK
from .etcd_http import EtcdHttp, EtcdUnreachableError, compare_data, why_different
from .group_replication import GroupMember, addresses_of, compare_tables, describe, is_online
from .mysql_observe import MySQLAddress, greeting_version
from .shapes import Event, LabError, place_event

# A member that does not answer a sample within this time is sampled as unreachable, in s.
SAMPLE_TIMEOUT_S = 0.5
# An agent that cannot be asked is asked again after this time, and for so long, in s: systemd restarts it within 10.
AGENT_RETRY_S = 0.5
AGENT_PATIENCE_S = 30.0
# A member of a group that is no full one so long after the heal is brought back once more, in s: it may be expelled
# just then, for what it missed before.
WHOLE_AGAIN_S = 5.0
# Kept of the time for the agents' answers, in s: an agent says better why a member is not back than silence does.
ANSWER_S = 2.0
# Hashing all data is work for the members: where it differed, it is done again after this time, in s.
HASH_RETRY_S = 0.1


def is_whole(state: Mapping[str, Any]) -> bool:
    """Whether a sampled member of a group is a full one that knows its primary; a silent one is another matter."""
    return not state["reachable"] or (is_online(state) and state["leader_id"] is not None)


class Watched(Protocol):
    """One member as the watch sees it."""

    def sample(self) -> dict[str, Any]:
        """Return its state now; ``reachable`` and ``error`` are always there."""

    def close(self) -> None:
        """Give up the connection."""


class EtcdWatched:
    """An etcd member, by its status."""

    def __init__(self, url: str) -> None:
        self.client = EtcdHttp(url, SAMPLE_TIMEOUT_S)

    def sample(self) -> dict[str, Any]:
        """Return revision, indexes, term and leader."""
        try:
            status = self.client.status()
        except EtcdUnreachableError as error:
            return {"reachable": False, "error": str(error)}
        return {
            "reachable": True,
            "error": None,
            "id": status.member_id,
            "leader_id": status.leader_id,
            "term": status.term,
            "revision": status.revision,
            "raft_index": status.raft_index,
            "applied_index": status.applied_index,
        }

    def close(self) -> None:
        """Close the connection."""
        self.client.close()


class MySQLWatched:
    """A MySQL server, by its greeting, which is asked for only until it comes once."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise LabError(f"{address!r} is not an address of a MySQL server. It should look like 10.0.0.21:3306.")
        self._host, self._port = host, int(port)
        self._last: dict[str, Any] = {"reachable": False, "error": "not asked yet"}

    def sample(self) -> dict[str, Any]:
        """Return whether it accepts connections, and its version."""
        if not self._last["reachable"]:
            try:
                version = greeting_version(self._host, self._port, SAMPLE_TIMEOUT_S)
                self._last = {"reachable": True, "error": None, "version": version}
            except OSError as error:
                self._last = {"reachable": False, "error": (error.strerror or str(error)).lower()}
        return self._last

    def close(self) -> None:
        """Nothing is kept open."""


class GroupWatched:
    """A member of Group Replication, by its own view of the group."""

    def __init__(self, address: MySQLAddress) -> None:
        self._member = GroupMember(address)

    def sample(self) -> dict[str, Any]:
        """Return its state, role and term, the primary it follows, and the number of its transactions as revision."""
        return describe(self._member.view())

    def close(self) -> None:
        """Close the connection."""
        self._member.close()


@dataclass(frozen=True)
class MySQLAccount:
    """As whom the members of a group are watched, and what they are compared by."""

    user: str
    password: str = field(repr=False)
    table: str  # "database.table"


@dataclass
class _Healed:
    """What one agent answered."""

    records: list[dict[str, Any]] = field(default_factory=list)
    earlier: list[dict[str, Any]] = field(default_factory=list)
    clock: ClockOffset = field(default_factory=lambda: ClockOffset(0, 0))
    error: str | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)  # what brought back a member that held no fault
    lacks: str | None = None  # why such a member is not back


class Healer:
    """Heals and watches once; :meth:`run` does it all."""

    def __init__(
        self,
        agents: Mapping[str, str],
        key: bytes,
        system: str,
        endpoints: Mapping[str, str],
        *,
        timeout_s: float,
        sample_interval_ms: float,
        source: str,
        account: MySQLAccount | None = None,
    ) -> None:
        """Say whom to ask and whom to watch.

        :param agents: member -> "address:port" of its fault agent
        :param endpoints: member -> client URL (etcd) or "address:port"
        :param source: who stamps the samples
        :param account: needed for mysql_cluster
        """
        self._agents = {member: AgentClient(member, address, key) for member, address in agents.items()}
        self._hashers: dict[str, EtcdHttp] = {}
        # How the members' data are compared at a revision that all have reached; a single server has no other.
        self._compare: Callable[[int], dict[str, Any]] | None = None
        self._watched: dict[str, Watched] = {}
        try:
            if system == "etcd":
                self._watched = {member: EtcdWatched(url) for member, url in endpoints.items()}
                self._hashers = {member: EtcdHttp(url, timeout_s) for member, url in endpoints.items()}
                self._compare = partial(compare_data, self._hashers)
            elif account is not None:
                addresses = addresses_of(endpoints, account.user, account.password)
                self._watched = {member: GroupWatched(address) for member, address in addresses.items()}
                slower = {member: replace(address, timeout_s=timeout_s) for member, address in addresses.items()}
                self._compare = partial(compare_tables, slower, account.table)
            else:
                self._watched = {member: MySQLWatched(address) for member, address in endpoints.items()}
        except ValueError as error:
            raise LabError(str(error)) from None
        self._in_group = account is not None
        self._timeout_s = timeout_s
        self._interval_s = sample_interval_ms / 1000
        self._source = source
        self._stop = threading.Event()
        self._latest: dict[str, tuple[int, dict[str, Any]]] = {}  # member -> (monotonic_ns asked, state)
        self._samples: list[dict[str, Any]] = []
        self.events: list[Event] = []

    def run(
        self, faults: Sequence[str] | None, *, converge: bool = True, records_of: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Heal the given faults (None: all that are held) and wait until the members are equal or the time is over.

        :param converge: False ends when the agents have healed, whatever the members are
        :param records_of: tokens of faults whose end or heal nobody has seen yet; what came back by itself meanwhile,
            as after a restart, is not healed here, and its record would be heard of by nobody
        :returns: ``healed`` (records of the agents, each with ``phases_ms``), ``earlier`` (those of ``records_of`` that
            were healed before), ``errors`` (member -> text), ``converged`` (None where nobody waited for it),
            ``duration_ms``, ``reasons`` (why not), ``samples``, ``revision``, ``hashes``, ``started_wall_ns`` and
            ``rejoined`` (steps that brought members without a fault back into their group: {member, act, why, wall_ns};
            those of a fault's heal are ``group_steps`` of its record).
        """
        samplers = [
            threading.Thread(target=self._sample, args=(member,), name=f"sample-{member}", daemon=True)
            for member in self._watched
        ]
        started_wall_ns, started_ns = CLOCK.now_ns(), time.monotonic_ns()
        deadline = time.monotonic() + self._timeout_s
        for sampler in samplers:
            sampler.start()
        with ThreadPoolExecutor(max_workers=max(1, len(self._agents))) as pool:
            whole = converge and self._in_group
            asked = {m: pool.submit(self._heal, m, faults, records_of, deadline, whole) for m in self._agents}
            answers: dict[str, list[Future[_Healed]]] = {m: [answer] for m, answer in asked.items()}
            healed_ns: int | None = None
            compared: dict[str, Any] = {}
            reasons = ["nothing was looked at"]
            while True:
                if healed_ns is None and all(answer.done() for answer in asked.values()):
                    healed_ns = time.monotonic_ns()
                if healed_ns is not None and not converge:
                    reasons = ["nobody waited for it"]
                    break
                states = self._note_sample()
                took_ms = (time.monotonic_ns() - started_ns) / 1e6  # hashing only proves what was so by now
                reasons = self._why_unequal(states, healed_ns)
                if not reasons and self._compare is not None:
                    compared = self._compare(states[next(iter(states))]["revision"])
                    reasons = why_different(compared)
                    if reasons:
                        time.sleep(HASH_RETRY_S)
                if not reasons or time.monotonic() >= deadline:
                    break
                if whole and healed_ns is not None and time.monotonic_ns() - healed_ns > WHOLE_AGAIN_S * 1e9:
                    # One whose heal failed is healed again; of the others nothing is held any more.
                    again: dict[str, Sequence[str] | None] = {
                        m: faults if failed else []
                        for m in answers
                        if (failed := answers[m][-1].result().error is not None) or not is_whole(states[m])
                    }
                    asked = {m: pool.submit(self._heal, m, f, (), deadline, whole) for m, f in again.items()}
                    for m, answer in asked.items():
                        answers[m].append(answer)
                    healed_ns = None if again else healed_ns
                time.sleep(self._interval_s)
            self._stop.set()
            told = {member: [answer.result() for answer in given] for member, given in answers.items()}
        for sampler in samplers:
            sampler.join()
        closing: list[AgentClient | Watched | EtcdHttp] = [
            *self._agents.values(),
            *self._watched.values(),
            *self._hashers.values(),
        ]
        for connection in closing:
            connection.close()

        converged = not reasons
        duration_ms = took_ms if converged else None
        healed = []
        rejoined = []
        earlier = []
        for member, given in told.items():
            for answer_given in given:
                for record in answer_given.records:
                    self._note_heal(record)
                    phases = self._phases(record, answer_given.clock, started_wall_ns)
                    healed.append(record | {"phases_ms": phases | {"converged": duration_ms}})
                rejoined += [{"member": member, **step} for step in answer_given.steps]
                for name, data in group_events(member, answer_given.steps, None):
                    self.events.append(place_event(name, data, member))
                earlier += answer_given.earlier
            if given[-1].lacks is not None and not converged:
                reasons = [*reasons, given[-1].lacks]
        for record in earlier:
            self._note_heal(record)
        if converged:
            data = {"duration_ms": duration_ms, "revision": compared.get("revision"), "hashes": compared.get("hashes")}
            self.events.append(Event(started_wall_ns + int(took_ms * 1e6), self._source, "cluster.converged", data))
        self.events.sort(key=lambda event: event.wall_ns)
        return {
            "healed": healed,
            "earlier": earlier,
            "errors": {member: given[-1].error for member, given in told.items() if given[-1].error},
            "converged": converged if converge else None,
            "duration_ms": duration_ms,
            "reasons": reasons,
            "samples": self._samples,
            "revision": compared.get("revision"),
            "hashes": compared.get("hashes"),
            "started_wall_ns": started_wall_ns,
            "clock_base_ns": CLOCK.base_ns,
            "rejoined": rejoined,
        }

    # ------------------------------------------------------------ healing

    def _heal(
        self, member: str, faults: Sequence[str] | None, records_of: Sequence[str], deadline: float, whole: bool
    ) -> _Healed:
        """Have one agent heal; one that cannot be reached is asked again for a while.

        :param whole: the agent brings a member of a group back into it, too, whether it held a fault or not
        """
        client, answer = self._agents[member], _Healed()
        patient_until = min(deadline, time.monotonic() + AGENT_PATIENCE_S)
        fields: dict[str, Any] = {"records_of": list(records_of)} | ({} if faults is None else {"faults": list(faults)})
        if whole:
            fields["whole_within_s"] = max(0.0, deadline - time.monotonic() - ANSWER_S)
        while True:
            try:
                reply = client.request("heal", fields, timeout_s=max(0.1, deadline - time.monotonic()))
                if reply["ok"]:
                    answer.clock, _ = client.measure_clock()
                    answer.records, answer.error = reply["records"], None
                    # An agent of before these were there has none.
                    answer.earlier, answer.steps = reply.get("earlier", []), reply.get("steps", [])
                    answer.lacks = reply.get("lacks")
                else:
                    answer.error = reply["error"]
                return answer
            except AgentError as error:
                answer.error = str(error)
            if self._stop.wait(AGENT_RETRY_S) or time.monotonic() >= patient_until:
                return answer

    def _note_heal(self, record: Mapping[str, Any]) -> None:
        if record["healed_wall_ns"] is not None:
            steps = record.get("group_steps", [])
            for name, data in group_events(record["member"], steps, record["fault"]):
                self.events.append(place_event(name, data, record["member"]))
        for name, wall_ns in heal_events(record):
            data = {key: record[key] for key in ("fault", "member", "action")} | {"by": record["healed_by"]}
            self.events.append(Event(wall_ns, record["member"], name, data))

    def _phases(self, record: Mapping[str, Any], clock: ClockOffset, started_wall_ns: int) -> dict[str, float | None]:
        """Return when each step of a member's return was over, in ms since the heal was requested here."""

        def since(wall_ns: int | None) -> float | None:
            return None if wall_ns is None else (wall_ns - started_wall_ns) / 1e6

        def stamped(name: str) -> float | None:
            return None if record[name] is None else since(record[name] - clock.offset_ns)

        member = record["member"]
        seen = {"first_answer": None, "leader_known": None, "caught_up": None}
        # A member that is still going down when its heal is requested may answer once more: that is not its return.
        back_ns = (record["process_started_wall_ns"] or 0) - clock.offset_ns - clock.uncertainty_ns
        for sample in self._samples:
            state = sample["members"].get(member, {})
            if not state.get("reachable") or sample["wall_ns"] < back_ns:
                continue
            revisions = [other.get("revision", 0) for other in sample["members"].values()]
            reached = {
                "first_answer": True,
                "leader_known": state.get("leader_id") is not None,
                "caught_up": "revision" in state and state["revision"] >= max(revisions),
            }
            for name, yes in reached.items():
                if yes and seen[name] is None:
                    seen[name] = sample["wall_ns"]
        return {
            "heal_received": stamped("heal_requested_wall_ns"),
            "process_started": stamped("process_started_wall_ns"),
            "active": stamped("healed_wall_ns"),
            **{name: since(wall_ns) for name, wall_ns in seen.items()},
        }

    # ------------------------------------------------------------ watching

    def _sample(self, member: str) -> None:
        """Look at one member again and again; runs on a thread of its own, so that none waits for another."""
        watched = self._watched[member]
        while not self._stop.is_set():
            asked_ns = time.monotonic_ns()
            self._latest[member] = (asked_ns, watched.sample())
            self._stop.wait(max(0.001, self._interval_s - (time.monotonic_ns() - asked_ns) / 1e9))

    def _note_sample(self) -> dict[str, dict[str, Any]]:
        """Keep the members' states where something changed; return them."""
        states = {member: dict(state) for member, (_, state) in sorted(self._latest.items())}
        names = {state["id"]: member for member, state in states.items() if "id" in state}
        for state in states.values():
            if "leader_id" in state:
                state["leader"] = names.get(state["leader_id"] or "", state["leader_id"])
        if states and (not self._samples or states != self._samples[-1]["members"]):
            wall_ns = CLOCK.now_ns()
            self._samples.append({"wall_ns": wall_ns, "members": states})
            self.events.append(Event(wall_ns, self._source, "cluster.sample", {"members": states}))
        return states

    def _why_unequal(self, states: Mapping[str, Mapping[str, Any]], healed_ns: int | None) -> list[str]:
        """Return what keeps the members from being equal, as far as their samples tell; empty where nothing does."""
        if healed_ns is None:
            return ["the heal has not ended"]
        old = [m for m in self._watched if m not in self._latest or self._latest[m][0] < healed_ns]
        if old:
            return [f"{member} has not been looked at since the heal" for member in old]
        reasons = [f"{m} does not answer: {state['error']}" for m, state in states.items() if not state["reachable"]]
        if reasons:
            return reasons
        reasons = [f"{m} is {state['state'].lower()}" for m, state in states.items() if not is_online(state)]
        for name, words in (("leader", "follow different leaders"), ("revision", "are at different revisions")):
            values = {member: state[name] for member, state in states.items() if name in state}
            if len(set(values.values())) > 1:
                reasons.append(f"the members {words}: " + ", ".join(f"{m} {value}" for m, value in values.items()))
            reasons += [f"no leader is known to {member}" for member, value in values.items() if value is None]
        return reasons


def list_held(agents: Mapping[str, str], key: bytes, faults: Sequence[str] | None) -> dict[str, Any]:
    """Return what :meth:`Healer.run` would heal: the same fields, with ``held`` and without doing anything."""
    held, errors = [], {}
    for member, address in agents.items():
        client = AgentClient(member, address, key)
        try:
            reply = client.request("status", {"details": True}, timeout_s=DETAILS_TIMEOUT_S)
        except AgentError as error:
            errors[member] = str(error)
            continue
        finally:
            client.close()
        if not reply["ok"]:
            errors[member] = reply["error"]
            continue
        held += [
            {"member": member, "fault": record["fault"], "action": record["action"]}
            for record in reply["records"]
            if record["held"] and (faults is None or record["fault"] in faults)
        ]
    return {
        "changed": bool(held),
        "held": held,
        "healed": [],
        "earlier": [],
        "errors": errors,
        "converged": None,
        "duration_ms": None,
        "reasons": [],
        "samples": [],
        "revision": None,
        "hashes": None,
        "started_wall_ns": CLOCK.now_ns(),
        "clock_base_ns": CLOCK.base_ns,
        "rejoined": [],
    }


def append_events(path: str, events: Iterable[Event]) -> None:
    """Append events to a file, one JSON object a line; LabError where the disk does not take them."""
    try:
        with open(path, "a", encoding="utf-8") as file:
            for event in events:
                file.write(json.dumps(event.as_dict(), separators=(",", ":")) + "\n")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise LabError(
            f"Events cannot be written to {path}: {reason}. Free space there, or choose another path."
        ) from None
