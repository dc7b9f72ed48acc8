# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The logs are those of a real group: its primary was killed, another was cut off, one was stopped."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from failover.shapes import Event
from failover.systems.mysql.log import parse_log, parse_logs

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "mysql_log"
ADDRESSES = {f"10.0.0.4{number}:3306": f"group{number}" for number in (1, 2, 3)}
LOGS = {path.stem: path.read_text(encoding="utf-8").splitlines() for path in sorted(FOLDER.glob("*.log"))}


def at(text: str) -> int:
    moment = datetime.fromisoformat(f"{text}+00:00")
    return int(moment.replace(microsecond=0).timestamp()) * 10**9 + moment.microsecond * 1000


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return parse_logs(LOGS, ADDRESSES)


def of(events: list[Event], name: str, source: str | None = None) -> list[Event]:
    return [event for event in events if event.event == name and source in (None, event.source)]


def test_events_are_in_the_order_of_time_and_know_their_member(events: list[Event]) -> None:
    assert [event.wall_ns for event in events] == sorted(event.wall_ns for event in events)
    assert all(event.data["member"] == event.source for event in events)


def test_the_way_from_a_killed_primary_to_the_next_one(events: list[Event]) -> None:
    told = [event for event in events if event.source == "group1" and event.event != "server.member_online"]
    first = next(number for number, event in enumerate(told) if event.event == "server.member_unreachable")
    assert [event.event for event in told[first : first + 6]] == [
        "server.member_unreachable",
        "server.member_removed",
        "server.leader_lost",
        "server.election_started",
        "server.leader_elected",
        "server.leader_ready",
    ]
    unreachable, removed, lost, started, elected, ready = told[first : first + 6]
    assert unreachable.wall_ns == at("2026-11-23T18:51:16.916950")
    assert removed.data["members"] == unreachable.data["members"] == ["group2"]
    assert lost.data["leader"] == "group2"
    assert started.data["cause"] == "the primary left the group"
    assert (elected.wall_ns, elected.data["leader"], elected.data["term"]) == (
        at("2026-11-23T18:51:32.815567"),
        "group1",
        10,
    )
    assert elected.data["leader_id"] == "bb689297-e76c-11f1-90aa-02000a595a15"
    assert ready.data["leader"] == "group1"


def test_all_members_tell_the_same_election(events: list[Event]) -> None:
    elected = {(event.data["leader"], event.data["term"]) for event in of(events, "server.leader_elected")}
    assert ("group1", 10) in elected
    sources = {event.source for event in of(events, "server.leader_elected") if event.data["term"] == 10}
    assert sources == {"group1", "group3"}


def test_a_member_that_is_cut_off_loses_the_majority_and_comes_back(events: list[Event]) -> None:
    names = [event.event for event in events if event.source == "group2"]
    for name in ("quorum_lost", "member_reachable", "quorum_regained", "expelled", "rejoin_started", "member_online"):
        assert f"server.{name}" in names
    order = [names.index(f"server.{name}") for name in ("quorum_lost", "quorum_regained", "expelled", "rejoin_started")]
    assert order == sorted(order)


def test_starts_stops_and_recoveries_are_told(events: list[Event]) -> None:
    starting, started = of(events, "server.starting", "group2")[0], of(events, "server.started", "group2")[0]
    assert starting.wall_ns < started.wall_ns
    assert of(events, "server.recovery", "group2")[0].data["method"] == "incremental"
    assert of(events, "server.stopping", "group1")[0].wall_ns < of(events, "server.stopped", "group1")[0].wall_ns


def test_recovery_by_clone_is_told_from_an_incremental_one() -> None:
    line = (
        "2026-11-23T18:51:25.239809Z 0 [System] [MY-013471] [Repl] Plugin group_replication reported: "
        "'Distributed recovery will transfer data using: Cloning from a remote group donor.'"
    )
    (event,) = parse_log([line], "group3", ADDRESSES)
    assert event.data == {"method": "clone", "member": "group3"}


def test_an_address_that_nobody_has_stays_an_address() -> None:
    line = next(line for line in LOGS["group1"] if "MY-011493" in line).replace("10.0.0.42", "192.0.2.9")
    (event,) = parse_log([line], "group1", ADDRESSES)
    assert event.data["members"] == ["192.0.2.9:3306"]


