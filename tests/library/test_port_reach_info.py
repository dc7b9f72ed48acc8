# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

Run = Callable[..., dict[str, Any]]


def test_what_is_not_reached_is_a_result(run_module: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    door = {"host": "here", "address": "127.0.0.1", "port": port, "purpose": "a trial"}
    result = run_module("port_reach_info", {"doors": [door], "timeout_s": 1})
    assert (result["rc"], result["changed"]) == (0, False)
    (tried,) = result["doors"]
    assert tried == door | {"reached": False, "error": tried["error"], "source": ""}
    assert tried["error"].startswith("refused")


def test_no_doors_are_no_work(run_module: Run) -> None:
    assert run_module("port_reach_info", {"doors": []})["doors"] == []


def test_a_door_that_lacks_a_key_is_named(run_module: Run) -> None:
    failed = run_module("port_reach_info", {"doors": [{"host": "here", "port": 1, "purpose": "x"}]})
    assert failed["rc"] == 1
    assert "'address'" in failed["msg"]
