# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A lab of containers, from its making over a run to damage. Tests share it; their order counts."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pypdf
import pytest
from failover.shapes import RUN_KEYS
from failover.workloads.registry import create_simulation
from real_lab import (
    ETCD,
    MEMBERS,
    ROOT,
    Ended,
    RealLab,
    podman,
    wait_until,
)

ITERATIONS, SEED = 3000, 7
EXPERIMENTS = {"E1-etcd": ETCD, "E1-mysql": ("mysql1",), "E2-etcd": ETCD}
ONLY_E2 = {"experiments": ["E2-etcd"], "seed": SEED}
# The kernel gives the next process the id after this one.
LAST_PROCESS = Path("/proc/sys/kernel/ns_last_pid")


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def survivors() -> dict[str, str]:
    """Return what must remain, by a model that is not the lab's: the last write of each key that is not removed."""
    kept: dict[str, str] = {}
    for kind, key, *value in create_simulation(ITERATIONS, SEED):
        if kind == "CREATE":
            kept[key] = value[0]
        elif kind == "DELETE":
            kept.pop(key, None)
    return kept


def events_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def run(lab: RealLab) -> Ended:
    """One run of all experiments, as scripts/lab run does it."""
    return lab.front("run", iterations=ITERATIONS, seed=SEED)


@pytest.fixture(scope="module")
def folder(lab: RealLab, run: Ended) -> Path:
    """The results folder of that run."""
    assert run.status == 0, run.output
    return next(path for path in sorted(lab.results.iterdir()) if not path.is_symlink())


def test_every_host_is_a_container_of_its_own(lab: RealLab) -> None:
    assert lab.containers() == sorted(f"test-lab-{host}" for host in (*MEMBERS, "client1"))
    assert lab.members_down() == []


def test_second_up_changes_nothing(lab: RealLab) -> None:
    ended = lab.play("up", callback="default")
    assert ended.status == 0, ended.output
    # Hosts that are left out are in the recap, too: a limit that leaves out others is looked at for each.
    assert ended.changed() == dict.fromkeys(ended.changed(), 0)
    assert {*MEMBERS, "client1", "localhost"} <= ended.changed().keys()


def test_run_ends_valid_and_says_where_the_report_is(run: Ended, folder: Path) -> None:
    assert run.status == 0, run.output
    assert read(folder / "verdict.json")["verdict"] == "valid"
    assert read(folder / "verdict.json")["experiments"] == dict.fromkeys(EXPERIMENTS, "valid")
    assert "The verdict is valid" in run.output
    assert f"The report is {folder / 'report.pdf'}" in run.output


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_counts_are_those_of_simulate(folder: Path, experiment: str) -> None:
    command = [
        sys.executable,
        ROOT / "scripts/simulate",
        "--iterations",
        str(ITERATIONS),
        "--seed",
        str(SEED),
        "--json",
    ]
    stream = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    workload = read(folder / experiment / "experiment.json")["workload"]
    assert workload["digest"] == stream["digest"]
    assert {kind: sum(done.values()) for kind, done in workload["by_kind"].items()} == {
        kind: stream[kind] for kind in ("CREATE", "RETRIEVE", "DELETE")
    }
    assert workload["outcomes"]["fail"] == 0
    for member in EXPERIMENTS[experiment]:
        header = json.loads((folder / experiment / "nodes" / f"{member}.jsonl").read_text().splitlines()[0])
        assert header["count"] == stream["expected_keys"]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_member_has_what_the_stream_leaves(folder: Path, experiment: str) -> None:
    prefix = read(folder / experiment / "experiment.json")["key_prefix"]
    for member in EXPERIMENTS[experiment]:
        _, *lines = (folder / experiment / "nodes" / f"{member}.jsonl").read_text().splitlines()
        found = {key.removeprefix(prefix): value for key, value, *_ in map(json.loads, lines)}
        assert found == survivors(), member