def test_an_election_without_its_view_has_no_term() -> None:
    line = next(line for line in LOGS["group1"] if "MY-011507" in line)
    (event,) = parse_log([line], "group1", ADDRESSES)
    assert event.data["term"] is None


def test_lines_that_are_cut_or_strange_are_passed_over() -> None:
    whole = LOGS["group1"][0]
    assert parse_log(["", "mysqld: a line of another kind", whole[:40], "\x00\x00"], "group1", ADDRESSES) == []


def line_of(number: int, text: str, time: str = "2024-10-14T19:12:19.552500Z") -> str:
    return f"{time} 0 [System] [MY-{number:06d}] [Repl] Plugin group_replication reported: '{text}'"


@pytest.mark.parametrize("offset", ["Z", "+00:00", "-00:00"])
def test_a_log_in_the_zone_of_its_host_is_read(offset: str) -> None:
    (event,) = parse_log([line_of(11505, "Member was expelled", f"2024-07-31T13:07:37.458761{offset}")], "m", {})
    assert (event.event, event.wall_ns) == ("server.expelled", at("2024-07-31T13:07:37.458761"))


def test_a_log_in_another_zone_has_the_same_moments() -> None:
    utc = [event.as_dict() for event in parse_log(LOGS["group1"], "group1", ADDRESSES)]
    for offset, hours in (("+05:30", 5.5), ("-03:00", -3)):
        zone = timezone(timedelta(hours=hours))
        lines = [
            line.replace(
                line[:27], datetime.fromisoformat(line[:27]).astimezone(zone).isoformat(timespec="microseconds")
            )
            for line in LOGS["group1"]
            if line[:4].isdigit()
        ]
        assert all(offset in line for line in lines)
        assert [event.as_dict() for event in parse_log(lines, "group1", ADDRESSES)] == utc


def test_a_majority_that_is_waited_for_only_so_long_is_lost_too() -> None:
    text = "This server is not able to reach a majority of members in the group. The server will remain blocked for 5"
    assert [event.event for event in parse_log([line_of(11496, text)], "m", {})] == ["server.quorum_lost"]


def views_and_elections(*told: tuple[str, str, int]) -> list[int | None]:
    """Return the terms of the elections of a log, given as (second, what, number of the view)."""
    texts = {
        "removed": (11499, "Members removed from the group: m1:3306"),
        "left": (11500, "Primary server with address m1:3306 left the group. Electing new Primary."),
        "elected": (11507, "A new primary with address m2:3306 was elected."),
    }
    lines = []
    for second, what, view in told:
        number, text = texts.get(
            what, (11503, f"Group membership changed to m2:3306, m3:3306 on view 16981900:{view}.")
        )
        lines.append(line_of(number, text, f"2024-10-24T23:{second}Z"))
    return [event.data["term"] for event in parse_log(lines, "m", {}) if event.event == "server.leader_elected"]


def test_an_election_takes_the_view_that_it_is_told_with() -> None:
    made = [("28:18.800000", "view", 1), ("28:19.100000", "elected", 0), ("30:19.100000", "view", 2)]
    assert views_and_elections(*made) == [1]
    assert views_and_elections(*made[1:]) == [None]
    later = [("31:00.000000", "removed", 0), ("31:00.000001", "left", 0)]
    before = [("31:00.000002", "view", 3), ("31:00.000003", "elected", 0), ("31:00.500000", "view", 4)]
    after = [("31:00.000002", "elected", 0), ("31:05.000003", "view", 3)]
    assert views_and_elections(*made, *later, *before) == [1, 3]
    assert views_and_elections(*made, *later, *after) == [1, 3]
    assert views_and_elections(after[0], ("31:00.000600", "view", 3)) == [3]


def test_lists_of_several_addresses_are_read() -> None:
    lines = [
        line_of(11499, "Members removed from the group: s1:3306, db-2.example:3306, [fd00::3]:3306"),
        line_of(11500, "Primary server with address s1:3306, s2:3306 left the group. Electing new Primary."),
        line_of(11507, "A new primary with address s3:3306, s2:3306 was elected."),
    ]
    removed, lost, _, elected = parse_log(lines, "m", {"s3:3306": "three"})
    assert removed.data["members"] == ["s1:3306", "db-2.example:3306", "[fd00::3]:3306"]
    assert (lost.data["leader"], elected.data["leader"]) == ("s1:3306", "three")
