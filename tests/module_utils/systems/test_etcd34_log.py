# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The logs in fixtures/etcd34_log are of Debian 12's etcd 3.4.23: etcd1 leads and is killed, then etcd3 is stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from failover.shapes import Event
from failover.systems.etcd.log import own_id, parse_log, parse_logs

LOGS = {
    path.stem: path.read_text().splitlines()
    for path in sorted((Path(__file__).parents[2] / "fixtures" / "etcd34_log").glob("*.log"))
}


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return parse_logs(LOGS, {})


def told(events: list[Event], name: str, *fields: str) -> list[tuple[Any, ...]]:
    return [(e.source, *(e.data.get(field) for field in fields)) for e in events if e.event == name]


def line_of(message: str, **fields: Any) -> str:
    return json.dumps({"level": "info", "ts": "2026-11-25T19:18:15.630Z", "msg": message, **fields})


def test_every_election_has_its_term_and_its_cause(events: list[Event]) -> None:
    assert told(events, "server.election_started", "term", "term_before", "cause", "from") == [
        ("etcd1", 2, 1, "election timeout", None),
        ("etcd3", 3, 2, "election timeout", None),
        ("etcd2", 4, 3, "leadership transfer", "etcd3"),
    ]


def test_every_leader_is_told_by_name(events: list[Event]) -> None:
    elected = told(events, "server.leader_elected", "leader", "term")
    assert {(leader, term) for _, leader, term in elected} == {("etcd1", 2), ("etcd3", 3), ("etcd2", 4)}
    assert [row for row in elected if row[0] == row[1]] == [
        ("etcd1", "etcd1", 2),
        ("etcd3", "etcd3", 3),
        ("etcd2",) * 2 + (4,),
    ]
    joined = told(events, "server.leader_elected", "leader", "term", "joined")
    assert ("etcd1", "etcd1", 2, None) in joined
    assert ("etcd1", "etcd3", 3, True) in joined
    lost = told(events, "server.leader_lost", "leader", "term")
    assert sorted(lost[:2]) == [("etcd2", "etcd1", 3), ("etcd3", "etcd1", 2)]
    assert sorted(lost[2:]) == [("etcd1", "etcd3", 4), ("etcd2", "etcd3", 4), ("etcd3", "etcd3", 4)]


def test_every_start_is_told_once(events: list[Event]) -> None:
    started = told(events, "server.started")
    assert sorted(started) == [("etcd1",), ("etcd1",), ("etcd2",), ("etcd3",)]


def test_the_ids_are_found() -> None:
    assert {member: own_id(log) for member, log in LOGS.items()} == {
        "etcd1": "8df21517564021c5",
        "etcd2": "7bb7f3adb5f9f4c7",
        "etcd3": "da85b1e2c97d6f3a",
    }


def test_an_election_by_timeout_after_a_handover_is_none_by_handover() -> None:
    lines = [
        line_of("a1 [term 3] received MsgTimeoutNow from b2 and starts an election to get leadership."),
        line_of("a1 became candidate at term 4"),
        line_of("a1 is starting a new election at term 4"),
        line_of("a1 became leader at term 5"),
    ]
    assert told(list(parse_log(lines, "one", {"b2": "two"})), "server.election_started", "term", "cause", "from") == [
        ("one", 4, "leadership transfer", "two"),
        ("one", 5, "election timeout", None),
    ]


def test_an_etcd_that_names_its_loggers_tells_a_handover_once_and_only_if_it_stands() -> None:
    asked = line_of(
        "a1 [term 3] received MsgTimeoutNow from b2 and starts an election to get leadership.", logger="raft"
    )
    stands = line_of("a1 is starting a new election at term 3", logger="raft")
    assert told(list(parse_log([asked, stands], "one", {})), "server.election_started", "term", "from") == [
        ("one", 4, "b2")
    ]
    refused = line_of(
        "a1 cannot campaign at term 3 since there are still 1 pending configuration changes", logger="raft"
    )
    later = line_of("a1 is starting a new election at term 6", logger="raft")
    assert told(list(parse_log([asked, refused, later], "one", {})), "server.election_started", "term", "cause") == [
        ("one", 7, "election timeout")
    ]


@pytest.mark.parametrize(
    "text", ["serving client traffic securely", "serving client traffic insecurely; this is strongly discouraged!"]
)
def test_a_start_with_and_without_tls(text: str) -> None:
    lines = [line_of("starting an etcd server"), *[line_of(text, address=f"127.0.0.1:{port}") for port in (1, 2)]]
    assert [event.event for event in parse_log(lines, "one", {})] == ["server.starting", "server.started"]
