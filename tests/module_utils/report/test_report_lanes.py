# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import pytest
from failover.report.outage.lanes import BEFORE, critical_spans, lanes_of, lanes_of_repeats
from failover.systems.etcd.system import as_ms

ETCD = {"election-timeout": "1s", "heartbeat-interval": "100ms"}
CLIENT = {"attempt_timeout_ms": 500}


def fault(moments: dict[str, float], start: float, end: float, *, cause: str | None = None, repeat: int = 1,
          sent: float | None = None, action: str = "kill") -> dict[str, Any]:  # fmt: skip
    """Return a fault as the report tells it, as far as the lanes need it."""
    marks = [{"name": name, "since_fault_ms": at, "invoked_ms": None} for name, at in moments.items()]
    marks.append({"name": "first_ok_write", "since_fault_ms": end, "invoked_ms": sent})
    anatomy = {"start_ms": start, "end_ms": end, "ended": True}
    marks.sort(key=lambda mark: float(mark["since_fault_ms"] or 0.0))
    return {"marks": marks, "anatomy": anatomy, "election_cause": cause, "repeat": repeat, "action": action}


# A leader that was killed: a client's attempt ran into its time limit, and it tried on until there was a new one.
KILLED = fault(
    {
        "attempt_sent": -4.8,
        "signal_sent": 0.0,
        "process_gone": 17.6,
        "first_attempt_failed": 498.1,
        "failover_started": 498.2,
        "election_started": 1215.4,
        "leader_elected": 1223.0,
        "failover_completed": 1256.6,
    },
    -4.9,
    1256.7,
    cause="election timeout",
)


def lanes_by_name(told: dict[str, Any] | None) -> dict[str, Any]:
    assert told is not None
    return {lane["name"]: lane for lane in told["lanes"]}


def test_until_the_election_the_servers_are_critical_whatever_a_client_does_meanwhile() -> None:
    told = lanes_of("etcd", KILLED, ETCD, CLIENT)
    assert told is not None
    assert [(piece["lane"], piece["start_ms"], piece["end_ms"]) for piece in told["critical"]] == [
        (BEFORE, -4.9, 0.0),
        ("detection", 0.0, 1215.4),
        ("election", 1215.4, 1223.0),
        ("retries", 1223.0, 1256.7),
    ]
    assert told["after_able_ms"] == pytest.approx(33.7)
    assert told["able"]["label"] == "the new leader was there"
    assert critical_spans(told, "attempt") == []


def test_the_critical_path_sums_to_the_outage() -> None:
    told = lanes_of("etcd", KILLED, ETCD, CLIENT)
    assert told is not None
    assert sum(piece["end_ms"] - piece["start_ms"] for piece in told["critical"]) == pytest.approx(1256.7 + 4.9)


def test_bounds_are_the_recorded_settings() -> None:
    lanes = lanes_by_name(lanes_of("etcd", KILLED, {"ETCD_ELECTION_TIMEOUT": 1}, {}))
    assert lanes["attempt"]["bound"] is None  # nothing recorded, nothing said
    lanes = lanes_by_name(lanes_of("etcd", KILLED, {"election-timeout": "2.5s"}, {"attempt_timeout_ms": 1200}))
    assert lanes["detection"]["bound"] == "election timeout 2.5 to 5 s"
    assert lanes["attempt"]["bound"] == "attempt timeout 1,200 ms"
    assert lanes["retries"]["bound"] == "each at most 1,200 ms"


def test_a_handover_is_not_bounded_by_the_election_timeout() -> None:
    stopped = fault({"signal_sent": 0.0, "election_started": 9.0, "leader_elected": 15.4}, -13.6, 16.7,
                    cause="leadership transfer", sent=-10.0)  # fmt: skip
    lanes = lanes_by_name(lanes_of("etcd", stopped, ETCD, CLIENT))
    assert lanes["detection"]["bound"] is None
    assert (lanes["answer"]["start_ms"], lanes["answer"]["duration_ms"]) == (-10.0, pytest.approx(26.7))


