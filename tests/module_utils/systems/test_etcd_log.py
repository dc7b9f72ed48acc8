# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The logs in fixtures/etcd_log are of etcd 3.5.16: etcd3 leads and is stopped, then etcd2 leads and is killed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from failover.shapes import Event
from failover.systems.etcd.log import own_id, parse_log, parse_logs

LOGS = {
    path.stem: path.read_text().splitlines()
    for path in sorted((Path(__file__).parents[2] / "fixtures" / "etcd_log").glob("*.log"))
}
STOP, KILL = 1795412747_617_000_000, 1795412753_137_000_000


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return parse_logs(LOGS, {})


def told(events: list[Event], *names: str) -> list[tuple[str, str, dict[str, Any]]]:
    return [(e.source, e.event, {k: v for k, v in e.data.items() if k in names}) for e in events]


def test_the_stop_of_a_leader_reads_as_a_handover(events: list[Event]) -> None:
    found = [event for event in events if STOP <= event.wall_ns < STOP + 2_000_000_000]
    assert told(found, "term", "leader", "cause", "from", "how") == [
        ("etcd3", "server.stopping", {}),
        ("etcd2", "server.election_started", {"term": 11, "cause": "leadership transfer", "from": "etcd3"}),
        ("etcd2", "server.leader_lost", {"leader": "etcd3", "term": 11}),
        ("etcd1", "server.leader_lost", {"leader": "etcd3", "term": 11}),
        ("etcd3", "server.leader_lost", {"leader": "etcd3", "term": 11}),
        ("etcd2", "server.leader_elected", {"leader": "etcd2", "term": 11}),
        ("etcd3", "server.leader_elected", {"leader": "etcd2", "term": 11}),
        ("etcd1", "server.leader_elected", {"leader": "etcd2", "term": 11}),
        ("etcd3", "server.stopped", {"how": "closed"}),
    ]


def test_the_kill_of_a_leader_reads_as_an_election_by_timeout(events: list[Event]) -> None:
    found = [event for event in events if KILL <= event.wall_ns < KILL + 2_000_000_000]
    assert told(found, "term", "leader", "cause", "how", "status", "term_before") == [
        ("etcd2", "server.stopped", {"how": "killed", "status": "9/KILL"}),
        ("etcd3", "server.election_started", {"term": 12, "term_before": 11, "cause": "election timeout"}),
        ("etcd3", "server.leader_lost", {"leader": "etcd2", "term": 11}),
        ("etcd1", "server.leader_lost", {"leader": "etcd2", "term": 12}),
        ("etcd3", "server.leader_elected", {"leader": "etcd3", "term": 12}),
        ("etcd1", "server.leader_elected", {"leader": "etcd3", "term": 12}),
    ]


def test_who_comes_back_joins_and_elects_nobody(events: list[Event]) -> None:
    found = [event for event in events if event.source == "etcd2" and event.wall_ns > KILL + 2_000_000_000]
    assert told(found, "version", "leader", "joined") == [
        ("etcd2", "server.starting", {"version": "3.5.16"}),
        ("etcd2", "server.leader_elected", {"leader": "etcd3", "joined": True}),
        ("etcd2", "server.started", {}),
    ]


def test_times_are_etcds_own_to_the_microsecond(events: list[Event]) -> None:
    (line,) = [line for line in LOGS["etcd2"] if "became leader at term 11" in line]
    stamp = re.search(r'"ts":"2026-11-23T05:45:47\.(\d+)Z"', line)
    assert stamp is not None
    (elected,) = [
        e for e in events if e.event == "server.leader_elected" and e.source == "etcd2" and e.data["term"] == 11
    ]
    assert elected.wall_ns == 1795412747_000_000_000 + int(stamp[1]) * 1000
    assert [event.wall_ns for event in events] == sorted(event.wall_ns for event in events)


def test_without_the_journals_stamps_only_the_killed_process_is_lost(events: list[Event]) -> None:
    plain = {member: [re.sub(r"^\S+ \S+ \S+: ", "", line) for line in log] for member, log in LOGS.items()}
    found = parse_logs(plain, {})
    assert [event for event in events if event.data.get("how") != "killed"] == found


def test_ids_are_named_from_all_logs() -> None:
    assert own_id(LOGS["etcd3"]) == "5c7711ebca603492"
    assert own_id([]) is None
    alone = list(parse_log(LOGS["etcd1"], "etcd1", {}))
    assert {event.data["leader"] for event in alone if "leader" in event.data} == {
        "5c7711ebca603492",
        "6d44ed7d3147ed99",
    }


def line_of(message: str, **fields: Any) -> str:
    return json.dumps({"level": "info", "ts": "2026-11-23T06:00:00.000001+0100", "msg": message, **fields})


def test_other_zones_and_other_messages() -> None:
    lines = [
        line_of("leader failed to send out heartbeat on time; took too long", **{"exceeded-duration": "47ms"}),
        line_of("slow fdatasync", took="1.2s"),
        line_of("raft.node: a changed leader from b to c at term 9", logger="raft"),
    ]
    found = list(parse_log(lines, "etcd1", {"c": "etcd3"}))
    assert {event.wall_ns for event in found} == {1795410000_000_001_000}
    assert [(event.event, event.data.get("by"), event.data.get("leader")) for event in found] == [
        ("server.overloaded", "47ms", None),
        ("server.overloaded", "1.2s", None),
        ("server.leader_elected", None, "etcd3"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        '{"level":"info","ts":"2026-11-23T05:45:47.6',
        '{"msg":"ready to serve client requests"}',
        '{"ts":"yesterday","msg":"ready to serve client requests"}',
        '{"ts":"2026-11-23T05:45:47.6","msg":"ready to serve client requests"}',
        '{"ts":5,"msg":"ready to serve client requests"}',
        "etcd.service: Main process exited, code=killed, status=9/KILL",
        "-- Boot 19540d685314 --",
    ],
)
def test_a_line_that_is_cut_or_has_no_time_says_nothing(line: str) -> None:
    assert list(parse_log([line], "etcd1", {})) == []


def test_a_clean_end_is_not_told_twice() -> None:
    lines = [
        "1795412748.000000 etcd1 etcd[7]: " + line_of("closed etcd server"),
        "1795412748.100000 etcd1 systemd[1]: etcd.service: Main process exited, code=killed, status=15/TERM",
    ]
    assert [event.data["how"] for event in parse_log(lines, "etcd1", {})] == ["closed"]
