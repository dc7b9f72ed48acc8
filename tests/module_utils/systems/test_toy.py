# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A system of three small files goes the whole way: planned, run, healed, read back, assembled, judged.

What keeps it is found valid; a dictionary that forgets acknowledged writes is found out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from failover.checks.verdict import verify_experiment
from failover.plan.experiments import resolve_experiments
from failover.results.files import EXPERIMENT_FILE
from failover.results.read import read_events
from failover.run.assemble import assemble
from failover.run.config import RunnerConfig
from failover.run.healing import Healer
from failover.run.makers import client_maker
from failover.run.runner import run_workload
from failover.shapes import LabError, RunSettings, Target, Verdict, worst
from failover.systems.members import MEMBERS
from failover.systems.on_host import Home
from failover.systems.registry import SYSTEMS
from failover.workloads.base import Operation, Sharing, Workload
from failover.workloads.registry import WORKLOADS
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
    settings = replace(SETTINGS, iterations=1500, clients=8, workload={"name": name})
    info = run_experiment(folder, servers[0], settings)
    assert info["stream"] == {"name": name}
    assert servers[0].late > 10 or name in ("ycsb_c", "ycsb_b", "ycsb_d")
    checks = {check.name: check for check in verify_experiment(folder)}
    assert worst([check.verdict for check in checks.values()]) is Verdict.VALID, checks
    assert ("lists" if name == "append" else "linearizable") in checks
    assert not {"reads", "keys on toy1", "unknown writes"} & set(checks)


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
    ("name", "found"), [("register", {"no-order"}), ("append", {"lost"}), ("ycsb_a", {"no-order"})]
)
def test_what_forgets_a_write_of_a_shared_key_is_invalid(
    tmp_path: Path, servers: list[ToyServer], name: str, found: set[str]
) -> None:
    folder = tmp_path / "E1-toy"
    servers.append(ToyServer(forgets=100))
    run_experiment(folder, servers[0], replace(SETTINGS, iterations=2000, clients=4, workload={"name": name}))
    checks = [check for check in verify_experiment(folder) if check.verdict is Verdict.INVALID]
    assert {kind for check in checks for kind in check.evidence["by_class"]} == found


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

    def operations(self, iterations: int, seed: int, options: Mapping[str, Any]) -> list[Operation]:
        stream: list[Operation] = []
        for key in (f"k{number}" for number in range(options["keys"])):
            stream += [("CREATE", key, str(seed)), ("RETRIEVE", key), ("DELETE", key)]
        return stream


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
