# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""MySQL Group Replication: made once, struck, and put together again, whatever was left of it."""

from __future__ import annotations

import json
import time

import pytest
from failover.workloads.registry import create_simulation
from failover.workloads.stream import summarize
from real_lab import RealLab, wait_until

GROUP = ("group1", "group2", "group3")
ITERATIONS, SEED = 1500, 7
GROUP_PORT = 33061
# Between two of its own attempts to come back, in s.
MYSQL_PAUSE_S = 300
STATES = "SELECT MEMBER_STATE, MEMBER_ROLE FROM performance_schema.replication_group_members ORDER BY 2"
WHOLE = ["ONLINE\tPRIMARY", "ONLINE\tSECONDARY", "ONLINE\tSECONDARY"]


def states(lab: RealLab, member: str) -> list[str]:
    return lab.on(member, "mysql", "--skip-column-names", "--execute", STATES).splitlines()


def test_only_the_hosts_that_the_experiment_needs_are_made(group: RealLab) -> None:
    assert group.containers() == sorted(f"test-group-{host}" for host in (*GROUP, "client1"))
    assert [states(group, member) for member in GROUP] == [WHOLE] * 3


def test_second_up_changes_nothing(group: RealLab) -> None:
    ended = group.play("up", callback="default")
    assert ended.status == 0, ended.output
    # Hosts that are left out are in the recap, too: a limit that leaves out others is looked at for each.
    assert ended.changed() == dict.fromkeys(ended.changed(), 0)
    assert {*GROUP, "client1", "localhost"} <= ended.changed().keys()


def test_no_acknowledged_write_is_lost_when_the_primary_is_stopped(group: RealLab) -> None:
    ended = group.play("run", iterations=ITERATIONS, seed=SEED)
    assert ended.status == 0, ended.output
    assert group.verdict() == "valid"
    folder = group.newest_run() / "E2-mysql_cluster"
    experiment = json.loads((folder / "experiment.json").read_text())
    record = experiment["faults"][0]["record"]
    assert (record["role"], record["member"]) == ("leader", record["leader_before"])
    assert record["leader_after"] in set(GROUP) - {record["member"]}
    assert record["term_after"] > record["term_before"]
    assert record["process_gone_wall_ns"] is not None
    assert experiment["convergence"]["converged"]
    assert len(set(experiment["convergence"]["hashes"].values())) == 1
    keys = summarize(create_simulation(ITERATIONS, SEED))["expected_keys"]
    for member in GROUP:
        assert json.loads((folder / "nodes" / f"{member}.jsonl").read_text().splitlines()[0])["count"] == keys


def cut_off(lab: RealLab, member: str) -> None:
    """Drop what the member and its peers say to each other as a group; clients are served on."""
    rules = ["add table inet cut"]
    for hook in ("input", "output"):
        rules.append(f"add chain inet cut {hook} {{ type filter hook {hook} priority 0; }}")
        rules += [f"add rule inet cut {hook} tcp {side} {GROUP_PORT} drop" for side in ("sport", "dport")]
    lab.on(member, "nft", "; ".join(rules))


@pytest.mark.long
def test_heal_does_not_wait_for_the_pause_between_two_attempts_of_mysql(group: RealLab) -> None:
    """A member whose first attempt to come back failed would try again 300 s later."""
    group.on("group3", "mysql", "--execute", "SET GLOBAL group_replication_unreachable_majority_timeout = 3")
    # An attempt that nobody answers ends by this line; one that is refused by "attempt 1 of 3 finished".
    failed = "Timeout while waiting for a view change event during the auto-rejoin procedure"
    cut_off(group, "group3")
    try:
        wait_until(failed, lambda: failed in group.on("group3", "cat", "/var/log/mysql/error.log"), 240)
    finally:
        group.on("group3", "nft", "delete table inet cut")
    assert states(group, "group3") == ["ERROR"]
    began = time.monotonic()
    ended = group.play("heal")
    assert ended.status == 0, ended.output
    assert time.monotonic() - began < MYSQL_PAUSE_S / 2
    assert [states(group, member) for member in GROUP] == [WHOLE] * 3


@pytest.mark.long
def test_a_repeat_whose_heal_would_never_be_reached_is_ended_and_the_next_one_begins(group: RealLab) -> None:
    """A primary that is cut off from its clients alone stays primary: no operation gets through any more."""
    cut = {"action": "partition", "target": "leader", "from": "clients", "at": "20%", "heal": "80%"}
    definition = {"title": "cut off from clients", "system": "mysql_cluster", "key_prefix": "", "faults": [cut]}
    ended = group.play(
        "run",
        experiments=["E20-cut"],
        experiment_catalog={"E20-cut": definition},
        iterations=400,
        repeats=2,
        stall_timeout_s=15,
    )
    assert ended.status == 0, ended.output
    assert group.verdict() == "unknown"
    folder = group.newest_run() / "E20-cut"
    repeats = json.loads((folder / "experiment.json").read_text())["repeats"]
    assert [repeat["stalled"]["tried_s"] >= 15 for repeat in repeats] == [True, True]
    assert all(repeat["convergence"]["converged"] for repeat in repeats)
    checks = {check["name"]: check for check in json.loads((folder / "verdict.json").read_text())["checks"]}
    assert [name for name, check in checks.items() if check["verdict"] == "invalid"] == []
    assert checks["stall"]["summary"].startswith("Repeat 1 was ended early: no operation was acknowledged for 15 s")


def test_after_all_were_killed_and_one_lost_its_data_they_are_one_group_again(group: RealLab) -> None:
    kept = group.on("group1", "mysql", "--skip-column-names", "--execute", "SELECT COUNT(*) FROM failover_lab.ips")
    for member in GROUP:
        group.on(member, "pkill", "--signal", "KILL", "mysqld")
    group.on("group3", "sh", "-c", "while pgrep mysqld; do sleep 0.1; done; rm -rf /var/lib/mysql/*")
    ended = group.play("up")
    assert ended.status == 0, ended.output
    assert [states(group, member) for member in GROUP] == [WHOLE] * 3
    counted = group.on("group3", "mysql", "--skip-column-names", "--execute", "SELECT COUNT(*) FROM failover_lab.ips")
    assert counted == kept != "0"
    log = group.on("group3", "cat", "/var/log/mysql/error.log")
    assert "Distributed recovery will transfer data using" in log
