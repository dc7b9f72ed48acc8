# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Faults as data, and the director that lands them at their operation index.

A fault in an experiment's YAML is ``{action, target, at, heal}``, with the keys of its action where it has some;
:func:`resolve_plan` turns it into FaultSpecs, one for each member that it is about. The
:class:`FaultDirector` lives in the load generator's process: armed before the workload, told of every operation by
``on_index``, it finds the target when the index comes and has the agent on the target's host fire.
"""

from __future__ import annotations

import queue
import re
import secrets
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from concurrent.futures import TimeoutError as FuturesTimeoutError
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from .actions.record import AGENT_FIELDS, group_events, heal_events, take_over_end, take_over_heal
from .actions.registry import ACTIONS, takes_away
from .agent.wire import (
    DETAILS_TIMEOUT_S,
    GONE_TIMEOUT_S,
    JOIN_TIMEOUT_S,
    START_TIMEOUT_S,
    AgentClient,
    AgentError,
    ClockOffset,
)
from .clock import CLOCK
from .quorum import ROLES, MajorityKept, is_settled, leader_of
from .shapes import Emit, FaultSpec, LabError
from .workloads.stream import cut_stream

# Targets of several members, which become a fault each.
SEVERAL = ("majority", "all")
# Keys of a fault's data: those of any, and those that belong to one action.
OWN_KEYS = tuple(option.key for action in ACTIONS.values() for option in action.options)
FAULT_KEYS = ("action", "target", "at", "heal", "keep_majority", *OWN_KEYS)

# How long the director tries to hit a target whose role moves before the fault counts as missed, in s.
AIM_TIMEOUT_S = 2.0
# How long it waits for the members' roles in one attempt; a member that hangs must not delay a fault longer, in s.
ROLES_TIMEOUT_S = 0.25
# How often it asks what followed: whether the process is gone and who leads now, in s. Precise times come from the
# agent's stamps and from the servers' logs.
FOLLOW_INTERVAL_S = 0.05
# How long it waits for a new leader, in s: etcd's slowest election in a healthy network is a few of its timeouts (1 s);
# Group Replication notices a killed primary after 5 s, expels it after 5 more, and took 21 s in all when measured.
ELECTION_TIMEOUT_S = 60.0
# How long a heal in the middle of the workload may take, in s: the process must end, start, and come into its group.
HEAL_TIMEOUT_S = GONE_TIMEOUT_S + START_TIMEOUT_S + JOIN_TIMEOUT_S
# Bounds of the time between keepalives, in s; within them a tenth of the time that agents hold a fault.
KEEPALIVE_BOUNDS_S = (0.2, 5.0)

# ---------------------------------------------------------------- data


def resolve(fault: Mapping[str, Any], operations: int, members: Sequence[str], index_of_fault: int = 0) -> FaultSpec:
    """Check one fault of an experiment and place it in its stream.

    :param operations: length of the stream
    :param members: names of the system's members
    :param index_of_fault: position in the experiment's list, from 0; it makes the id ("F1")
    """
    name = f"Fault {index_of_fault + 1}"
    if not isinstance(fault, Mapping):
        raise LabError(f"{name} is {fault!r}: it must have the keys {', '.join(FAULT_KEYS)}.")
    unknown = [str(key) for key in fault if key not in FAULT_KEYS]
    if unknown:
        raise LabError(f"{name} has the unknown key {', '.join(unknown)}. Known are {', '.join(FAULT_KEYS)}.")
    missing = [key for key in ("action", "target", "at") if key not in fault]
    if missing:
        raise LabError(f"{name} lacks {', '.join(missing)}. Write it like {{action: stop, target: leader, at: 12%}}.")
    action, target, heal = fault["action"], fault["target"], fault.get("heal", "end")
    if action not in tuple(ACTIONS):  # it may be anything, and a list has no hash
        raise LabError(f"{name} has the unknown action {action!r}. Known are {', '.join(ACTIONS)}.")
    if target not in (*ROLES, *SEVERAL, *members):
        known = ", ".join([*ROLES, *SEVERAL, *members])
        raise LabError(f"{name} has the unknown target {target!r}. Known are {known}.")
    if target in ("follower", "majority") and len(members) < 2:
        raise LabError(f"{name} targets a {target}, and a system of one member has none. Try target: leader.")
    at_index = _resolve_index(name, fault["at"], operations)
    placed = FaultSpec(f"F{index_of_fault + 1}", action, target, at_index, **_resolve_heal(name, heal, operations))
    keep_majority = fault.get("keep_majority", False)
    if not isinstance(keep_majority, bool):
        raise LabError(f"{name}: keep_majority is {keep_majority!r}, and has to be true or false.")
    if keep_majority and (len(members) < 3 or target in SEVERAL):
        raise LabError(
            f"{name}: no majority can be left of {len(members)} members without {target}. Leave keep_majority out."
        )
    placed = replace(placed, keep_majority=keep_majority)
    if placed.heal_index is not None and placed.heal_index <= at_index:
        raise LabError(
            f"{name} strikes at operation {at_index:,} and heals at {placed.heal_index:,}, which is not after it. "
            "Try a later heal, a delay like 2s, or end."
        )
    if ACTIONS[action].comes_back and heal != "end":
        raise LabError(f"{name}: a {action} comes back by itself, and heal is {heal!r}. Leave heal out.")
    for other in ACTIONS.values():
        foreign = [option.key for option in other.options if option.key in fault and other.name != action]
        if foreign:
            raise LabError(f"{name}: {', '.join(foreign)} belongs to the action {other.name}, and this is a {action}.")
    return replace(placed, **ACTIONS[action].resolve(name, fault, len(members)))


def _resolve_heal(name: str, heal: Any, operations: int) -> dict[str, Any]:
    """Return the fields of a FaultSpec for ``end``, an index or a share like that of ``at``, or ``500ms`` or ``2s``."""
    if heal == "end":
        return {"heal": "end"}
    delay = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s)\s*", heal) if isinstance(heal, str) else None
    if delay is not None:
        after_ms = float(delay[1]) * (1000 if delay[2] == "s" else 1)
        if after_ms <= 0:
            raise LabError(f"{name} heals after {heal}: give a time above 0, like 500ms.")
        return {"heal": "delay", "heal_after_ms": after_ms}
    try:
        return {"heal": "index", "heal_index": _resolve_index(name, heal, operations)}
    except LabError:
        raise LabError(
            f"{name} has the unknown heal {heal!r}. Known are end, an operation index or a share like 40% within the "
            f"stream ({operations:,} operations), and a delay like 500ms or 2s."
        ) from None


def _resolve_index(name: str, at: Any, operations: int) -> int:
    """Return the operation index meant by ``12%`` (rounded down) or by a number."""
    percent = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", at) if isinstance(at, str) else None
    if percent is not None:
        index = int(operations * float(percent[1]) / 100)
    elif isinstance(at, str) and re.fullmatch(r"\d+", at):
        index = int(at)
    elif isinstance(at, int) and not isinstance(at, bool) and at >= 0:
        index = at
    else:
        raise LabError(f"{name} strikes at {at!r}: give an operation index from 0 on, or a percentage like 12%.")
    if index >= operations:
        raise LabError(
            f"{name} strikes at {at}, beyond the stream: its {operations:,} operations have the indexes 0 to "
            f"{operations - 1:,}. Try an earlier one, or more iterations."
        )
    return index


def resolve_repeats(
    faults_of: Callable[[int], Sequence[Mapping[str, Any]]], operations: int, members: Sequence[str], repeats: int
) -> list[FaultSpec]:
    """Resolve the faults of all repeats of an experiment, each within its own slice of the stream.

    :param faults_of: repeat, from 1 -> its faults as data
    :param operations: length of the whole stream
    """
    plan = []
    for repeat, part in enumerate(cut_stream(operations, repeats), 1):
        specs = resolve_plan(faults_of(repeat), len(part), members)
        if repeats > 1:
            _check_repeatable(specs, len(members))
        for spec in specs:
            heal_index = None if spec.heal_index is None else part.start + spec.heal_index
            plan.append(
                replace(
                    spec,
                    id=f"{spec.id}@{repeat}" if repeats > 1 else spec.id,
                    at_index=part.start + spec.at_index,
                    heal_index=heal_index,
                    repeat=repeat,
                )
            )
    return plan


def _check_repeatable(specs: Sequence[FaultSpec], members: int) -> None:
    """Raise LabError where so many members are taken away at once that they have nothing to come back to.

    A role may mean another member at each fault, so that two faults on the leader count as two members. How many
    operations a delay lasts for nobody knows; it counts where the faults begin together.
    """
    ending = [
        spec
        for spec in specs
        if (action := ACTIONS[spec.action]).ends_process or action.may_end_process
        if not action.comes_back and not spec.keep_majority
    ]
    for last in ending:
        away = [spec for spec in ending if spec.at_index <= last.at_index < _until(spec)]
        named = {spec.target for spec in away if role_of(spec.target) is None}
        count = len(named) + sum(1 for spec in away if role_of(spec.target) is not None)
        if members > 1 and (members - count) * 2 <= members:
            numbers = list(dict.fromkeys(fault_of(spec.id)[1:] for spec in away))
            raise LabError(
                f"Fault {' and '.join(numbers)}: {count} of {members} members taken away at once cannot be repeated, "
                "as no quorum is left that they could come back to. Leave repeats out, or try target: leader alone."
            )


def _until(spec: FaultSpec) -> float:
    """Return the first operation of the slice at which a fault is over, as far as its data says."""
    if spec.heal == "index" and spec.heal_index is not None:
        return spec.heal_index
    return spec.at_index + 1 if spec.heal == "delay" else float("inf")


def resolve_plan(faults: Sequence[Mapping[str, Any]], operations: int, members: Sequence[str]) -> list[FaultSpec]:
    """Resolve the faults of one repeat, in the order of the data.

    One on several members becomes one for each, with ids like F1.1: ``all`` names them, a ``majority`` is the leader
    and as many followers as it takes.
    """
    plan = []
    for position, fault in enumerate(faults):
        spec = resolve(fault, operations, members, position)
        targets = {
            "all": list(members),
            "majority": ["leader", *(rank(number) for number in range(1, len(members) // 2 + 1))],
        }.get(spec.target)
        if targets is None:
            plan.append(spec)
        else:
            plan += [replace(spec, id=f"{spec.id}.{n}", target=target) for n, target in enumerate(targets, 1)]
    return plan


def read_plan(faults: Sequence[Mapping[str, Any]], operations: int) -> list[FaultSpec]:
    """Return the faults of a plan that was resolved elsewhere and came here as data; LabError where it did not.

    :param operations: length of the stream
    """
    plan = []
    for number, fault in enumerate(faults, 1):
        try:
            spec = FaultSpec(**fault)
            fits = spec.action in ACTIONS and 0 <= spec.at_index < operations
        except TypeError:
            fits = False
        if not fits:
            raise LabError(
                f"Fault {number} is {dict(fault)!r}, which does not fit a plan for {operations:,} operations. Give the "
                "faults as experiment_plan_info returns them for the same iterations."
            )
        plan.append(spec)
    return plan


def fault_of(spec_id: str) -> str:
    """Return the fault of the data that a spec is a part of: F1 for F1, F1.2, F1@3 and F1.2@3."""
    return re.split("[.@]", spec_id, maxsplit=1)[0]


def rank(number: int) -> str:
    """Return the target that means the first, second, ... follower by name."""
    return "follower" if number == 1 else f"follower {number}"


def role_of(target: str) -> str | None:
    """Return the role that a target asks for, None where it is a member's name."""
    word = target.partition(" ")[0]
    return word if word in ROLES else None