def test_a_group_expels_first() -> None:
    moments = {"signal_sent": 0.0, "member_unreachable": 5000.0, "election_started": 10_000.0,
               "leader_elected": 10_100.0, "leader_ready": 10_400.0}  # fmt: skip
    told = lanes_of(
        "mysql_cluster",
        fault(moments, 0.0, 10_500.0, sent=1.0),
        {"group_replication_member_expel_timeout": "5"},
        CLIENT,
    )
    assert lanes_by_name(told)["detection"]["bound"] == "silence noticed after 5 s"
    assert lanes_by_name(told)["expulsion"]["bound"] == "expel timeout 5 s"
    assert told is not None
    assert [piece["lane"] for piece in told["critical"]] == ["detection", "expulsion", "election", "takeover", "answer"]
    assert told["able"]["name"] == "leader_ready"


@pytest.mark.parametrize(
    ("action", "bound"), [("kill", "silence 5 s, expel timeout 7 s"), ("stop", None), ("restart", None)]
)
def test_a_group_waits_for_silence_only_where_nobody_said_goodbye(action: str, bound: str | None) -> None:
    moments = {"signal_sent": 0.0, "election_started": 12_000.0, "leader_elected": 12_100.0}
    told = lanes_of(
        "mysql_cluster",
        fault(moments, 0.0, 12_200.0, action=action),
        {"group_replication_member_expel_timeout": 7},
        CLIENT,
    )
    assert lanes_by_name(told)["detection"]["bound"] == bound


def test_an_outage_that_began_after_the_election_has_no_more_than_itself_after_it() -> None:
    told = lanes_of("etcd", fault({"signal_sent": 0.0, "leader_elected": 11.0}, 28.8, 29.9), ETCD, CLIENT)
    assert told is not None
    assert told["after_able_ms"] == pytest.approx(1.1)


def test_a_single_server_waits_for_its_heal() -> None:
    moments = {"signal_sent": 0.0, "process_gone": 1751.0, "heal_requested": 3003.0, "server_starting": 3887.0,
               "server_started": 4990.5, "first_attempt_failed": 17.6, "failover_started": 17.7,
               "healed": 5212.0}  # fmt: skip
    told = lanes_of("mysql", fault(moments, 13.2, 5121.9), {}, CLIENT)
    assert told is not None
    assert [piece["lane"] for piece in told["critical"]] == ["heal_due", "restart", "reading", "retries"]
    assert "healing" not in lanes_by_name(told)  # it was done after the outage


def test_what_no_wait_covers_has_no_lane() -> None:
    told = lanes_of("etcd", fault({"signal_sent": 0.0, "leader_elected": 50.0}, 0.0, 60.0), {}, {})
    assert told is not None
    assert [piece["lane"] for piece in told["critical"]] == [None, None]


def test_a_fault_that_hit_no_leader_leaves_the_clients_critical() -> None:
    told = lanes_of("etcd", fault({"signal_sent": 0.0}, -1.0, 30.0, sent=-0.5), ETCD, CLIENT)
    assert told is not None
    assert told["able"] is None
    assert told["after_able_ms"] is None
    assert [piece["lane"] for piece in told["critical"]] == [BEFORE, "answer"]


def test_repeats_keep_each_their_own_waits() -> None:
    faults = []
    for repeat, later in ((1, 0.0), (2, 300.0), (3, 100.0)):
        moments = {"signal_sent": 0.0, "election_started": 1000.0 + later, "leader_elected": 1010.0 + later}
        one = fault(moments, -1.0, 1030.0 + later, cause="election timeout", repeat=repeat, sent=-0.5)
        faults.append({**one, "lanes": lanes_of("etcd", one, ETCD, CLIENT)})
    told = lanes_of_repeats(faults)
    assert told is not None
    detection = next(lane for lane in told["lanes"] if lane["name"] == "detection")
    assert [span["end_ms"] for span in detection["spans"]] == [1000.0, 1300.0, 1100.0]
    assert all(span["critical"] == [[0.0, span["end_ms"]]] for span in detection["spans"])
    assert detection["median_ms"] == 1100.0
    assert told["after_able"]["median_ms"] == pytest.approx(20.0)
    assert lanes_of_repeats([{"repeat": 1, "lanes": None}]) is None


@pytest.mark.parametrize(
    ("text", "ms"),
    [("1s", 1000.0), ("100ms", 100.0), ("1m0s", 60_000.0), ("1.5s", 1500.0), ("1000", 1000.0), (1000, 1000.0),
     ("soon", None), (None, None), ("", None)],
)  # fmt: skip
def test_durations_as_etcd_prints_them(text: Any, ms: float | None) -> None:
    assert as_ms(text) == ms
