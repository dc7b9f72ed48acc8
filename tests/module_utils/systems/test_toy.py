# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A system of three small files goes the whole way: planned, run, healed, read back, assembled, judged.

What keeps it is found valid; a dictionary that forgets acknowledged writes is found out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from failover.checks.verdict import verify, verify_experiment
from failover.measured.figures import FIGURES
from failover.plan.experiments import resolve_experiments
from failover.report.content import build
from failover.results.files import EXPERIMENT_FILE, HISTORY_FILE
from failover.results.read import load_run, read_events
from failover.run.assemble import assemble
from failover.run.config import RunnerConfig
from failover.run.healing import Healer
from failover.run.makers import client_maker
from failover.run.runner import run_workload
from failover.shapes import OWN_SETTINGS, LabError, RunSettings, Target, Verdict, worst
from failover.systems.members import MEMBERS
from failover.systems.on_host import Home
from failover.systems.registry import SYSTEMS
from failover.workloads.base import Draw, Sharing, Workload
from failover.workloads.registry import WORKLOADS
from held import hold, hold_folder
from planted.files import run_json
from printed import Quiet, leave_out_pictures
from toy.member import ToyOnHost
from toy.server import ToyServer
from toy.system import Toy

SETTINGS = RunSettings(iterations=600, seed=7, clients=2)
CATALOG = {"E1-toy": {"title": "Toy, healthy", "system": "toy", "key_prefix": "EXP1-", "faults": []}}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYSTEMS, "toy", Toy())
    monkeypatch.setitem(MEMBERS, "toy", ToyOnHost())


@pytest.fixture
def servers() -> Iterator[list[ToyServer]]:
    made: list[ToyServer] = []
    yield made
    for server in made:
        server.stop()


def target_of(server: ToyServer) -> Target:
    return Target("toy", {"toy1": {"address": server.endpoint}}, [server.endpoint])


def run_experiment(folder: Path, server: ToyServer, settings: RunSettings = SETTINGS) -> dict[str, Any]:
    """Do what roles/experiment does; return experiment.json."""
    (definition,) = resolve_experiments(["E1-toy"], CATALOG, settings, {"toy": ["toy1"]})["experiments"]
    target, system, prefix = target_of(server), SYSTEMS["toy"], definition["key_prefix"]
    system.empty(target, prefix, longest_value=20, dry_run=False)
    before = system.observe(target, "converged", 1.0)
    config = RunnerConfig(definition["name"], prefix, settings, target, folder, source="client1")
    summary = run_workload(config, make_client=client_maker(config))
    heal = Healer(target, b"k" * 32, timeout_s=5, sample_interval_ms=5, source="client1").run(None)
    after = system.observe(target, "none", 1.0)
    assert system.dump(target, "toy1", prefix, folder / "nodes" / "toy1.jsonl", write=True)["available"]
    (folder / "logs").mkdir()
    (folder / "logs" / "toy1.log").write_text("".join(f"{line}\n" for line in server.log))
    return assemble(
        folder,
        definition=definition,
        settings=settings,
        members=target.members,
        workload=summary,
        heal=heal,
        before=before.facts,
        after=after.facts,
    )


def test_what_keeps_every_write_is_valid(tmp_path: Path, servers: list[ToyServer]) -> None:
    folder = tmp_path / "E1-toy"
    servers.append(ToyServer())
    servers[0].data = {"EXP1-old": "1", "EXP2-old": "2"}
    info = run_experiment(folder, servers[0])
    assert "EXP2-old" in servers[0].data
    assert (folder / EXPERIMENT_FILE).exists()
    assert info["workload"]["outcomes"]["unknown"] == 0
    checks = verify_experiment(folder)
    assert worst([check.verdict for check in checks]) is Verdict.VALID, [c for c in checks if c.verdict != "valid"]
    started = [event for event in read_events(folder / "events.jsonl") if event.event == "server.started"]
    assert [event.source for event in started] == ["toy1"]


