# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From collected files to one experiment's folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from failover.actions.record import FaultRecord
from failover.results.history import HistoryWriter
from failover.results.parquet import read_parquet
from failover.results.read import load_run
from failover.run.assemble import assemble
from failover.shapes import EXPERIMENT_KEYS, HistoryRow, LabError, RunSettings

ROOT = Path(__file__).resolve().parents[3]
LOGS = ROOT / "tests/fixtures/etcd_log"
FAULT = {"id": "F1", "action": "stop", "target": "leader", "at_index": 240, "heal": "end"}
REPEAT = {"repeat": 1, "first_index": 0, "end_index": 2000, "began_ns": 0, "ended_ns": 7, "convergence": None}
ROW = HistoryRow(0, 0, "CREATE", "Ada1 router", "1.2.3.4", 0, 0, 5, "ok", 1, "192.0.2.1:2379", None, 1, None)
# Before, within and after the time of the fixture's logs.
EARLY_NS, LATE_NS = 1, 4_000_000_000_000_000_000


def event(wall_ns: int, name: str, source: str = "client1") -> dict[str, Any]:
    return {"wall_ns": wall_ns, "source": source, "event": name, "data": {"fault": "F1"}}


def write_lines(path: Path, objects: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(item) + "\n" for item in objects))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the load generator and the servers left, as roles/experiment collects it."""
    made = tmp_path / "E2-etcd"
    (made / "logs").mkdir(parents=True)
    for log in LOGS.glob("*.log"):
        shutil.copy(log, made / "logs")
    write_lines(
        made / "events.jsonl", [event(LATE_NS - 2, "experiment.finished"), event(EARLY_NS, "experiment.started")]
    )
    write_lines(made / "heal.jsonl", [event(LATE_NS - 1, "fault.healed", "etcd1")])
    (made / "summary.json").write_text("{}")
    return made


def arguments(**changed: Any) -> dict[str, Any]:
    members = {name: {"client_url": f"http://192.0.2.{number}:2379"} for number, name in enumerate(("etcd1", "etcd2"))}
    return {
        "definition": {
            "name": "E2-etcd",
            "title": "etcd, leader stopped at 12 %",
            "system": "etcd",
            "key_prefix": "EXP2-",
            "members": list(members),
            "faults": [FAULT],
        },
        "settings": RunSettings(2000, 7),
        "members": members,
        "workload": {
            "changed": True,
            "ansible_job_id": "j1",
            "_ansible_no_log": False,
            "origin_wall_ns": EARLY_NS,
            "duration_s": 7.5,
            "faults": [{"fault": "F1", "fired": True}],
            "repeats": [REPEAT],
        },
        "heal": {"changed": True, "msg": "healed", "converged": True, "duration_ms": 12.5, "samples": []},
        "before": {"changed": False, "healthy": True},
        "after": {"changed": False, "healthy": True, "leader": "etcd2"},
    } | changed


def test_experiment_json_has_its_keys_and_nothing_of_ansible(folder: Path) -> None:
    returned = assemble(folder, **arguments())
    written = json.loads((folder / "experiment.json").read_text())
    assert written == returned
    assert tuple(written) == (*EXPERIMENT_KEYS, "retry_policy", "read_consistency", "arrivals")
    assert written["faults"] == [FAULT | {"record": FaultRecord("F1", fired=True).as_dict()}]
    assert written["workload"] == {"origin_wall_ns": EARLY_NS, "duration_s": 7.5}
    assert written["origin_wall_ns"] == EARLY_NS
    assert written["convergence"] == {"converged": True, "duration_ms": 12.5, "samples": []}
    assert written["repeats"] == [REPEAT | {"convergence": written["convergence"]}]
    assert written["before"] == {"healthy": True}
    assert written["after"] == {"healthy": True, "leader": "etcd2"}


def test_events_of_client_heal_and_servers_are_one_file_in_the_order_of_time(folder: Path) -> None:
    assemble(folder, **arguments())
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    stamps = [item["wall_ns"] for item in events]
    assert stamps == sorted(stamps)
    assert events[0]["event"] == "experiment.started"
    assert [item["event"] for item in events[-2:]] == ["experiment.finished", "fault.healed"]
    servers = {item["source"] for item in events if item["event"].startswith("server.")}
    assert servers == {"etcd1", "etcd2", "etcd3"}
    assert "server.leader_elected" in {item["event"] for item in events}
    assert not (folder / "heal.jsonl").exists()
    assert not (folder / "summary.json").exists()


def test_a_log_with_broken_characters_gives_its_other_lines(folder: Path) -> None:
    with (folder / "logs" / "etcd1.log").open("ab") as log:
        log.write(b"\xff\xfe half a character: \xc3\n")
    assemble(folder, **arguments())
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert "etcd1" in {item["source"] for item in events if item["event"].startswith("server.")}


def test_a_system_of_one_member_has_no_convergence_and_no_server_events(folder: Path) -> None:
    given = arguments(members={"mysql1": {"address": "192.0.2.21:3306"}})
    given["definition"] |= {"system": "mysql", "faults": []}
    written = assemble(folder, **given)
    assert written["convergence"] is None
    assert written["faults"] == []
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert [item["event"] for item in events] == ["experiment.started", "experiment.finished", "fault.healed"]


def test_without_faults_nothing_was_healed_by_request(folder: Path) -> None:
    (folder / "heal.jsonl").unlink()
    given = arguments()
    given["definition"]["faults"] = []
    del given["workload"]["faults"]
    assert assemble(folder, **given)["faults"] == []


def test_a_fault_without_a_record_of_its_own_is_told_so(folder: Path) -> None:
    given = arguments()
    given["definition"]["faults"] = [FAULT, FAULT | {"id": "F2"}]
    first, second = (fault["record"] for fault in assemble(folder, **given)["faults"])
    assert (first["fault"], first["fired"], second) == ("F1", True, None)


def test_a_workload_that_is_silent_on_its_faults_is_refused(folder: Path) -> None:
    given = arguments()
    given["workload"]["faults"] = []
    with pytest.raises(LabError, match=r"^E2-etcd: the workload did not report its faults; run the experiment again$"):
        assemble(folder, **given)


def test_the_history_becomes_parquet(folder: Path) -> None:
    with HistoryWriter(folder / "history.jsonl", {"origin_wall_ns": EARLY_NS}) as writer:
        writer.append(ROW)
    assemble(folder, **arguments())
    assert not (folder / "history.jsonl").exists()
    meta, table = read_parquet(folder / "history.parquet")
    assert (meta["origin_wall_ns"], meta["cut"], table["key"].to_pylist()) == (EARLY_NS, None, [ROW.key])


def test_a_history_that_cannot_be_converted_leaves_the_folder_unfinished(folder: Path) -> None:
    (folder / "history.jsonl").write_text("")
    with pytest.raises(LabError, match=r"history\.jsonl is empty"):
        assemble(folder, **arguments())
    assert not (folder / "experiment.json").exists()


def test_a_missing_file_of_events_is_named(folder: Path) -> None:
    (folder / "events.jsonl").unlink()
    with pytest.raises(LabError, match=r"events\.jsonl"):
        assemble(folder, **arguments())


def test_a_damaged_file_of_events_is_named(folder: Path) -> None:
    (folder / "heal.jsonl").write_text('{"wall_ns": "noon"}\n')
    with pytest.raises(LabError, match=r"heal\.jsonl"):
        assemble(folder, **arguments())


def test_events_that_cannot_be_written_are_named(folder: Path) -> None:
    (folder / ".events.jsonl.part").mkdir()
    with pytest.raises(LabError, match=r"events\.jsonl\.part cannot be written: Is a directory; check the space"):
        assemble(folder, **arguments())


def test_a_run_of_assembled_experiments_is_one_that_readers_take(folder: Path) -> None:
    """The writer's keys are those that the reader asks for; the run misses its run.json only."""
    assemble(folder, **arguments())
    with pytest.raises(LabError, match=r"run\.json"):
        load_run(folder.parent)


