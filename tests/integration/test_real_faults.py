# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every action on real members, again and again, and what becomes of faults when a run is interrupted."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from catalog import CATALOG
from failover.plan.drawn import draw_faults
from failover.plan.faults import resolve_repeats
from failover.results.parquet import read_parquet
from failover.workloads.registry import create_simulation
from real_lab import ANSIBLE_PLAYBOOK, ETCD, FRONT, ROOT, WORKLOAD, RealLab, wait_until

SEED = 7
ONLY_E2 = {"experiments": ["E2-etcd"], "seed": SEED}


def read(path: Path) -> Any:
    return json.loads(path.read_text())


# Long enough that a test can act while it runs.
LONG = ONLY_E2 | {"iterations": 30000}
# Two faults at once, of which neither ends a process.
STILL = LONG | {
    "experiments": ["still"],
    "experiment_catalog": {
        "still": {
            "title": "a follower frozen, the leader cut off",
            "system": "etcd",
            "key_prefix": "EXP9-",
            "faults": [
                {"action": "pause", "target": "follower", "at": "1%"},
                {"action": "partition", "target": "leader", "at": "2%"},
            ],
        }
    },
}


@pytest.fixture(scope="module")
def lab(faults_lab: RealLab) -> RealLab:
    """The lab of this file's own."""
    return faults_lab


# ---- faults again and again


ACTIONS = {
    "E2-etcd": "stop",
    "E3-etcd": "kill",
    "E4-etcd": "restart",
    "E5-etcd": "pause",
    "E6-etcd": "partition",
    "E7-etcd": "poweroff",
    "E10-etcd": "slow_network",
    "E3-mysql": "kill",
}
DRAWN = {"random": {"count": 1}}
# A rate and no delay: every kernel has a token bucket, and netem is often missing.
SLOW = {"action": "slow_network", "target": "leader", "at": "12%", "rate_kbit": 2000}
# Which of the actions make another member lead.
MOVES = {"stop", "kill", "restart", "pause", "partition", "poweroff"}
REPEATS = 2
REPEATED: dict[str, Any] = {
    "experiments": [*ACTIONS, "E11-etcd"],
    "experiment_catalog": {
        **CATALOG,
        "E10-etcd": CATALOG["E10-etcd"] | {"faults": [SLOW]},
        "E11-etcd": CATALOG["E11-etcd"] | {"faults": DRAWN},
    },
    "repeats": {"etcd": REPEATS, "mysql": REPEATS},
    "iterations": 1000,
    "seed": SEED,
    "sole_server_heal": "1s",
}


def test_two_load_generators_share_a_run_and_the_fault_lands_where_it_says(lab: RealLab) -> None:
    ended = lab.front("run", experiments=["E3-etcd"], iterations=1500, seed=SEED, clients=4)
    assert ended.status == 0, ended.output
    assert lab.verdict() == "valid"
    experiment = read(lab.newest_run() / "E3-etcd/experiment.json")
    told = [(host["name"], host["clients"]) for host in experiment["workload"]["load_generators"]]
    assert told == [("client1", 2), ("client2", 2)]
    assert 0 < experiment["workload"]["load_generators"][1]["clock_uncertainty_ns"] < 100_000_000
    _, history = read_parquet(lab.newest_run() / "E3-etcd/history.parquet")
    rows = history.select(["index", "client", "key", "invoke_ns"]).to_pylist()
    assert sorted({row["client"] for row in rows}) == [0, 1, 2, 3]
    # The last operation that began before the signal, on either host; it is told right before it begins.
    [fault] = experiment["faults"]
    record = fault["record"]
    sent_ns = record["signal_sent_wall_ns"] - record["clock_offset_ns"] - experiment["origin_wall_ns"]
    begun = [[row["index"] for row in rows if row["invoke_ns"] <= until_ns] for until_ns in (sent_ns, sent_ns + 10**6)]
    assert max(begun[0]) <= record["index_hit"] <= max(begun[1])
    assert not [host for host in ("client1", "client2") if lab.on(host, "pgrep", "-f", "AnsiballZ_work", check=False)]


