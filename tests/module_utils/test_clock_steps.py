# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Results folders made while a wall clock was set, made of one in which none was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from failover.checks.verdict import verify_experiment
from failover.clock_steps import find_steps, placed_faults, told
from failover.measured.columns import columns_of
from failover.measured.steady import without_steps
from failover.report.outage.faults import describe_faults
from failover.results.read import load_experiment
from failover.shapes import Event
from planted.run import make_run

MS = 1_000_000

Change = Callable[[list[dict[str, Any]], dict[str, Any]], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", iterations=2000, experiments=["E2-etcd"]).path / "E2-etcd"


def changed(folder: Path, change: Change) -> None:
    path, described = folder / "events.jsonl", folder / "experiment.json"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    info = json.loads(described.read_text())
    change(events, info)
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    described.write_text(json.dumps(info))


def after_the_signal(step_ms: float, *, in_order: bool = False, records: bool = False) -> Change:
    """The clock of all hosts is set right after the signal."""

    def change(events: list[dict[str, Any]], info: dict[str, Any]) -> None:
        signal = next(number for number, event in enumerate(events) if event["event"] == "fault.signal_sent")
        for event in events[signal + 1 :]:
            event["wall_ns"] += int(step_ms * MS)
        if records:
            for fault in info["faults"]:
                for name in ("process_gone_wall_ns", "healed_wall_ns"):
                    if fault["record"].get(name) is not None:
                        fault["record"][name] += int(step_ms * MS)
        if in_order:
            events.sort(key=lambda event: event["wall_ns"])

    return change


def test_a_folder_without_a_step_has_no_sign_of_one(folder: Path) -> None:
    assert "clocks" not in [check.name for check in verify_experiment(folder)]
    experiment = load_experiment(folder, need_verdict=False)
    assert without_steps(experiment, columns_of(experiment.history()[1])) is None


@pytest.mark.parametrize("step_ms", [-3000, -200, 3000, 100_000])
@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("records", [False, True])
def test_a_step_is_found_and_no_outage_told(folder: Path, step_ms: float, in_order: bool, records: bool) -> None:
    changed(folder, after_the_signal(step_ms, in_order=in_order, records=records))
    (check,) = [check for check in verify_experiment(folder) if check.name == "clocks"]
    assert check.verdict == "unknown"
    assert any(abs(sign["step_ms"] - step_ms) < 100 for sign in check.evidence["listed"]), check.evidence
    experiment = load_experiment(folder, need_verdict=False)
    columns = columns_of(experiment.history()[1])
    steady = without_steps(experiment, columns)
    assert steady is not None
    assert "a wall clock was set during the run" in steady.note
    (fault,), (operations,) = describe_faults(steady.info, columns, None)
    assert (fault["fired"], fault["gap"], fault["marks"], operations) == (True, None, [], {})
    assert "nobody knows which operations" in fault["untold"]


def test_a_server_whose_clock_alone_was_set_is_found(folder: Path) -> None:
    def change(events: list[dict[str, Any]], _: dict[str, Any]) -> None:
        for event in events:
            if event["event"].startswith("server."):
                event["wall_ns"] -= 500 * MS

    changed(folder, change)
    (check,) = [check for check in verify_experiment(folder) if check.name == "clocks"]
    assert "and is stamped earlier" in check.summary


INFO: dict[str, Any] = {"origin_wall_ns": 10**18, "rate": 0.0, "faults": [], "repeats": []}


def at(name: str, ms: float, **data: Any) -> Event:
    return Event(10**18 + int(ms * MS), "client1", name, data)


def one_operation(index: int) -> tuple[int, int] | None:
    return (100 * MS, 600 * MS) if index == 7 else None


@pytest.mark.parametrize(
    ("event", "step_ms"),
    [
        (at("client.attempt_failed", 599, index=7), None),
        (at("client.attempt_failed", 90, index=7), None),
        (at("client.attempt_failed", 40, index=7), -60),
        (at("client.attempt_failed", 5600, index=7), 5000),
        (at("client.attempt_failed", 5600, index=8), None),
        (at("client.attempt_failed", 5600, index=None), None),
        (at("fault.requested", 99, index=7), None),
        (at("fault.requested", -5000, index=7), -3100),
        (at("fault.requested", 5000, index=7), 4400),
        (at("repeat.started", 1000, repeat=2), None),
        (at("repeat.started", -1000, repeat=2), -2000),
        (at("repeat.finished", 9000, repeat=2), 7000),
        (at("experiment.finished", 2500), None),
        (at("experiment.finished", 1000), -1000),
        (at("experiment.finished", 32_000), 30_000),
        (at("experiment.finished", 32_000, interrupted=True), None),
        (at("experiment.started", 0), None),
        (at("experiment.started", -30), -30),
    ],
)
def test_stamps_are_held_against_the_operations(event: Event, step_ms: float | None) -> None:
    repeat = {"repeat": 2, "began_ns": 1000 * MS, "ended_ns": 2000 * MS, "convergence": None}
    found = [step.step_ns / MS for step in find_steps({**INFO, "repeats": [repeat]}, [event], one_operation)]
    assert found == ([] if step_ms is None else [step_ms])


RECORD = {
    "fault": "F1", "member": "etcd1", "index_called": 7, "delay_ms": 5.0, "role_checked_wall_ns": 1000 * MS,
    "signal_sent_wall_ns": 1001 * MS, "process_gone_wall_ns": 1100 * MS, "clock_offset_ns": 3,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "step_ms"),
    [
        ({}, []),
        ({"process_gone_wall_ns": None}, []),
        # What the agent itself says of its host's clock, while its own stamps stay in order.
        ({"clock_stepped_ns": 900}, []),
        ({"clock_stepped_ns": -3000 * MS}, [-3000]),
        ({"process_gone_wall_ns": 500 * MS}, [-501]),
        ({"signal_sent_wall_ns": 900 * MS}, [-100]),
    ],
)
def test_an_agents_stamps_are_held_against_their_order(changes: dict[str, Any], step_ms: list[float]) -> None:
    fault = {"id": "F1", "action": "kill", "record": RECORD | changes}
    found = find_steps({**INFO, "faults": [fault]}, [], one_operation)
    assert [step.step_ns / MS for step in found] == step_ms
    if found:
        assert "F1" in told(found)


def test_a_heal_before_its_signal_is_found() -> None:
    done = RECORD | {"heal_requested_wall_ns": 900 * MS, "healed_wall_ns": 950 * MS}
    repeat = {"repeat": 1, "began_ns": 0, "ended_ns": 0, "convergence": {"healed": [done], "earlier": []}}
    (step,) = find_steps({**INFO, "repeats": [repeat]}, [], one_operation)
    assert step.as_dict() == {
        "step_ms": -101.0,
        "proof": "of F1, heal requested is stamped before signal sent on etcd1",
    }


def test_signals_are_placed_by_the_operations() -> None:
    def placed(**changes: Any) -> int | None:
        fault = {"id": "F1", "action": "kill", "record": RECORD | changes}
        (told_of,) = placed_faults({**INFO, "faults": [fault]}, one_operation)
        moment = told_of["record"]["signal_sent_wall_ns"]
        return None if moment is None else (moment - INFO["origin_wall_ns"]) // MS

    assert placed() == 105
    assert placed(index_called=None) is None
    assert placed(index_called=8) is None
    assert placed(delay_ms=-3000.0) is None
    assert placed_faults({**INFO, "faults": [{"id": "F1", "record": None}]}, one_operation) == [
        {"id": "F1", "record": None}
    ]
