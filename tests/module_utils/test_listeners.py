# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from failover.listeners import Listener, listeners


def test_a_listener_is_found_with_its_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (found,) = listeners([port])
        assert (found.address, found.port, found.pid) == ("127.0.0.1", port, os.getpid())
        assert found.program == Path("/proc/self/comm").read_text().strip()
    assert listeners([port]) == []


def test_a_socket_of_both_families_takes_every_address() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        (found,) = listeners([server.getsockname()[1]])
    assert found.address == "::"
    assert found.takes("10.0.0.21")


def test_a_connection_is_no_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert listeners([client.getsockname()[1]]) == []


def test_what_another_program_has_is_told_by_unit(tmp_path: Path) -> None:
    process = tmp_path / "812"
    (process / "fd").mkdir(parents=True)
    (process / "fd/7").symlink_to("socket:[4711]")
    (process / "comm").write_text("mysqld\n")
    (process / "cgroup").write_text("1:name=systemd:/machine/x/system.slice/mysql.service\n0::/\n")
    (tmp_path / "net").mkdir()
    line = "   0: 1502000A:0CEA 00000000:0000 {} 00000000:00000000 00:00000000 00000000   0   0 {} 1 0 100 0 0 10 0"
    (tmp_path / "net/tcp").write_text("header\n" + line.format("0A", 4711) + "\n" + line.format("01", 4712) + "\n")
    (found,) = listeners([3306], tmp_path)
    assert found == Listener("10.0.2.21", 3306, 812, "mysqld", ("mysql.service",))
    assert found.takes("10.0.2.21")
    assert not found.takes("10.0.2.22")
