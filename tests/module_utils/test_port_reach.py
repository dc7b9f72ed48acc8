# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from failover.port_reach import Doorman, knock_all
from failover.shapes import LabError

HERE = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    servers = [socket.create_server((HERE, 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports


def tried(*ports: int, address: str = HERE, timeout_s: float = 1.0) -> list[tuple[bool, str]]:
    doors = [{"host": "etcd1", "address": address, "port": port, "purpose": "clients"} for port in ports]
    return [(door["reached"], door["error"]) for door in knock_all(doors, timeout_s)]


@pytest.fixture
def doorman(tmp_path: Path) -> Iterator[Doorman]:
    made = Doorman(tmp_path / "doorman.pid")
    yield made
    made.close()


def test_ports_are_reached_while_the_doorman_is_there(doorman: Doorman) -> None:
    one, other = free_ports(2)
    assert doorman.open(HERE, [one, other], 30) == sorted([one, other])
    assert tried(one, other) == [(True, ""), (True, "")]
    assert doorman.is_there()
    assert doorman.close()
    assert not doorman.is_there()
    # The servers can listen at once.
    with socket.create_server((HERE, one)):
        pass
    ((reached, error),) = tried(other)
    assert not reached
    assert error.startswith("refused")
    assert not doorman.close()


def test_a_port_on_which_somebody_listens_is_left_to_him(doorman: Doorman) -> None:
    (mine,) = free_ports(1)
    with socket.create_server((HERE, 0)) as server:
        port = server.getsockname()[1]
        assert doorman.open(HERE, [port, mine], 30) == [mine]
        assert doorman.missing(HERE, [port]) == []


def test_it_ends_by_itself(doorman: Doorman) -> None:
    doorman.open(HERE, free_ports(1), 0.2)
    end = time.monotonic() + 5
    while doorman.is_there():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_process_that_only_has_its_number_is_not_ended(tmp_path: Path) -> None:
    (tmp_path / "doorman.pid").write_text(str(os.getpid()))
    (tmp_path / "doorman.started").write_text("1")
    assert not Doorman(tmp_path / "doorman.pid").close()


def test_an_address_of_another_host_is_named(doorman: Doorman) -> None:
    with pytest.raises(LabError, match=r"cannot listen on 192\.0\.2\.1 port .* Set lab_address"):
        doorman.open("192.0.2.1", free_ports(1), 30)
    assert not doorman.is_there()


def test_packets_that_are_dropped_are_no_answer_and_cost_one_wait() -> None:
    # A listener whose queue is full drops what comes, as a firewall does.
    with socket.socket() as full:
        full.bind((HERE, 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex((HERE, port))
        time.sleep(0.1)
        began = time.monotonic()
        answers = tried(port, port, port, timeout_s=0.5)
        took_s = time.monotonic() - began
        for one in waiting:
            one.close()
    assert [reached for reached, _ in answers] == [False] * 3
    assert all(error == "no answer, as when a firewall drops the packets (waited 0.5 s)" for _, error in answers)
    assert took_s < 1.2


def test_where_this_host_comes_from_is_told(doorman: Doorman) -> None:
    (port,) = free_ports(1)
    doorman.open(HERE, [port], 30)
    (door,) = knock_all([{"host": "a", "address": HERE, "port": str(port), "purpose": "x"}], 1)
    assert door["source"] == HERE