def test_the_fault_hit_the_leader_and_another_took_over(folder: Path) -> None:
    experiment = read(folder / "E2-etcd/experiment.json")
    (fault,) = experiment["faults"]
    record = fault["record"]
    assert fault["at_index"] == ITERATIONS * 12 // 100
    assert (record["role"], record["member"]) == ("leader", record["leader_before"])
    assert record["member_id"] == record["leader_id_before"]
    assert record["term_after"] > record["term_before"]
    assert record["leader_id_after"] != record["member_id"]
    # Where it is aimed at is told in the verdict; on a machine that runs two labs at once it may be a little later.
    assert 0 <= record["index_hit"] - record["index_asked"] <= 200
    assert 0 < record["delay_ms"] < 1000

    events = {event["event"]: event for event in events_of(folder / "E2-etcd")}
    checked, sent, gone = (events[f"fault.{name}"] for name in ("role_checked", "signal_sent", "process_gone"))
    assert checked["data"]["member_id"] == checked["data"]["leader_id"] == record["member_id"]
    assert checked["wall_ns"] <= sent["wall_ns"] < gone["wall_ns"] < events["fault.healed"]["wall_ns"]
    assert events["fault.heal_requested"]["wall_ns"] > events["experiment.finished"]["wall_ns"]
    # The cluster itself, before and after, knows the same members under the same ids.
    before = experiment["before"]["observation"]
    assert (before["leader_id"], before["term"]) == (record["member_id"], record["term_before"])
    # What the servers' own logs say of it.
    elected = [event["data"] for event in events_of(folder / "E2-etcd") if event["event"] == "server.leader_elected"]
    assert (record["leader_id_after"], record["term_after"]) in [(data["leader_id"], data["term"]) for data in elected]


def test_members_are_equal_after_the_heal(folder: Path) -> None:
    convergence = read(folder / "E2-etcd/experiment.json")["convergence"]
    assert convergence["converged"] is True
    assert convergence["duration_ms"] > 0
    assert convergence["samples"]


def test_run_json_is_complete(folder: Path) -> None:
    described = read(folder / "run.json")
    assert set(RUN_KEYS) <= set(described)
    assert (described["run_id"], described["lab_name"]) == (folder.name, "test-lab")
    assert (described["iterations"], described["seed"]) == (ITERATIONS, SEED)
    assert described["experiments"] == list(EXPERIMENTS)
    assert set(described["hosts"]) == {*MEMBERS, "client1"}
    for host, facts in described["hosts"].items():
        assert all(facts.get(key) for key in ("os", "kernel", "cpu", "cores", "memory_mb", "python")), host
    assert {"etcd", "mysql", "etcd3", "PyMySQL", "grpcio", "ansible-core"} <= set(described["versions"])
    assert {"etcd", "mysql", "client"} <= set(described["settings"])
    assert described["controller"]["container_runtime"].startswith("podman ")


def test_report_tells_run_verdict_and_keys(folder: Path) -> None:
    pages = [page.extract_text() for page in pypdf.PdfReader(folder / "report.pdf").pages]
    text = " ".join(" ".join(pages).split())
    assert folder.name in text
    assert "valid" in pages[0].lower()
    assert f"{len(survivors()):,}" in text
    assert folder.name in (folder / "report.html").read_text()
    assert read(folder / "report.json")


def test_secrets_stay_where_they_are(lab: RealLab, folder: Path) -> None:
    credentials = lab.state_dir / "credentials"
    secrets = {name: (credentials / name).read_bytes().strip() for name in ("mysql_password", "fault_agent_key")}
    assert all(len(secret) >= 16 for secret in secrets.values())
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not [name for name, secret in secrets.items() if secret in content], path
    private = [path for path in lab.state_dir.rglob("*") if path.is_file() and path.suffix != ".pub"]
    assert private
    for path in private:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(lab.state_dir.stat().st_mode) & 0o077 == 0