# ---------------------------------------------------------------- targets


def choose_target(target: str, statuses: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return the member that a fault's target means now, or None where there is none.

    Followers are counted by name, so that the same state gives the same choice.
    """
    role = role_of(target)
    if role == "leader":
        return leader_of(statuses)
    if role == "follower":
        followers = sorted(member for member, status in statuses.items() if status["role"] == "follower")
        number = int(target.partition(" ")[2] or 1)
        return followers[number - 1] if number <= len(followers) else None
    return target


# ---------------------------------------------------------------- the director


class _Link:
    """What the director knows of one agent: a connection for faults, one for keepalives, and its clock."""

    def __init__(self, member: str, address: str, key: bytes) -> None:
        self.member = member
        self.key = key
        self.main = AgentClient(member, address, key)
        self.keep = AgentClient(member, address, key)
        self.clock = ClockOffset(0, 0)
        self.hold_ttl_s = 0.0

    def close(self) -> None:
        self.main.close()
        self.keep.close()


class FaultDirector:
    """Fires the faults of a plan at their operation indexes, and holds them as long as it lives.

    ``emit(name, data)`` is called from several threads. Use: ``arm()``, ``on_index(i)`` before operation i is
    invoked, ``close()``.
    """

    def __init__(self, plan: Sequence[FaultSpec], agents: Mapping[str, str], key: bytes, emit: Emit) -> None:
        """:param agents: member -> "address:port" of the agents of the whole system."""
        self._plan = sorted(plan, key=lambda spec: spec.at_index)
        self._emit = emit
        self._links = {member: _Link(member, address, key) for member, address in agents.items()}
        self._run = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._over = threading.Event()  # the workload has ended
        self._records = {spec.id: self._blank(spec) for spec in plan}
        self._order = [spec.id for spec in plan]
        # Made at once, used at the fault: a thread that must be started first costs time there.
        self._pool = ThreadPoolExecutor(max_workers=4 * max(1, len(agents)), thread_name_prefix="fault-ask")
        self._queues: dict[str, queue.SimpleQueue[tuple[int, int] | None]] = {}
        self._threads: list[threading.Thread] = []
        self._healers: list[threading.Thread] = []  # of the faults that heal before the end
        self._settled = {spec.id: threading.Event() for spec in plan}  # fired, or missed
        self._heal_calls: dict[str, queue.SimpleQueue[int | None]] = {
            spec.id: queue.SimpleQueue() for spec in plan if spec.heal == "index"
        }
        self._keepalive: threading.Thread | None = None
        self._held: dict[str, str] = {}  # token -> member
        self._one_at_a_time = threading.Lock()  # of the faults that keep a majority, from the look to the signal
        # What on_index reads and writes; each is one reference, so no lock is needed.
        self._next_at = sys.maxsize
        self._current = -1
        self._in_flight = 0
        self._trace: list[tuple[int, int]] = []  # (wall_ns, index) while a fault is in flight

    def _blank(self, spec: FaultSpec) -> dict[str, Any]:
        """Return the record of a fault that has not been asked for yet."""
        return {
            "fault": spec.id,
            "token": f"{self._run}-{spec.id}",
            "action": spec.action,
            "target": spec.target,
            "heal": spec.heal,
            "isolate": spec.isolate,
            "direction": spec.direction,
            "options": spec.options,
            "fired": False,
            "reason": "the workload ended before this operation",
            "index_asked": spec.at_index,
            "index_called": None,  # index of the operation that asked for it
            "index_hit": None,  # newest operation asked for when the signal was sent
            "requested_wall_ns": None,  # this host's clock, like delay_ms
            "delay_ms": None,  # from the request to the signal
            "attempts": 0,
            # With keep_majority: who made the majority without the target, by the system's own word, when it struck.
            "majority_left": None,
            "member": None,
            "member_id": None,
            "role": None,
            "leader_before": None,
            "leader_id_before": None,
            "term_before": None,
            "signal": None,
            "via": None,
            "pid": None,
            "role_checked_wall_ns": None,  # the member's clock, as the following
            "signal_sent_wall_ns": None,
            "signal_call_ms": None,
            "processes": None,  # how many were paused, or killed together
            "effect": None,  # what the kernel says of what was done to disk or network
            "inject_error": None,
            "process_gone_wall_ns": None,
            "gone_ms": None,  # from the signal to the end of the process
            "clock_offset_ns": None,  # how far the member's clock is ahead of this host's
            "clock_uncertainty_ns": None,
            "leader_after": None,
            "leader_id_after": None,
            "term_after": None,
            "healed_wall_ns": None,
            "healed_by": None,
            "heal_index_called": None,  # index of the operation that asked for the heal
            "heal_error": None,
            "group_steps": [],  # what its heal did to bring the member back into its group: {act, why, wall_ns}
        }

    # ------------------------------------------------------------ arming

    def arm(self) -> None:
        """Contact every agent, relate its clock to ours, and get ready; LabError says which one is not.

        Without faults in the plan nobody is contacted.
        """
        if not self._plan:
            return
        agents = dict(zip(self._links, self._pool.map(self._meet, self._links.values()), strict=True))
        for spec in self._plan:
            self._emit(
                "fault.armed",
                {
                    "fault": spec.id,
                    "action": spec.action,
                    "target": spec.target,
                    "at_index": spec.at_index,
                    "agents": agents,
                },
            )
        for spec in self._plan:
            self._queues[spec.id] = queue.SimpleQueue()
            thread = threading.Thread(
                target=self._await, args=(spec, self._queues[spec.id]), name=f"fault-{spec.id}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
            if spec.heal != "end":
                calls = self._heal_calls.get(spec.id)
                healing = threading.Thread(
                    target=self._heal_sooner, args=(spec, calls), name=f"heal-{spec.id}", daemon=True
                )
                self._healers.append(healing)
                healing.start()
        self._keepalive = threading.Thread(target=self._keep_alive, name="fault-keepalive", daemon=True)
        self._keepalive.start()
        self._next_at = self._next_due()

    def _next_due(self) -> int:
        """Return the next index at which something has to be done."""
        faults = (spec.at_index for spec in self._plan if spec.id in self._queues)
        heals = (spec.heal_index for spec in self._plan if spec.heal_index is not None and spec.id in self._heal_calls)
        return min((*faults, *heals), default=sys.maxsize)

    def _meet(self, link: _Link) -> dict[str, Any]:
        link.clock, identity = link.main.measure_clock()
        if identity["member"] != link.member:
            raise LabError(
                f"The fault agent at {link.main.address[0]}:{link.main.address[1]} belongs to {identity['member']}, "
                f"not to {link.member}. Check the inventory and provision the hosts with playbooks/up.yml."
            )
        link.hold_ttl_s = float(identity["hold_ttl_s"])
        asked = [{"action": spec.action, "options": spec.options} for spec in self._plan]
        status = link.main.request("status", {"details": True, "asked": asked}, timeout_s=DETAILS_TIMEOUT_S)
        if not status["ok"]:
            raise LabError(f"The fault agent of {link.member} cannot report its state: {status['error']}")
        held = [record["fault"] for record in status["records"] if record["held"]]
        if held:
            raise LabError(
                f"{link.member} still holds fault {', '.join(held)} of an earlier experiment. "
                "Heal it first with ./scripts/lab heal."
            )
        for spec in self._plan:
            problem = status["cannot"].get(spec.action)
            if problem:
                raise LabError(
                    f"Fault {spec.id} ({spec.action}): not on this machine, because {problem} ({link.member})."
                )
        policy = status["unit"]["restart_policy"]
        if policy != "no" and any(ACTIONS[spec.action].ended_from_outside for spec in self._plan):
            raise LabError(
                f"systemd would restart a killed {identity['unit']} on {link.member} by itself (Restart={policy}). "
                "Provision the hosts with playbooks/up.yml, which sets Restart=no."
            )
        return {
            "role": status["role"],
            "member_id": status["member_id"],
            "term": status["term"],
            "schema_version": identity["schema_version"],
            "clock_offset_ns": link.clock.offset_ns,
            "clock_uncertainty_ns": link.clock.uncertainty_ns,
            "hold_ttl_s": link.hold_ttl_s,
        }

    # ------------------------------------------------------------ while the workload runs

    def on_index(self, index: int) -> None:
        """Tell that operation ``index`` is about to be invoked; returns at once, whatever is due."""
        if index > self._current:
            self._current = index
        if self._in_flight:
            self._trace.append((CLOCK.now_ns(), index))
        if index >= self._next_at:
            self._launch(index)

    def _launch(self, index: int) -> None:
        wall_ns = CLOCK.now_ns()
        with self._lock:
            due = [spec for spec in self._plan if spec.at_index <= index and spec.id in self._queues]
            waiting = [self._queues.pop(spec.id) for spec in due]
            self._in_flight += len(due)
            if due:
                self._trace.append((wall_ns, index))
            heals = [
                self._heal_calls.pop(spec.id)
                for spec in self._plan
                if spec.heal_index is not None and spec.heal_index <= index and spec.id in self._heal_calls
            ]
            self._next_at = self._next_due()
        for entry in waiting:
            entry.put((index, wall_ns))
        for call in heals:
            call.put(index)

    def _await(self, spec: FaultSpec, calls: queue.SimpleQueue[tuple[int, int] | None]) -> None:
        """Wait for the fault's index, then fire it; runs on a thread of its own."""
        called = calls.get()
        if called is None:
            return
        record = self._records[spec.id]
        try:
            fired = self._aim_and_fire(spec, record, *called)
        finally:
            self._settled[spec.id].set()
            with self._lock:
                self._in_flight -= 1
                if not self._in_flight:
                    self._trace = []
        if fired:
            self._follow(record)

    def _aim_and_fire(self, spec: FaultSpec, record: dict[str, Any], index: int, wall_ns: int) -> bool:
        """Find the target and fire, again where its role moved on, until the time for it is over."""
        record["index_called"], record["requested_wall_ns"] = index, wall_ns
        self._emit(
            "fault.requested",
            {"fault": spec.id, "action": spec.action, "target": spec.target, "index": index, "wall_ns": wall_ns},
        )
        deadline = time.monotonic() + AIM_TIMEOUT_S
        reason = f"no member was the {spec.target}"
        kept = MajorityKept(list(self._links)) if spec.keep_majority else None
        while True:
            record["attempts"] += 1
            # Two faults that look at once would both find a majority, and take it away together.
            with self._one_at_a_time if kept is not None else nullcontext():
                statuses = self._ask_roles(spec)
                member = choose_target(spec.target, statuses)
                refused = None
                if member is not None and kept is not None:
                    refused = kept.why_not(member, statuses, self._is_away)
                    record["majority_left"] = kept.counted
                if refused is not None:
                    reason = refused
                elif member is not None:
                    try:
                        reply = self._fire(spec, record["token"], member)
                    except AgentError as error:
                        # It may have fired. Trying another member could make two faults of one.
                        reason = f"it is unknown whether it struck: {error}"
                        break
                    if reply["fired"]:
                        self._note_fired(record, reply["record"], statuses)
                        return True
                    reason = reply["reason"]
            if time.monotonic() >= deadline or self._closing.wait(0.005):
                break
        record["reason"] = reason
        self._emit("fault.missed", {"fault": spec.id, "reason": reason, "attempts": record["attempts"]})
        return False

    def _is_away(self, member: str, status: Mapping[str, Any]) -> bool:
        """Whether a fault takes a member from its peers now, or is about to."""
        with self._lock:
            struck = {token for token, holder in self._held.items() if holder == member}
        # What is healed is held by its agent no more; what was sent and not answered is not on record yet.
        tokens = {*status["holding"], *(token for token in struck if not self._by_token(token).get("fired"))}
        return any(takes_away(self._by_token(token)) for token in tokens)

    def _by_token(self, token: str) -> Mapping[str, Any]:
        """Return the record of a fault of this director, nothing for another's."""
        return next((record for record in self._records.values() if record["token"] == token), {})

    def _ask_roles(self, spec: FaultSpec) -> dict[str, dict[str, Any]]:
        """Ask all agents at once for their member's role; return as soon as the answers decide."""
        asked: dict[Future[dict[str, Any]], str] = {
            self._pool.submit(link.main.request, "status", timeout_s=ROLES_TIMEOUT_S): member
            for member, link in self._links.items()
        }
        statuses: dict[str, dict[str, Any]] = {}
        try:
            for answered in as_completed(asked, timeout=ROLES_TIMEOUT_S):
                try:
                    status = answered.result()
                except AgentError:
                    continue
                if status["ok"]:
                    statuses[asked[answered]] = status
                if not spec.keep_majority and is_settled(statuses, len(self._links), spec.target, role_of(spec.target)):
                    break
        except FuturesTimeoutError:
            # Who has not answered by now has no say in this attempt.
            pass
        return statuses

    def _fire(self, spec: FaultSpec, token: str, member: str) -> dict[str, Any]:
        """Have one agent fire; a refusal has ``fired`` false and the ``reason``.

        AgentError where the agent does not say what it did, though asked twice: it fires a token only once.
        """
        fields: dict[str, Any] = {"token": token, "fault": spec.id, "action": spec.action}
        role = role_of(spec.target)
        if role is not None:
            fields["role"] = role
        if spec.isolate is not None and spec.direction is not None:
            fields |= {"isolate": spec.isolate, "direction": spec.direction}
        if spec.options:
            fields["options"] = spec.options
        with self._lock:
            self._held[token] = member
        client = self._links[member].main
        try:
            reply = client.request("fire", fields)
        except AgentError:
            reply = client.request("fire", fields)
        if not reply["ok"]:
            reply = {"fired": False, "reason": reply["error"]}
        if not reply["fired"]:
            with self._lock:
                del self._held[token]
        return reply

    def _note_fired(
        self, record: dict[str, Any], done: Mapping[str, Any], statuses: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Take over what the agent did, and say it as events."""
        member = done["member"]
        clock = self._links[member].clock
        if done["role"] == "leader":
            leader: str | None = member
        else:
            leader = self._name_of(done["leader_id"], statuses) or leader_of(statuses)
        for name in AGENT_FIELDS:
            record[name] = done[name]
        sent_here_ns = done["signal_sent_wall_ns"] - clock.offset_ns
        record.update(
            fired=True,
            reason=None,
            leader_before=leader,
            leader_id_before=done["leader_id"],
            term_before=done["term"],
            clock_offset_ns=clock.offset_ns,
            clock_uncertainty_ns=clock.uncertainty_ns,
            delay_ms=(sent_here_ns - record["requested_wall_ns"]) / 1e6,
            index_hit=max(
                (index for wall_ns, index in list(self._trace) if wall_ns <= sent_here_ns),
                default=record["index_called"],
            ),
        )
        stamped = {"fault": record["fault"], "member": member, "source": member}
        self._emit(
            "fault.role_checked",
            stamped
            | {
                "wall_ns": done["role_checked_wall_ns"],
                "role": done["role"],
                "member_id": done["member_id"],
                "leader": leader,
                "leader_id": done["leader_id"],
                "term": done["term"],
                "attempts": record["attempts"],
            },
        )
        self._emit(
            "fault.signal_sent",
            stamped
            | {
                "wall_ns": done["signal_sent_wall_ns"],
                "action": record["action"],
                "signal": done["signal"],
                "via": done["via"],
                "pid": done["pid"],
                "index_asked": record["index_asked"],
                "index_hit": record["index_hit"],
                "delay_ms": record["delay_ms"],
                "clock_offset_ns": clock.offset_ns,
                "clock_uncertainty_ns": clock.uncertainty_ns,
            },
        )

    def _name_of(self, member_id: str | None, statuses: Mapping[str, Mapping[str, Any]]) -> str | None:
        """Return the member with that id, as far as the members' answers tell."""
        if member_id is None:
            return None
        return next((member for member, status in statuses.items() if status["member_id"] == member_id), None)

    def _follow(self, record: dict[str, Any]) -> None:
        """Find out when the process was gone and who leads after it, from the agent and from the other members."""
        others = {member: link for member, link in self._links.items() if member != record["member"]}
        ends = ACTIONS[record["action"]].ends_process
        hit_leader = record["role"] == "leader" and bool(others)
        gone_by = time.monotonic() + GONE_TIMEOUT_S
        elected_by = time.monotonic() + ELECTION_TIMEOUT_S
        gone, known = not ends, not hit_leader
        # Without a majority there is no election, and who is paused or partitioned for a moment may lead on.
        must_know = hit_leader and ends and self._struck_with(record) * 2 < len(self._links)
        while not (known and gone) and not self._closing.is_set():
            # Once the workload is over nobody waits for a slow end: the heal does, and has the agent's stamp of it.
            if self._over.is_set() and (known or not must_know):
                break
            if not known:
                known = self._look_for_leader(record, others) or time.monotonic() > elected_by
            if not gone:
                gone = self._look_for_end(record) or time.monotonic() > gone_by
            if not (gone and known):
                self._closing.wait(FOLLOW_INTERVAL_S)

    def _struck_with(self, record: Mapping[str, Any]) -> int:
        """Return how many members the data's fault is about, of which this one is a part."""
        fault = fault_of(record["fault"])
        return sum(1 for name in self._order if fault_of(name) == fault)

    def _heal_sooner(self, spec: FaultSpec, calls: queue.SimpleQueue[int | None] | None) -> None:
        """Have a fault healed at its index or after its delay, if the workload lasts so long."""
        record = self._records[spec.id]
        if calls is not None:
            called = calls.get()
            if called is None:
                return
            record["heal_index_called"] = called
        self._settled[spec.id].wait()
        if not record["fired"]:
            return
        if spec.heal_after_ms is not None:
            sent_here_ns = record["signal_sent_wall_ns"] - (record["clock_offset_ns"] or 0)
            left_s = spec.heal_after_ms / 1000 - (CLOCK.now_ns() - sent_here_ns) / 1e9
            if self._over.wait(max(0.0, left_s)):
                return
        link = self._links[record["member"]]
        client = AgentClient(link.member, f"{link.main.address[0]}:{link.main.address[1]}", link.key)
        try:
            reply = client.request("heal", {"tokens": [record["token"]]}, timeout_s=HEAL_TIMEOUT_S)
        except AgentError as error:
            reply = {"ok": False, "error": str(error)}
        finally:
            client.close()
        if not reply["ok"]:
            record["heal_error"] = reply["error"]
            self._emit("fault.heal_failed", {"fault": spec.id, "member": link.member, "reason": reply["error"]})
            return
        self._note_heal(record["token"], next(iter(reply["records"]), None))
        with self._lock:
            self._held.pop(record["token"], None)

    def _look_for_end(self, record: dict[str, Any]) -> bool:
        """Take over the agent's stamp of the process' end; False where there is none yet."""
        done = self._agent_record(self._links[record["member"]].keep, record["token"])
        if done is None or done["process_gone_wall_ns"] is None:
            return False
        self._emit("fault.process_gone", take_over_end(record, done))
        return True

    def _look_for_leader(self, record: dict[str, Any], others: Mapping[str, _Link]) -> bool:
        """Ask the other members who leads in a later term; False where none says so itself yet."""
        statuses: dict[str, dict[str, Any]] = {}
        for member, link in others.items():
            try:
                status = link.main.request("status", timeout_s=ROLES_TIMEOUT_S)
            except AgentError:
                continue
            if status["ok"]:
                statuses[member] = status
        leader = leader_of(statuses)
        if leader is None or (statuses[leader]["term"] or 0) <= (record["term_before"] or 0):
            return False
        record["leader_after"] = leader
        record["leader_id_after"] = statuses[leader]["leader_id"]
        record["term_after"] = statuses[leader]["term"]
        self._emit(
            "fault.leader_after",
            {
                "fault": record["fault"],
                "leader": leader,
                "leader_id": record["leader_id_after"],
                "term": record["term_after"],
                "term_before": record["term_before"],
            },
        )
        return True

    @staticmethod
    def _agent_record(client: AgentClient, token: str) -> dict[str, Any] | None:
        """Return what an agent has on record for a fault, None where it cannot be asked now."""
        try:
            status = client.request("status", {"details": True}, timeout_s=DETAILS_TIMEOUT_S)
        except AgentError:
            return None
        return next((record for record in status.get("records", []) if record["token"] == token), None)

    def _keep_alive(self) -> None:
        """Tell the agents again and again that this process still lives, and keep the connections warm."""
        shortest = min(link.hold_ttl_s for link in self._links.values())
        interval_s = min(max(shortest / 10, KEEPALIVE_BOUNDS_S[0]), KEEPALIVE_BOUNDS_S[1])
        while not self._closing.wait(interval_s):
            with self._lock:
                held = dict(self._held)
            for member, link in self._links.items():
                tokens = [token for token, holder in held.items() if holder == member]
                try:
                    link.keep.request("keepalive", {"tokens": tokens})
                except AgentError:
                    # The next one may come through; if none does, the agent heals the fault by itself.
                    continue

    # ------------------------------------------------------------ the end

    def close(self, *, heal: bool = False) -> list[dict[str, Any]]:
        """End all threads and return one record a fault, in the order of the plan.

        Faults stay held, for the agents' ``hold_ttl_s``, so that what comes next (fault_heal) can heal and time it.
        With ``heal``, for a run that ended early, they are healed now; what cannot be, the agents heal by themselves.
        """
        with self._lock:
            waiting = list(self._queues.values())
            self._queues.clear()
            heals = list(self._heal_calls.values())
            self._heal_calls.clear()
            self._next_at = sys.maxsize
        for entry in waiting:
            entry.put(None)
        for call in heals:
            call.put(None)
        self._over.set()
        if heal:
            self._closing.set()
        for thread in self._threads:
            thread.join(ELECTION_TIMEOUT_S + AIM_TIMEOUT_S)
        for settled in self._settled.values():
            settled.set()
        for healing in self._healers:
            healing.join(HEAL_TIMEOUT_S)
        self._closing.set()
        if self._keepalive is not None:
            self._keepalive.join()
        if heal:
            self._heal()
        for token, member in self._held.items():
            self._note_heal(token, self._agent_record(self._links[member].main, token))
        self._pool.shutdown(wait=False, cancel_futures=True)
        for link in self._links.values():
            link.close()
        return [self._records[fault] for fault in self._order]

    def _note_heal(self, token: str, done: Mapping[str, Any] | None) -> None:
        """Take over what the agent knows at the end: the process may have ended, the fault be healed already."""
        record = next(record for record in self._records.values() if record["token"] == token)
        if done is None or not record["fired"]:
            return
        take_over_heal(record, done)
        if done["process_gone_wall_ns"] is not None and record["process_gone_wall_ns"] is None:
            self._emit("fault.process_gone", take_over_end(record, done))
        for name, wall_ns in heal_events(done):
            stamp = {"source": done["member"], "wall_ns": wall_ns}
            self._emit(name, {"fault": record["fault"], "member": done["member"], "by": done["healed_by"], **stamp})
        if done["healed_wall_ns"] is not None:
            for name, data in group_events(done["member"], record["group_steps"], record["fault"]):
                self._emit(name, data)

    def _heal(self) -> None:
        """Heal what this director fired, on all hosts at once."""

        def ask(member: str) -> None:
            tokens = [token for token, holder in self._held.items() if holder == member]
            try:
                client = self._links[member].main
                reply = client.request("heal", {"tokens": tokens}, timeout_s=GONE_TIMEOUT_S + START_TIMEOUT_S)
                error = None if reply["ok"] else reply["error"]
            except AgentError as failure:
                error = str(failure)
            if error:
                self._emit("fault.heal_failed", {"member": member, "reason": error})

        members = sorted(set(self._held.values()))
        if members:
            with ThreadPoolExecutor(max_workers=len(members)) as pool:
                list(pool.map(ask, members))
