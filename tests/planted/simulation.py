# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The operations of an experiment, run against a store in memory."""

from __future__ import annotations

import random
from typing import Any

from failover.shapes import Event, HistoryRow
from failover.workloads.base import CREATE, DELETE, RETRIEVE, Operation
from failover.workloads.packed import Stream
from failover.workloads.stream import cut_stream

from .heal import Heal
from .observed import observed
from .parts import ADDRESSES, MS, REFUSED, Outcomes, Parts, S, members_of, port_of
from .strike import Strike

MEDIAN_MS = {
    "etcd": {CREATE: 1.05, DELETE: 1.05, RETRIEVE: 0.95},
    "mysql": {CREATE: 0.62, DELETE: 0.63, RETRIEVE: 0.21},
}


class Simulation:
    """One experiment; the fault of E2 hits the operation at 12 % of each repeat."""

    def __init__(
        self,
        name: str,
        number: int,
        operations: Stream,
        source: random.Random,
        started_ns: int,
        clients: int,
        repeats: int,
    ) -> None:
        self.name = name
        self.system = "mysql" if "mysql" in name else "etcd"
        self.prefix = "" if self.system == "mysql" else f"EXP{number + 1}-"
        self.operations = operations
        self.source = source
        self.clients = clients
        self.members = members_of(self.system)
        # Each repeat's fault goes to the leader, and the next one leads from then on.
        self.leaders = ["etcd2", "etcd3", "etcd1"] if self.system == "etcd" else ["mysql1"]
        self.leader, self.term = self.leaders[0], 4
        self.port = port_of(self.system)
        self.origin_wall_ns = started_ns + 3 * S
        self.slices = cut_stream(len(operations), repeats)
        self.fault_ids = {
            part.start + int(len(part) * 0.12): (f"F1@{repeat}" if repeats > 1 else "F1", repeat)
            for repeat, part in enumerate(self.slices, 1)
            if name.startswith("E2")
        }
        self.store: dict[str, list[Any]] = {}
        self.revision = 1
        self.rows: list[HistoryRow] = []
        self.events: list[Event] = []
        self.faults: list[dict[str, Any]] = []
        self.told: list[dict[str, Any]] = []  # the repeats
        self.endpoint = f"{ADDRESSES[self.leader]}:{self.port}"
        self.numbers: dict[str, int] = {}  # of the keys, as they first occur
        self.clock_ns = [source.randrange(50_000, 90_000) for _ in range(clients)]

    def run(self, outcomes: Outcomes) -> Parts:
        """Run all operations; return what is known afterwards."""
        self._begin()
        for index, operation in enumerate(self.operations):
            if len(self.told) < len(self.slices) and index == self.slices[len(self.told)].start:
                self._begin_repeat(self.slices[len(self.told)])
            self._operate(index, operation, outcomes.get(index, ("ok", True)))
            if index == self.told[-1]["end_index"] - 1:
                self._end_repeat()
        return self._end()

    def _event(self, at_ns: int, source_name: str, event_name: str, **data: Any) -> None:
        self.events.append(Event(self.origin_wall_ns + at_ns, source_name, event_name, data))

    def _begin(self) -> None:
        for fault_index, (fault_id, _) in self.fault_ids.items():
            clocks = {member: {"clock_offset_ns": 1_000, "clock_uncertainty_ns": 60_000} for member in self.members}
            self._event(-60 * MS, "client1", "fault.armed", fault=fault_id, action="stop", target="leader",
                        at_index=fault_index, agents=clocks)  # fmt: skip
        for client in range(self.clients):
            of_client = {"client": client, "index": None, "endpoint": self.endpoint}
            urls = {f"{ADDRESSES[member]}:{self.port}": member for member in self.members}
            self._event(-40 * MS, "client1", "client.members_discovered", **of_client, members=urls)
            self._event(-20 * MS, "client1", "client.connected", **of_client)
        self._event(0, "client1", "experiment.started", experiment=self.name, operations=len(self.operations),
                    clients=self.clients, rate=0.0)  # fmt: skip

    def _begin_repeat(self, part: range) -> None:
        self.told.append({"repeat": len(self.told) + 1, "first_index": part.start, "end_index": part.stop,
                          "began_ns": min(self.clock_ns) if self.told else 0})  # fmt: skip

    def _operate(self, index: int, operation: Operation, ended: tuple[str, bool]) -> None:
        """Run one operation.

        :param ended: its outcome, and whether it is applied
        """
        kind, key = operation[0], operation[1]
        value = operation[2] if kind == CREATE else None  # type: ignore[misc]
        client = self.numbers.setdefault(key, len(self.numbers)) % self.clients
        invoke_ns = self.clock_ns[client]
        latency_ns = int(MEDIAN_MS[self.system][kind] * MS * self.source.lognormvariate(0, 0.22))
        if self.source.random() < 0.002:
            latency_ns += int(self.source.expovariate(1 / 4) * MS)
        attempts, error = 1, None
        if index in self.fault_ids:
            latency_ns = int(self.source.uniform(43, 47) * MS)
            attempts, error = 2, REFUSED
            self._strike(index, invoke_ns, latency_ns)
        outcome, applied = ended
        if outcome != "ok":
            latency_ns, attempts = 5 * S, 2
            error = REFUSED if outcome == "fail" else "DEADLINE_EXCEEDED: no answer within 1.0 s"
        affected = read = None
        if kind == RETRIEVE:
            read = self.store[key][0] if outcome == "ok" and key in self.store else None
        elif applied:
            affected = self._apply(kind, key, value)
        elif outcome == "ok":
            raise AssertionError("an acknowledged write is applied")
        self.rows.append(
            HistoryRow(
                index, client, kind, key, value, invoke_ns, invoke_ns, invoke_ns + latency_ns,
                outcome, attempts, self.endpoint, read, affected if outcome == "ok" else None, error,
            )
        )  # fmt: skip
        self.clock_ns[client] = invoke_ns + latency_ns + self.source.randrange(15_000, 30_000)

    def _apply(self, kind: str, key: str, value: str | None) -> int:
        """Write to the store; return how many keys that affected."""
        self.revision += 1
        if kind == CREATE:
            version = self.store[key][1] + 1 if key in self.store else 1
            self.store[key] = [value, version, self.revision]
            return 1
        return 1 if self.store.pop(key, None) is not None else 0

    def _strike(self, index: int, at_ns: int, gap_ns: int) -> None:
        """Stop the leader; the client goes on with the next one."""
        fault_id, repeat = self.fault_ids[index]
        successor = self.leaders[repeat % len(self.leaders)]
        strike = Strike(fault_id, repeat, index, at_ns, gap_ns, self.leader, successor, self.term, self.port)
        strike.tell(self._event)
        self.faults.append(strike.fault(self.origin_wall_ns))
        self.endpoint = f"{ADDRESSES[successor]}:{self.port}"

    def _end_repeat(self) -> None:
        end_ns = max(row.complete_ns for row in self.rows)
        healed, fault_id = self.leader, self.faults[-1]["id"] if self.fault_ids else None
        if self.fault_ids:
            self.leader, self.term = self.leaders[len(self.told) % len(self.leaders)], self.term + 1
        watched = None
        if self.system == "etcd":
            heal = Heal(fault_id, healed, end_ns + 200 * MS, self.members, self.leader, self.term, self.revision)
            watched = heal.watch(self._event, self.origin_wall_ns)
        self.told[-1] |= {"ended_ns": end_ns, "convergence": watched}
        # All clients wait for the heal.
        self.clock_ns = [end_ns + 2 * S] * self.clients

    def _end(self) -> Parts:
        if self.clients > 1:
            self.rows.sort(key=lambda row: row.complete_ns)
        end_ns = max(row.complete_ns for row in self.rows)
        self._event(end_ns, "client1", "experiment.finished", experiment=self.name, operations=len(self.operations),
                    interrupted=False)  # fmt: skip
        dumps = {
            member: {
                key: list(entry) if self.system == "etcd" else [entry[0], None, None]
                for key, entry in self.store.items()
            }
            for member in self.members
        }
        after_wall_ns = self.origin_wall_ns + end_ns + 2 * S
        after = observed(self.system, self.leader, self.term, self.revision, after_wall_ns)
        return Parts(
            self.name, self.system, self.prefix, self.operations, self.source, self.origin_wall_ns, self.rows, dumps,
            self.events, self.faults, after, self.told,
        )  # fmt: skip
