# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fake_gateway import closed_endpoint

RunModule = Callable[..., dict[str, Any]]
DOUBT = {"index": 7, "client": 1, "fence": "E1-etcd/1", "kind": "CREATE", "at": "aa-1", "to": "aa-2"}


def params(*unresolved: dict[str, Any], **more: Any) -> dict[str, Any]:
    endpoint = closed_endpoint()
    return {
        "settings": {"iterations": 10, "seed": 1, "operation_budget_ms": 300},
        "target": {
            "system": "etcd",
            "members": {"etcd1": {"client_url": f"http://{endpoint}"}},
            "endpoints": [endpoint],
        },
        "unresolved": list(unresolved),
        **more,
    }


def test_what_cannot_be_settled_is_a_result(run_module: RunModule, tmp_path: Path) -> None:
    events = tmp_path / "heal.jsonl"
    result = run_module("workload_settle", params(DOUBT, events_path=str(events), timeout_s=0.1))
    assert (result["rc"], result["changed"], result["settled"]) == (0, False, {"applied": 0, "not applied": 0})
    (left,) = result["left"]
    assert left.items() > DOUBT.items()
    assert left["error"].startswith("no etcd member answers: ")
    assert not events.exists()


def test_check_mode_sends_nothing(run_module: RunModule) -> None:
    result = run_module("workload_settle", params(DOUBT), check=True)
    assert (result["changed"], result["left"]) == (True, [DOUBT | {"error": "check mode"}])
    assert run_module("workload_settle", params(), check=True)["changed"] is False


def test_a_write_without_its_fence_is_one_line(run_module: RunModule) -> None:
    result = run_module("workload_settle", params({"index": 7, "client": 1}))
    assert result["failed"]
    assert result["msg"] == "unresolved: an entry lacks fence; give the entries as workload_run returns them"
