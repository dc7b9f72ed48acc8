# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A key-value system, its clients and a director in this process, for tests of the runner."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from failover.actions.record import FaultRecord
from failover.shapes import Event
from failover.systems.fence import Change, Doubt
from failover.systems.loop import OperationResult

Hook = Callable[[int, str, str], None]


class FakeSystem:
    """The store. ``hook(client, method, key)`` is called before each operation and may raise or wait."""

    def __init__(self, hook: Hook | None = None, outcome: str = "ok") -> None:
        self.store: dict[str, str] = {}
        self.hook = hook
        self.outcome = outcome
        self.threads: dict[int, set[int]] = {}
        self.closed: list[int] = []
        self.emits: dict[int, Any] = {}
        self.doubts: dict[int, Doubt] = {}  # what a client has still to settle

    def make_client(self, number: int, emit: Any) -> FakeClient:
        self.emits[number] = emit
        emit("client.connected", {"endpoint": "h:1"})
        return FakeClient(self, number)


class FakeClient:
    def __init__(self, system: FakeSystem, number: int) -> None:
        self.system = system
        self.number = number

    def _begin(self, method: str, key: str) -> None:
        self.system.threads.setdefault(self.number, set()).add(threading.get_ident())
        if self.system.hook is not None:
            self.system.hook(self.number, method, key)

    def _result(self, read: str | None = None, affected: int | None = None) -> OperationResult:
        return OperationResult(self.system.outcome, 1, f"h:{self.number}", read, affected, None)

    def get_with_retry(self, key: str) -> OperationResult:
        self._begin("get", key)
        return self._result(read=self.system.store.get(key))

    def change_with_retry(self, change: Change) -> OperationResult:
        key, value = change.key, change.value
        if value is None:
            self._begin("delete", key)
            return self._result(affected=int(self.system.store.pop(key, None) is not None))
        self._begin("put", key)
        self.system.store[key] = value
        return self._result()

    @property
    def doubt(self) -> Doubt | None:
        return self.system.doubts.get(self.number)

    def settle(self) -> bool:
        self.system.doubts.pop(self.number, None)
        return True

    def close(self) -> None:
        self.system.closed.append(self.number)


class FakeDirector:
    """Remembers what it was told, and speaks like the real one."""

    def __init__(self, emit: Any, error: Exception | None = None, faults: tuple[str, ...] = ("F1",)) -> None:
        self.faults = faults
        self.emit = emit
        self.error = error
        self.indexes: list[int] = []
        self.closed_with: list[bool] = []

    def arm(self, _audience: Any) -> None:
        if self.error is not None:
            raise self.error
        data = {"fault": "F1", "action": "stop", "target": "leader", "at_index": 1200}
        self.emit(Event.now("client1", "fault.armed", data))

    def on_index(self, index: int) -> None:
        self.indexes.append(index)

    def close(self, *, heal: bool = False) -> list[FaultRecord]:
        self.closed_with.append(heal)
        self.emit(Event(5, "etcd2", "fault.signal_sent", {"fault": "F1", "action": "stop", "member": "etcd2"}))
        healed_ns = 6 if heal else None
        return [FaultRecord(fault, f"t-{fault}", fired=True, healed_wall_ns=healed_ns) for fault in self.faults]


class FakeHealer:
    """Says what it was made to say."""

    def __init__(self, result: dict[str, Any], events: list[Any]) -> None:
        self.result = result
        self.events = events

    def run(self, faults: Any, *, records_of: Any) -> dict[str, Any]:
        assert faults is None
        self.records_of = records_of
        return self.result