@pytest.mark.long
def test_an_interrupted_campaign_is_gone_on_with(lab: RealLab) -> None:
    """Every action strikes in each repeat, and Ctrl-C in the middle loses the experiment under way only."""
    with lab.begun([*FRONT, "run", *lab.options(**REPEATED)]) as (process, folder):

        def first_is_done() -> bool:
            assert process.poll() is None, (folder / "output").read_text()
            return (lab.newest_run() / "E2-etcd/experiment.json").exists() and lab.workload_runs()

        wait_until("the second experiment", first_is_done, 600)
        os.killpg(process.pid, signal.SIGINT)
        ended = lab.ended(process, folder)
    assert ended.status == 130, ended.output
    interrupted = lab.newest_run()
    assert f"-e resume={interrupted.name}" in ended.output
    assert lab.members_down() == []
    first = (interrupted / "E2-etcd/experiment.json").read_bytes()

    refused = lab.play("run", **(REPEATED | {"resume": "latest", "seed": SEED + 1}))
    assert f"resume: {interrupted.name} was started with other settings" in refused.one_line()

    ended = lab.front("run", **REPEATED, resume="latest")
    assert lab.newest_run() == interrupted
    assert ended.status == 0, ended.output
    assert (interrupted / "E2-etcd/experiment.json").read_bytes() == first
    assert len(read(interrupted / "run.json")["resumed_at"]) == 1
    for name, action in ACTIONS.items():
        experiment = read(interrupted / name / "experiment.json")
        assert [fault["id"] for fault in experiment["faults"]] == [f"F1@{n}" for n in range(1, REPEATS + 1)]
        assert all(fault["record"]["fired"] and fault["record"]["role"] == "leader" for fault in experiment["faults"])
        assert {fault["record"]["action"] for fault in experiment["faults"]} == {action}
        assert len(experiment["repeats"]) == REPEATS
        if name.endswith("etcd"):
            assert all(repeat["convergence"]["converged"] for repeat in experiment["repeats"])
        if name.endswith("etcd") and action in MOVES:
            # No repeat found the leader of the one before.
            leaders = [fault["record"]["member"] for fault in experiment["faults"]]
            assert all(one != next_one for one, next_one in pairwise(leaders)), name
    drawn = read(interrupted / "E11-etcd/experiment.json")["faults"]
    assert drawn == [
        {**asdict(spec), "record": fault["record"]}
        for spec, fault in zip(
            resolve_repeats(
                lambda repeat: draw_faults(DRAWN, SEED, ETCD, repeat),
                len(create_simulation(REPEATED["iterations"], SEED)),
                ETCD,
                REPEATS,
            ),
            drawn,
            strict=True,
        )
    ]


# What this machine can give its containers. A few dozen writes at that speed are enough.
HAS_LOOP = Path("/dev/loop-control").exists()
HAS_THROTTLE = any(Path("/sys/fs/cgroup", name).exists() for name in ("blkio", "system.slice/io.max"))
SLOW_DISK = {"action": "slow_disk", "target": "leader", "at": "12%", "heal": "20%", "write_iops": 20}
# Without the race of the catalog's, which etcd 3.5.16 loses now and then.
STEPS = [
    {"do": "clients", "to": "others"},
    {"do": "cut", "direction": "out"},
    {"do": "await", "moment": "leader"},
    {"do": "await", "moment": "writes", "count": 3},
    {"do": "mend", "direction": "out", "from": "losers"},
    {"do": "mend", "direction": "out", "from": "winner"},
    {"do": "wait", "ms": 50},
    {"do": "read"},
]
ODD: dict[str, Any] = {
    "experiments": [
        "E15-etcd",
        *(["E8-etcd", "E14-etcd"] if HAS_LOOP else []),
        *(["E9-etcd"] if HAS_THROTTLE else []),
    ],
    "experiment_catalog": {
        **CATALOG,
        "E9-etcd": CATALOG["E9-etcd"] | {"faults": [SLOW_DISK]},
        "E15-etcd": CATALOG["E15-etcd"]
        | {"faults": [{"action": "choreography", "target": "leader", "at": "12%", "steps": STEPS}]},
    },
    "iterations": 500,
    "seed": SEED,
}


def test_faults_that_need_something_of_the_machine_have_their_effect(lab: RealLab) -> None:
    ended = lab.play("run", **ODD)
    assert ended.status == 0, ended.output
    assert lab.verdict() == "valid"
    records = {
        name: read(lab.newest_run() / name / "experiment.json")["faults"][0]["record"] for name in ODD["experiments"]
    }
    led = records["E15-etcd"]
    assert [done["do"] for done in led["steps_done"]] == [step["do"] for step in STEPS]
    assert led["leader_after"] in set(ETCD) - {led["member"]}
    if HAS_LOOP:
        full = records["E8-etcd"]
        assert full["effect"].startswith("0 of ")
        # etcd ends itself where its database cannot grow, and another one leads.
        assert full["process_gone_wall_ns"] > full["signal_sent_wall_ns"]
        assert full["leader_after"] in set(ETCD) - {full["member"]}
        lost = records["E14-etcd"]
        assert re.fullmatch(r".* not on disk.*; its journal was replayed", lost["effect"])
        assert lost["leader_after"] in set(ETCD) - {lost["member"]}
    if HAS_THROTTLE:
        slow = records["E9-etcd"]
        assert re.search(r"a write to the disk takes [\d,.]+ ms instead of [\d,.]+ ms", slow["effect"])
        assert slow["process_gone_wall_ns"] is None
    for member in ETCD:
        assert "ballast" not in lab.on(member, "sh", "-c", "ls -A /var/lib/etcd")
        assert "/failover-lab" not in lab.on(member, "sh", "-c", "cat /proc/$(pidof etcd)/cgroup")


