# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tables of answers that prove that nothing was done, and what the checkers make of a history's errors."""

from __future__ import annotations

import pytest
from failover.checks.failures import doubtful_failures, proves_nothing
from failover.shapes import Event
from failover.systems.etcd import refusals as etcd_refusals
from failover.systems.mysql import refusals as mysql_refusals
from failover.systems.refusals import Refusal


def test_every_answer_has_its_source() -> None:
    rows: list[Refusal] = [
        *etcd_refusals.ANSWERS.values(),
        *etcd_refusals.BEGINNINGS.values(),
        *mysql_refusals.ANSWERS.values(),
    ]
    assert all(isinstance(row.final, bool) and len(row.source) > 20 for row in rows)
    assert not mysql_refusals.ANSWERS.keys() & set(mysql_refusals.CONNECTING)


@pytest.mark.parametrize(
    ("system", "error", "nothing_proven"),
    [
        ("etcd", "UNAVAILABLE: etcdserver: no leader", False),
        ("etcd", "UNKNOWN: raft proposal dropped", False),
        ("etcd", "UNAVAILABLE: failed to connect to all addresses; last error: UNKNOWN: ipv4:10.0.0.1:2379", False),
        ("etcd", "CANCELLED: not sent: Cannot invoke RPC on closed channel!", False),
        ("etcd", "not sent: the write before is still in doubt: DEADLINE_EXCEEDED: Deadline Exceeded", False),
        ("etcd", "the fence is at 5f0c8a3b1d2e-1, not at 5f0c8a3b1d2e-2", False),
        ("etcd", "UNAVAILABLE: not processed: Received RST_STREAM with error code 7", False),
        ("etcd", "RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded", True),
        ("etcd", "RESOURCE_EXHAUSTED: Received message larger than max (10666130 vs. 4194304)", True),
        ("etcd", "DEADLINE_EXCEEDED: Deadline Exceeded", True),
        ("mysql", "OperationalError 1290: running with the --super-read-only option", False),
        ("mysql", "OperationalError 2003: Can't connect to MySQL server", False),  # said while connecting
        ("mysql", "OperationalError 2013: Lost connection to MySQL server during query", True),
        ("mysql", "not sent: OperationalError 2013: Lost connection to MySQL server during query", False),
        ("mysql", "InterfaceError 2014: Command Out of Sync", True),
        ("mysql", "OperationalError: no number at all", True),
        ("mysql_cluster", "not sent: it is a secondary of 10.0.0.2:3306", False),
        ("mysql_cluster", "it is a secondary of 10.0.0.2:3306", False),  # the client's own words: nothing was sent
        ("mysql_cluster", "OperationalError 3101: Plugin instructed the server to rollback", True),
        ("mysql", "OperationalError 1114: The table 'ips' is full", True),
        ("etcd", None, False),
        (None, "anything", False),
    ],
)
def test_what_an_error_proves(system: str | None, error: str | None, nothing_proven: bool) -> None:
    assert proves_nothing(system, error) is nothing_proven


def test_every_attempt_of_a_failed_write_is_judged() -> None:
    refused = "UNAVAILABLE: etcdserver: no leader"
    no_space = "RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded"

    def attempt(index: int, error: str) -> Event:
        return Event(1, "client1", "client.attempt_failed", {"index": index, "error": error})

    events = [
        attempt(0, no_space),
        attempt(0, refused),
        attempt(1, refused),
        attempt(2, no_space),
        attempt(3, no_space),
    ]
    kinds = ["CREATE", "DELETE", "RETRIEVE", "CREATE", "DELETE"]
    outcomes = ["fail", "fail", "fail", "ok", "fail"]
    errors = [refused, refused, no_space, no_space, no_space]
    # 0 by its first attempt; a read changes nothing, and what was acknowledged took effect.
    assert doubtful_failures("etcd", kinds, outcomes, errors, events) == {0: no_space, 4: no_space}
