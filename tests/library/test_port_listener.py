# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.failover import port_reach

Run = Callable[..., dict[str, Any]]


def test_it_listens_until_it_is_told_to_end(run_module: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port_reach.Doorman.__init__, "__defaults__", (tmp_path / "doorman.pid",))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    wanted = {"address": "127.0.0.1", "ports": [port], "lifetime_s": 30}
    assert run_module("port_listener", wanted, check=True)["ports"] == [port]
    assert not run_module("port_listener", {"state": "absent"}, check=True)["changed"]
    opened = run_module("port_listener", wanted)
    assert (opened["changed"], opened["ports"]) == (True, [port])
    doors = [{"host": "here", "address": "127.0.0.1", "port": port, "purpose": "a trial"}]
    (door,) = run_module("port_reach_info", {"doors": doors})["doors"]
    assert (door["reached"], door["error"]) == (True, "")
    assert run_module("port_listener", {"state": "absent"}, check=True)["changed"]
    assert run_module("port_listener", {"state": "absent"})["changed"]
    assert not run_module("port_listener", {"state": "absent"})["changed"]


def test_an_address_that_is_not_here_is_one_line(run_module: Run) -> None:
    failed = run_module("port_listener", {"address": "192.0.2.1", "ports": [7470]})
    assert failed["rc"] == 1
    assert failed["msg"].startswith("This host cannot listen on 192.0.2.1 port 7470")
