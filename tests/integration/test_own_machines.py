# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A lab on virtual machines of its own, emulated where KVM runs no guest: what only machines can do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from failover.machines.machine import Machine
from real_lab import ETCD, RealLab

# Minutes, as emulated machines boot and answer slowly.
pytestmark = pytest.mark.long
EXPERIMENTS = ["E2-etcd", "E14-etcd", "E18-etcd"]


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_a_stop_a_loss_of_power_and_a_wrong_clock(vms: RealLab) -> None:
    ended = vms.front("run", experiments=EXPERIMENTS)
    assert ended.status == 0, ended.output
    assert vms.verdict() == "valid"
    run = vms.newest_run()
    described = read(run / "run.json")
    accelerator = described["controller"]["accelerator"]
    assert described["controller"]["hypervisor"].startswith("qemu ")
    page = (run / "report.html").read_text(encoding="utf-8")
    assert ("The hosts are emulated" in page) is (accelerator == "tcg")

    [lost] = read(run / "E14-etcd/experiment.json")["faults"]
    record = lost["record"]
    assert (record["via"], record["healed_by"], record["inject_error"]) == ("qemu", "request", None)
    assert "were not on its disk" in record["effect"]
    assert record["process_gone_wall_ns"] >= record["signal_sent_wall_ns"]

    [skewed] = read(run / "E18-etcd/experiment.json")["faults"]
    record = skewed["record"]
    assert record["effect"].startswith("its clock went from right to +5,0")
    assert abs(record["clock_gained_ns"] - 5_000_000_000) < 100_000_000
    # Set back, and not a step in the lab's own stamps.
    assert abs(record["clock_stepped_ns"]) < 50_000_000


def test_machines_that_died_are_started_with_their_data(vms: RealLab) -> None:
    machines = {name: Machine(vms.state_dir / "machines" / name) for name in ETCD}
    for name in ETCD[:2]:
        assert machines[name].cut() is not None
    ended = vms.play("heal")
    assert ended.status == 0, ended.output
    assert all(machine.runs() for machine in machines.values())
    # They are full members of the cluster that they were in.
    again = vms.front("run", experiments=["E1-etcd"], iterations=100)
    assert again.status == 0, again.output
    assert vms.verdict() == "valid"