# Clients give up before the thaw: what their servers then do with what they hold has to be what the clients find out.
FROZEN: dict[str, Any] = {
    "experiments": ["frozen-etcd", "frozen-mysql"],
    "iterations": 3000,
    "seed": SEED,
    "clients": 8,
    "workload": "append",
    "client_operation_budget_ms": 1000,
    "experiment_catalog": {
        f"frozen-{system}": {
            "title": "the leader frozen",
            "system": system,
            "key_prefix": "EXP9-" if system == "etcd" else "",
            "faults": [{"action": "pause", "target": "leader", "at": "30%", "heal": "4s"}],
        }
        for system in ("etcd", "mysql")
    },
}


@pytest.mark.long
def test_clients_find_out_what_a_frozen_server_did_after_the_thaw(lab: RealLab) -> None:
    ended = lab.play("run", **FROZEN)
    assert ended.status == 0, ended.output
    assert lab.verdict() == "valid"
    verdict = read(lab.newest_run() / "frozen-mysql" / "verdict.json")
    checks = {check["name"]: check for check in verdict["checks"]}
    assert checks["outcomes"]["evidence"]["settled"]["applied"] > 0
    assert checks["lists"]["verdict"] == "valid"


def test_what_a_host_cannot_do_is_said_before_operation_0(lab: RealLab) -> None:
    # This lab was not brought up to have MySQL's disk filled.
    said = lab.play("run", experiments=["E8-mysql"], iterations=300).one_line()
    assert "Fault F1 (disk_full): not on this machine, because /var/lib/mysql is not a file system of its own" in said
    assert lab.members_down() == []


# ---- interruption


@contextmanager
def struck(lab: RealLab, command: list[str]) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Start a long run of E2 and wait until its fault has taken the leader away."""
    with lab.begun([*command, *lab.options(**LONG)]) as (process, folder):

        def one_is_down() -> bool:
            assert process.poll() is None, (folder / "output").read_text()
            return bool(lab.members_down())

        wait_until("the workload", lab.workload_runs, 240)
        wait_until("a member that is down", one_is_down, 120)
        yield process, folder


def test_ctrl_c_while_the_leader_is_down_heals(lab: RealLab) -> None:
    with struck(lab, [*FRONT, "run"]) as (process, folder):
        os.killpg(process.pid, signal.SIGINT)
        ended = lab.ended(process, folder)
    assert ended.status == 130, ended.output
    assert "run was interrupted in phase" in ended.output
    assert "healed: no workload is running, and every member is up" in ended.output
    assert "Traceback" not in ended.output
    assert lab.members_down() == []
    assert not lab.workload_runs()


def frozen(lab: RealLab) -> list[str]:
    """Return the etcd members whose process is stopped by a signal."""
    return [member for member in ETCD if lab.on(member, "ps", "-C", "etcd", "-o", "stat=").startswith("T")]


def cut_off(lab: RealLab) -> list[str]:
    """Return the etcd members on which rules of the lab drop packets."""
    return [member for member in ETCD if "failover_lab" in lab.on(member, "nft", "list", "tables")]


def test_without_anybody_left_the_hosts_heal_themselves(lab: RealLab) -> None:
    command = [ANSIBLE_PLAYBOOK, str(ROOT / "playbooks/run.yml"), *lab.options(**STILL)]
    with lab.begun(command) as (process, folder):

        def struck_twice() -> bool:
            assert process.poll() is None, (folder / "output").read_text()
            return bool(frozen(lab)) and bool(cut_off(lab))

        wait_until("the workload", lab.workload_runs, 240)
        wait_until("a frozen member and one that is cut off", struck_twice, 120)
        os.killpg(process.pid, signal.SIGKILL)
        (stopped,), (alone,) = frozen(lab), cut_off(lab)
        # The workload is no child of the controller, and keeps its faults.
        assert lab.workload_runs()
        assert lab.members_down() == []
    since = f"@{time.time():.0f}"
    lab.on("client1", "pkill", "--signal", "KILL", "--full", WORKLOAD)
    wait_until("all healed by their own agents", lambda: not frozen(lab) and not cut_off(lab), 90)
    for member, fault in ((stopped, "F1 (pause)"), (alone, "F2 (partition)")):
        said = lab.on(member, "journalctl", "--unit", "failover-lab-agent", "--since", since, "--output", "cat")
        assert f"No keepalive for fault {fault}: healing it." in said


def test_heal_ends_a_workload_that_nobody_waits_for(lab: RealLab) -> None:
    with struck(lab, [ANSIBLE_PLAYBOOK, str(ROOT / "playbooks/run.yml")]) as (process, _):
        os.killpg(process.pid, signal.SIGKILL)
    ended = lab.front("heal")
    assert ended.status == 0, ended.output
    assert lab.members_down() == []
    assert not lab.workload_runs()