def test_nothing_of_a_run_stays_on_the_load_generator(lab: RealLab, folder: Path) -> None:
    left = lab.on("client1", "find", "/var/lib/failover-lab/runs", "-type", "f")
    assert left == "", folder


def test_check_mode_works_and_changes_nothing(lab: RealLab, folder: Path) -> None:
    def state() -> tuple[Any, ...]:
        results = sorted((str(path), path.lstat().st_mtime_ns) for path in lab.results.rglob("*"))
        etcd = lab.on("etcd1", "du", "--bytes", "--summarize", "/etc")
        started = [lab.on(member, "systemctl", "show", "--property=ActiveEnterTimestamp", "etcd") for member in ETCD]
        own = podman("ps", "--no-trunc", "--quiet", "--filter", f"label=failover-lab.name={lab.name}")
        return results, own, etcd, started, lab.workload_runs()

    before = state()
    ended = lab.play("site", "--check", iterations=ITERATIONS)
    assert ended.status == 0, ended.output
    assert state() == before, folder


# ---- damage


@contextmanager
def half_dead(lab: RealLab, host: str) -> Iterator[None]:
    """Leave a container as a machine that went down leaves it: podman's record says running, and nothing of it runs.

    Where the kernel lets one choose process ids, another process has got the one of the container's monitor meanwhile.
    """
    inspected = podman("inspect", "--format", "{{.State.ConmonPid}} {{.State.Pid}}", f"{lab.name}-{host}")
    processes = conmon, _ = [int(process) for process in inspected.split()]
    for process in processes:
        os.kill(process, signal.SIGKILL)
    gone = [Path(f"/proc/{process}") for process in processes]
    wait_until("the end of the container", lambda: not any(process.exists() for process in gone), 20)
    with ExitStack() as others:
        if LAST_PROCESS.exists():

            def other_has_the_id() -> bool:
                LAST_PROCESS.write_text(str(conmon - 1))
                other = others.enter_context(subprocess.Popen(["sleep", "infinity"]))
                others.callback(other.kill)
                return other.pid == conmon

            wait_until("another process of that id", other_has_the_id, 20)
        yield


def test_hosts_that_are_down_or_half_dead_are_named_and_up_brings_them_back(lab: RealLab) -> None:
    podman("stop", "--time", "2", "test-lab-etcd2")
    said = lab.play("run", **ONLY_E2, iterations=500).one_line()
    assert said.startswith("etcd2: cannot be reached. ")
    with half_dead(lab, "mysql1"):
        ended = lab.play("up")
    assert ended.status == 0, ended.output
    assert lab.members_down() == []
    assert len(lab.containers()) == len(MEMBERS) + 1


def test_full_disk_is_said_and_healed(lab: RealLab) -> None:
    # In the container's mount namespace, as the container itself may not mount. Room for the fault, not for the rest.
    pid = podman("inspect", "--format", "{{.State.Pid}}", f"{lab.name}-client1")
    enter = ["nsenter", "--target", pid, "--mount"]
    lab.on("client1", "mkdir", "--parents", "/mnt/small")
    subprocess.run([*enter, "mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", "/mnt/small"], check=True)
    try:
        ended = lab.play("run", **ONLY_E2, iterations=3000, experiment_work_root="/mnt/small")
    finally:
        subprocess.run([*enter, "umount", "/mnt/small"], check=True)
    said = ended.one_line()
    assert said.startswith("client1: ")
    assert "/mnt/small" in said
    assert "No space left on device" in said
    assert lab.members_down() == []
    # After this, and all that the tests before did to it, the lab is as good as new.
    ended = lab.play("run", **ONLY_E2, iterations=500)
    assert ended.status == 0, ended.output
    assert lab.verdict() == "valid"


def test_down_copes_with_containers_that_are_half_dead(lab: RealLab) -> None:
    with half_dead(lab, "etcd1"):
        lab.take_down()