@pytest.mark.parametrize(
    ("policy", "verdict"), [("safe", Verdict.VALID), ("blind", Verdict.UNKNOWN), ("notebook", Verdict.UNKNOWN)]
)
def test_what_comes_late_is_a_ghost_without_a_fence(
    tmp_path: Path, servers: list[ToyServer], policy: str, verdict: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("failover.systems.loop.NOTEBOOK_PAUSE_S", 0.0)
    folder = tmp_path / "E1-toy"
    servers.append(ToyServer(holds_up=7))
    run_experiment(folder, servers[0], replace(SETTINGS, iterations=3000, retry_policy=policy))
    assert servers[0].late > 100
    checks = verify_experiment(folder)
    assert worst([check.verdict for check in checks]) is verdict, [c for c in checks if c.verdict != "valid"]
    wrong = {name for check in checks for name in check.evidence.get("by_class", {})}
    assert wrong == (set() if policy == "safe" else {"late-duplicate"})


SHARED = [name for name, workload in WORKLOADS.items() if workload.sharing is Sharing.ALL_CLIENTS]


@pytest.mark.parametrize("name", SHARED)
def test_keys_of_all_clients_are_valid_though_requests_come_late(
    tmp_path: Path, servers: list[ToyServer], name: str
) -> None:
    folder = tmp_path / "E1-toy"
    servers.append(ToyServer(holds_up=25))
    settings = replace(SETTINGS, iterations=4000, clients=8, workload={"name": name})
    info = run_experiment(folder, servers[0], settings)
    assert info["stream"] == {"name": name}
    assert servers[0].late > 10 or name in ("ycsb_c", "ycsb_b", "ycsb_d", "ycsb_e")
    checks = {check.name: check for check in verify_experiment(folder)}
    assert worst([check.verdict for check in checks.values()]) is Verdict.VALID, checks
    assert ("lists" if name == "append" else "linearizable") in checks
    assert not {"reads", "keys on toy1", "unknown writes"} & set(checks)
    assert ("scans" in checks) == (name == "ycsb_e")


@pytest.mark.parametrize("workload", [{}, {"name": "register", "keys": 3}, {"name": "ycsb_e"}], ids=str)
def test_what_a_run_of_it_leaves_is_of_the_schemas(
    tmp_path: Path, servers: list[ToyServer], workload: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here nothing is planted: runner, heal and assembly write what real labs leave."""
    leave_out_pictures(monkeypatch)
    servers.append(ToyServer(holds_up=25))
    settings = replace(SETTINGS, iterations=900, rate=3000.0, retry_policy="blind", workload=workload)
    run_experiment(tmp_path / "E1-toy", servers[0], settings)
    described = run_json("run", 900, 7, 2, 1, ["E1-toy"], 0) | {"repeats": {"toy": 1}, "rate": 3000.0}
    (tmp_path / "run.json").write_text(json.dumps(described | settings.only(OWN_SETTINGS)))
    verify(tmp_path, "E1-toy", limits=dict.fromkeys(FIGURES, 0))
    hold_folder(tmp_path)
    told, _ = build(load_run(tmp_path), Quiet())
    hold("report", told)
    assert ("workload" in told) == bool(workload)


def test_a_scan_that_misses_a_key_is_invalid(tmp_path: Path, servers: list[ToyServer]) -> None:
    folder = tmp_path / "E1-toy"
    servers.append(ToyServer(forgets=50))
    options = {"name": "ycsb_e", "records": 200, "scan_length": 10}
    run_experiment(folder, servers[0], replace(SETTINGS, iterations=2000, clients=4, workload=options))
    [scans] = [check for check in verify_experiment(folder) if check.name == "scans"]
    assert scans.verdict is Verdict.INVALID
    wrong = scans.evidence["wrong"]["listed"][0]
    assert wrong["kind"] == "SCAN"
    assert wrong["affected"] < int(wrong["expected"].split()[0])


@pytest.mark.parametrize(
    ("name", "expected"), [("register", {"late-duplicate"}), ("append", {"late-duplicate", "reordered"})]
)
def test_what_comes_late_is_found_where_all_clients_share_a_key(
    tmp_path: Path, servers: list[ToyServer], name: str, expected: set[str]
) -> None:
    folder = tmp_path / "E1-toy"
    servers.append(ToyServer(holds_up=7))
    settings = replace(SETTINGS, iterations=3000, clients=4, retry_policy="blind", workload={"name": name})
    run_experiment(folder, servers[0], settings)
    wrong = {kind for check in verify_experiment(folder) for kind in check.evidence.get("by_class", {})}
    assert wrong
    assert wrong <= expected


@pytest.mark.parametrize(
    ("name", "found"), [("register", {"no-order", "stale"}), ("append", {"lost"}), ("ycsb_a", {"no-order", "stale"})]
)
def test_what_forgets_a_write_of_a_shared_key_is_invalid(
    tmp_path: Path, servers: list[ToyServer], name: str, found: set[str]
) -> None:
    folder = tmp_path / "E1-toy"
    servers.append(ToyServer(forgets=100))
    run_experiment(folder, servers[0], replace(SETTINGS, iterations=2000, clients=4, workload={"name": name}))
    checks = [check for check in verify_experiment(folder) if check.verdict is Verdict.INVALID]
    kinds = {kind for check in checks for kind in check.evidence["by_class"]}
    assert kinds
    assert kinds <= found


def edit_history(folder: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    path = folder / HISTORY_FILE
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path, compression="zstd")


def test_of_shared_keys_the_last_reads_count(tmp_path: Path, servers: list[ToyServer]) -> None:
    folder = tmp_path / "E1-toy"
    servers.append(ToyServer())
    run_experiment(folder, servers[0], replace(SETTINGS, workload={"name": "register"}))
    (folder / "nodes" / "toy1.jsonl").unlink()
    (check,) = [check for check in verify_experiment(folder) if check.name == "linearizable"]
    assert check.verdict is Verdict.UNKNOWN
    why = f"what toy1 held at the end is not known: {folder / 'nodes' / 'toy1.jsonl'} is missing; "
    assert f"an order explains all answers; {why}" in check.summary
    assert "last reads" not in check.summary


def test_a_cas_that_found_what_it_expected_has_to_set_it(tmp_path: Path, servers: list[ToyServer]) -> None:
    folder = tmp_path / "E1-toy"
    servers.append(ToyServer())
    run_experiment(folder, servers[0], replace(SETTINGS, clients=8, workload={"name": "register"}))

    def lie(rows: list[dict[str, Any]]) -> None:
        row = next(row for row in rows if row["kind"] == "CAS" and row["affected"] == 1)
        row.update(affected=0, read=row["expected"])

    edit_history(folder, lie)
    (check,) = [check for check in verify_experiment(folder) if check.name == "linearizable"]
    assert (check.verdict, check.evidence["by_class"]["no-order"]) == (Verdict.INVALID, 1)
    assert check.evidence["wrong"]["listed"][0]["operation"]["kind"] == "CAS"


def test_an_unknown_write_that_was_sent_again_may_come_twice(tmp_path: Path, servers: list[ToyServer]) -> None:
    folder = tmp_path / "E1-toy"
    servers.append(ToyServer())
    run_experiment(folder, servers[0], replace(SETTINGS, retry_policy="blind", workload={"name": "append"}))
    doubled: list[str] = []

    def doubt(rows: list[dict[str, Any]]) -> None:
        row = [row for row in rows if row["kind"] == "APPEND"][-1]
        row.update(outcome="unknown", attempts=3, affected=None)
        doubled.extend([row["key"], row["value"]])

    edit_history(folder, doubt)
    dump = folder / "nodes" / "toy1.jsonl"
    key, element = doubled
    lines = [json.loads(line) for line in dump.read_text().splitlines()]
    for line in lines[1:]:
        if line[0] == key:
            line[1] += f",{element}"
    dump.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (check,) = [check for check in verify_experiment(folder) if check.name == "lists"]
    assert (check.verdict, check.evidence["by_class"]) == (Verdict.UNKNOWN, {"late-duplicate": 1})


def test_what_forgets_an_acknowledged_write_is_invalid(tmp_path: Path, servers: list[ToyServer]) -> None:
    folder = tmp_path / "E1-toy"
    servers.append(ToyServer(forgets=50))
    run_experiment(folder, servers[0])
    invalid = {check.name for check in verify_experiment(folder) if check.verdict is Verdict.INVALID}
    assert invalid == {"keys on toy1", "reads"}


def test_a_server_that_is_gone_is_data(tmp_path: Path) -> None:
    server = ToyServer()
    target = target_of(server)
    server.stop()
    system = SYSTEMS["toy"]
    assert system.observe(target, "healthy", 0.2).reached is False
    assert system.dump(target, "toy1", "", tmp_path / "d.jsonl", write=True)["available"] is False
    with pytest.raises(LabError, match="could not be emptied"):
        system.empty(target, "EXP1-", longest_value=20, dry_run=False)
    healer = Healer(target, b"k" * 32, timeout_s=0.3, sample_interval_ms=5, source="client1")
    assert "toy1 does not answer" in healer.run(None)["reasons"][0]
    config = RunnerConfig(
        "E1-toy", "EXP1-", replace(SETTINGS, operation_budget_ms=50, retry_policy="blind"), target, tmp_path
    )
    client = client_maker(config)(0, lambda _name, _data: None)
    assert client.put_with_retry("EXP1-a", "1").outcome == "fail"


def test_a_second_member_of_a_single_server_is_refused() -> None:
    with pytest.raises(LabError, match="of the system toy, which is one server"):
        resolve_experiments(["E1-toy"], CATALOG, SETTINGS, {"toy": ["toy1", "toy2"]})


@pytest.mark.parametrize(("alive", "role"), [(True, "leader"), (False, "unknown")])
def test_the_agent_beside_it_knows_its_role(alive: bool, role: str) -> None:
    home = Home("toy1", "127.0.0.1:1", "", lambda: alive)
    assert MEMBERS["toy"].probe(home).read()["role"] == role
    assert MEMBERS["toy"].keeper(home) is None


class Pairs(Workload):
    """Writes each of a few keys and reads it; how many keys is an option of its own."""

    name = "pairs"
    options = ("keys",)

    def draws(self, iterations: int, seed: int, options: Mapping[str, Any]) -> Iterator[Draw]:
        for key in range(options["keys"]):
            yield "CREATE", key, str(seed)
            yield "RETRIEVE", key
            yield "DELETE", key

    def key_name(self, key: int) -> str:
        return f"k{key}"


def test_a_workloads_own_option_reaches_it_and_the_checks(
    tmp_path: Path, servers: list[ToyServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(WORKLOADS, "pairs", Pairs())
    settings = RunSettings.from_dict({"iterations": 1, "seed": 7, "workload": {"name": "pairs", "keys": 5}})
    folder = tmp_path / "E1-toy"
    servers.append(ToyServer())
    info = run_experiment(folder, servers[0], settings)
    assert (info["stream"], info["workload"]["operations"]) == ({"name": "pairs", "keys": 5}, 15)
    checks = verify_experiment(folder)
    assert worst([check.verdict for check in checks]) is Verdict.VALID, [c for c in checks if c.verdict != "valid"]
