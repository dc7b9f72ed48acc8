# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""MySQL clients at servers that answer slowly, over real sockets: slow is not dead, and a time limit is one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from certificates import Authority
from failover.systems.loop import FailoverPolicy
from failover.systems.mysql.client import MySQLClient
from failover.systems.mysql.deadline import TookTimeError, leave_time
from failover.systems.mysql_cluster import client as group_client
from failover.systems.mysql_cluster.client import GroupClient
from fake_mysql import Events
from mysql_wire import SlowServer, slow_group

# An answer's time is far below what it may take, and several together are above it.
POLICY = FailoverPolicy(attempt_timeout_ms=1000, connect_timeout_ms=700)
ACCOUNT = ("lab", "secret", "db")


@pytest.fixture
def started() -> Iterator[Callable[[list[SlowServer]], list[SlowServer]]]:
    """Return what has servers ended after the test."""
    all_: list[SlowServer] = []

    def keep(servers: list[SlowServer]) -> list[SlowServer]:
        all_.extend(servers)
        return servers

    yield keep
    for server in all_:
        server.close()


Started = Callable[[list[SlowServer]], list[SlowServer]]


def test_a_slow_server_is_returned_to_after_a_lost_answer(started: Started) -> None:
    (server,) = started([SlowServer()])
    client = MySQLClient("127.0.0.1", server.port, *ACCOUNT, policy=POLICY)
    # To log in, three answers, takes more than an attempt's time.
    server.delay_s, server.loses = 0.4, 1
    logins = server.logins
    result = client.put_with_retry("k", "v")
    # The second attempt logged in, and sent nothing.
    assert (result.outcome, result.attempts, server.logins - logins) == ("ok", 3, 1)
    assert client.get_with_retry("k")[:2] == ("ok", 1)


def test_an_attempt_that_only_logged_in_sent_nothing(started: Started) -> None:
    (server,) = started([SlowServer()])
    events: Events = []
    client = MySQLClient(
        "127.0.0.1", server.port, *ACCOUNT, policy=POLICY, emit=lambda event, data: events.append((event, data))
    )
    server.delay_s, server.loses = 0.4, 1
    assert client.delete_with_retry("k").outcome == "ok"
    failed = [data for name, data in events if name == "client.attempt_failed"]
    assert [data["ambiguous"] for data in failed] == [True, False]
    assert failed[1]["error"] == "not sent: to get ready took most of the attempt's time"


def test_a_request_gets_as_much_time_as_what_came_before_took() -> None:
    now_s = time.monotonic()
    leave_time(now_s - 1, now_s + 60)
    with pytest.raises(TookTimeError):
        leave_time(now_s - 60, now_s + 1)


@pytest.mark.parametrize("delay_s", [0.15, 0.3])
def test_a_slow_primary_is_returned_to_after_a_lost_answer(started: Started, delay_s: float) -> None:
    servers = started(slow_group(3))
    client = GroupClient("127.0.0.1", servers[0].port, *ACCOUNT, policy=POLICY)
    for server in servers:
        server.delay_s = delay_s
    assert client.put_with_retry("k", "v")[:2] == ("ok", 1)
    servers[0].loses = 1
    result = client.put_with_retry("k", "v")
    assert (result.outcome, result.endpoint) == ("ok", servers[0].endpoint)
    assert servers[0].logins == 2
    assert client.get_with_retry("k")[:2] == ("ok", 1)


def test_a_client_of_a_slow_group_finds_the_primary(started: Started) -> None:
    servers = started(slow_group(3))
    for server in servers:
        server.delay_s = 0.3
    client = GroupClient("127.0.0.1", servers[1].port, *ACCOUNT, policy=POLICY)
    assert client.endpoint == servers[0].endpoint
    assert client.get_with_retry("k")[:2] == ("ok", 1)


def test_the_group_is_asked_to_let_a_read_pass_in_one_packet(started: Started) -> None:
    servers = started(slow_group(3))
    GroupClient("127.0.0.1", servers[0].port, *ACCOUNT, policy=POLICY)
    assert group_client.PASS_END in servers[0].said
    assert group_client.PASS_BEGIN not in servers[0].said


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
def test_an_answer_that_comes_in_parts_gets_no_more_time(started: Started, tmp_path: Path, secured: bool) -> None:
    authority = Authority(tmp_path)
    (server,) = started([SlowServer(authority.sign() if secured else None)])
    policy = FailoverPolicy(attempt_timeout_ms=400, operation_budget_ms=1000)
    client = MySQLClient("127.0.0.1", server.port, *ACCOUNT, policy=policy, ca=authority.ca if secured else "")
    server.found = [(f"key{number}", "v" * 20) for number in range(100)]
    assert client.scan_with_retry("", "key0", 100)[:2] == ("ok", 1)
    # 100 parts and more, each of which comes soon.
    server.part_s = 0.05
    result = client.scan_with_retry("", "key0", 100)
    assert result.outcome == "fail"
    assert "timed out" in str(result.error)