def test_a_process_that_ended_after_the_workload_is_completed_by_the_heal(folder: Path) -> None:
    fired = {"fault": "F1", "fired": True, "process_gone_wall_ns": None, "gone_ms": None}
    done = {
        "fault": "F1",
        "member": "etcd1",
        "pid": 7,
        "signal_sent_wall_ns": LATE_NS,
        "process_gone_wall_ns": LATE_NS + 57_000_000_000,
    }
    given = arguments()
    given["workload"]["faults"] = [fired]
    given["heal"]["healed"] = [done]
    record = assemble(folder, **given)["faults"][0]["record"]
    assert (record["process_gone_wall_ns"], record["gone_ms"]) == (LATE_NS + 57_000_000_000, 57_000.0)
    last = json.loads((folder / "events.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["source"], last["data"]["gone_ms"]) == ("fault.process_gone", "etcd1", 57_000.0)


def test_what_the_heal_finds_out_of_the_effect_is_taken_over(folder: Path) -> None:
    given = arguments()
    given["workload"]["faults"] = [{"fault": "F1", "fired": True, "process_gone_wall_ns": 5, "effect": "lost"}]
    given["heal"]["healed"] = [{"fault": "F1", "effect": "lost; replayed"}]
    assert assemble(folder, **given)["faults"][0]["record"]["effect"] == "lost; replayed"
    # An agent that says nothing of it does not take it back.
    given["heal"]["healed"] = [{"fault": "F1"}]
    assert assemble(folder, **given)["faults"][0]["record"]["effect"] == "lost"


@pytest.mark.parametrize("told", ["healed", "not_healed"])
def test_what_the_disk_had_is_taken_over_also_of_a_member_that_did_not_come_back(folder: Path, told: str) -> None:
    given = arguments()
    given["workload"]["faults"] = [{"fault": "F1", "fired": True, "process_gone_wall_ns": 5, "effect": "lost"}]
    disk = {"told": {"revision": 9}, "had": {"revision": 7}, "missing": 2}
    given["heal"] |= {"healed": [], told: [{"fault": "F1", "effect": "lost; replayed", "disk": disk}]}
    record = assemble(folder, **given)["faults"][0]["record"]
    assert (record["effect"], record["disk"]) == ("lost; replayed", disk)


def test_a_restart_that_came_back_before_the_heal_is_completed_by_it(folder: Path) -> None:
    done = {
        "fault": "F1",
        "member": "etcd1",
        "pid": 7,
        "signal_sent_wall_ns": LATE_NS,
        "process_gone_wall_ns": LATE_NS + 1_100_000_000,
        "healed_wall_ns": LATE_NS + 1_200_000_000,
        "healed_by": "restart",
        "effect": None,
    }
    given = arguments()
    given["workload"]["faults"] = [{"fault": "F1", "fired": True, "process_gone_wall_ns": None, "healed_by": None}]
    given["workload"]["unhealed"] = ["t-F1"]
    given["heal"] |= {"healed": [], "earlier": [done]}
    info = assemble(folder, **given)
    record = info["faults"][0]["record"]
    assert (record["gone_ms"], record["healed_by"]) == (1_100.0, "restart")
    assert record["healed_wall_ns"] == done["healed_wall_ns"]
    assert "unhealed" not in info["workload"]
    last = json.loads((folder / "events.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["data"]["gone_ms"]) == ("fault.process_gone", 1_100.0)


def test_an_end_that_was_seen_is_told_once(folder: Path) -> None:
    given = arguments()
    given["workload"]["faults"] = [{"fault": "F1", "fired": True, "process_gone_wall_ns": 5, "gone_ms": 1.0}]
    given["heal"]["healed"] = [{"fault": "F1", "process_gone_wall_ns": 6}]
    assert assemble(folder, **given)["faults"][0]["record"]["process_gone_wall_ns"] == 5
    assert "fault.process_gone" not in (folder / "events.jsonl").read_text()


def test_each_repeat_has_the_heal_after_it(folder: Path) -> None:
    between = {"converged": True, "duration_ms": 9.0, "samples": [], "healed": []}
    given = arguments()
    given["workload"]["repeats"] = [REPEAT | {"convergence": between}, REPEAT | {"repeat": 2}]
    written = assemble(folder, **given)
    assert [repeat["convergence"]["duration_ms"] for repeat in written["repeats"]] == [9.0, 12.5]
    assert written["convergence"]["duration_ms"] == 12.5


def test_a_repeat_after_which_nothing_was_healed_has_no_heal(folder: Path) -> None:
    given = arguments()
    given["workload"]["repeats"] = [REPEAT, REPEAT | {"repeat": 2}]
    written = assemble(folder, **given)
    assert [repeat["convergence"] is None for repeat in written["repeats"]] == [True, False]


def test_members_that_differed_after_the_last_repeat_stay_told(folder: Path) -> None:
    differed = {"converged": False, "duration_ms": None, "samples": [], "healed": [], "reasons": ["they differ"]}
    given = arguments()
    given["workload"]["repeats"] = [REPEAT | {"convergence": differed}]
    assert assemble(folder, **given)["convergence"] == differed


def test_a_process_that_ended_between_repeats_is_completed_by_the_heal_there(folder: Path) -> None:
    gone = {"fault": "F1@1", "member": "etcd1", "pid": 7, "signal_sent_wall_ns": 5, "process_gone_wall_ns": 1_000_005}
    record = {"fault": "F1@1", "fired": True, "process_gone_wall_ns": None, "gone_ms": None}
    given = arguments()
    given["definition"]["faults"] = [FAULT | {"id": "F1@1"}, FAULT | {"id": "F1@2"}]
    given["workload"]["faults"] = [record, record | {"fault": "F1@2"}]
    given["workload"]["repeats"] = [REPEAT | {"convergence": {"healed": [gone]}}, REPEAT | {"repeat": 2}]
    records = [fault["record"] for fault in assemble(folder, **given)["faults"]]
    assert [record["gone_ms"] for record in records] == [1.0, None]


@pytest.mark.parametrize(("set_by_ms", "moved"), [(-3000, True), (3000, True), (0.5, False)])
def test_a_wall_clock_set_before_the_heal_does_not_move_the_heal(folder: Path, set_by_ms: float, moved: bool) -> None:
    set_by_ns = int(set_by_ms * 1e6)
    finished = event(LATE_NS - 2, "experiment.finished")
    finished["data"] = {"clock_base_ns": 1000}
    write_lines(folder / "events.jsonl", [event(EARLY_NS, "experiment.started"), finished])
    # The agent keeps its clock; the heal's process has read the wall clock anew.
    converged = event(LATE_NS + 7 + set_by_ns, "cluster.converged")
    write_lines(folder / "heal.jsonl", [event(LATE_NS - 1, "fault.healed", "etcd1"), converged])
    given = arguments()
    sample = {"wall_ns": LATE_NS + 5 + set_by_ns, "members": {}}
    given["heal"] |= {
        "clock_base_ns": 1000 + set_by_ns, "started_wall_ns": LATE_NS + 3 + set_by_ns, "samples": [sample],
    }  # fmt: skip
    written = assemble(folder, **given)
    off = 0 if moved else set_by_ns
    assert written["convergence"]["started_wall_ns"] == LATE_NS + 3 + off
    assert written["convergence"]["samples"] == [{"wall_ns": LATE_NS + 5 + off, "members": {}}]
    told = {
        item["event"]: item["wall_ns"] for item in map(json.loads, (folder / "events.jsonl").read_text().splitlines())
    }
    assert (told["fault.healed"], told["cluster.converged"]) == (LATE_NS - 1, LATE_NS + 7 + off)


def test_what_was_settled_stands_in_the_history(folder: Path) -> None:
    rows = [ROW._replace(index=index, outcome="unknown", affected=None) for index in range(4)]
    with HistoryWriter(folder / "history.jsonl", {"origin_wall_ns": EARLY_NS}) as writer:
        for row in [*rows, ROW._replace(index=4)]:
            writer.append(row)

    def settled(wall_ns: int, write: int, applied: bool) -> dict[str, Any]:
        data = {"client": 0, "index": 4, "write": write, "applied": applied, "revision": None}
        return {"wall_ns": wall_ns, "source": "client1", "event": "client.write_settled", "data": data}

    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    write_lines(folder / "events.jsonl", [*events, settled(EARLY_NS + 70, 0, True)])
    write_lines(folder / "heal.jsonl", [settled(EARLY_NS + 90, 1, False), settled(EARLY_NS + 95, 4, False)])
    assemble(folder, **arguments())
    _, table = read_parquet(folder / "history.parquet")
    assert table["settled"].to_pylist() == ["applied", "not applied", None, None, None]
    assert table["settled_ns"].to_pylist() == [70, 90, None, None, None]
