# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import sys
from collections import defaultdict

import pytest
from contest.turns import Figures, Programs, share_out, split, take_turns
from failover.shapes import LabError
from failover.workloads.registry import create_simulation

# Says how many operations it was given as its CPU time, and its own number as wall time; fails in turn 1 if told so.
PROGRAM = """
import json, sys, time
operations = 0
for line in iter(sys.stdin.readline, "\\n"):
    operations += 1
print(json.dumps({"wall_s": 0, "cpu_s": 0}), flush=True)
for line in sys.stdin:
    turn, begin_s = line.split()
    late_s = time.time() - float(begin_s)
    told = {"wall_s": operations / 10, "cpu_s": operations}
    if late_s > 0:
        told["error"] = "it was told too late"
    if turn == sys.argv[1]:
        told["error"] = "OSError: no"
    print(json.dumps(told), flush=True)
"""


def test_shares_are_the_stream_and_a_keys_operations_stay_in_order() -> None:
    operations = create_simulation(3_000, 5)
    turns = share_out(operations, 8, 4)
    assert sum(len(share) for shares in turns for share in shares.values()) == len(operations)
    of_key = defaultdict(list)
    for operation in operations:
        of_key[operation[1]].append(operation)
    shared, owner = defaultdict(list), {}
    for shares in turns:
        assert list(shares) == list(range(8))
        for client, share in shares.items():
            for operation in share:
                assert owner.setdefault(operation[1], client) == client
                shared[operation[1]].append(operation)
    assert shared == of_key


def test_too_few_operations_are_refused() -> None:
    with pytest.raises(LabError, match="too few"):
        share_out(create_simulation(50, 5), 8, 20)


@pytest.mark.parametrize("processes", [1, 2, 3, 8, 20])
def test_processes_split_the_clients_among_them(processes: int) -> None:
    turns = share_out(create_simulation(3_000, 5), 8, 4)
    parts = split(turns, processes)
    assert len(parts) == min(processes, 8)
    assert all(any(shares for shares in part) for part in parts)
    for turn, shares in enumerate(turns):
        together = {client: share for part in parts for client, share in part[turn].items()}
        assert together == shares
        assert sum(len(part[turn]) for part in parts) == len(shares)


def programs(processes: int = 2, fails_in: str = "none") -> Programs:
    turns = [{0: [("RETRIEVE", "a")], 1: [("RETRIEVE", "b"), ("RETRIEVE", "c")]}]
    return Programs("double", [sys.executable, "-c", PROGRAM, fails_in], turns, "P-", processes=processes)


@pytest.mark.parametrize(("processes", "wall_s"), [(1, 0.3), (2, 0.2)])
def test_a_turn_is_as_long_as_its_slowest_process_and_costs_what_all_cost(processes: int, wall_s: float) -> None:
    contender = programs(processes)
    assert contender.take_turn(0) == (pytest.approx(wall_s), 3.0)
    assert contender.take_turn(1) == (pytest.approx(wall_s), 3.0), "the programs stay"
    contender.close()
    assert [started.returncode for started in contender._started] == [0] * processes


def test_an_operation_that_failed_ends_the_measurement() -> None:
    contender = programs(fails_in="1")
    contender.take_turn(0)
    with pytest.raises(LabError, match="double: OSError: no"):
        contender.take_turn(1)
    contender.close()


def test_a_program_that_does_not_get_ready_is_named() -> None:
    with pytest.raises(LabError, match="double: it ended"):
        Programs("double", [sys.executable, "-c", "import sys; sys.exit(3)"], [{0: [("RETRIEVE", "a")]}], "P-")


def test_a_program_that_is_killed_is_named() -> None:
    contender = programs()
    contender._started[1].kill()
    with pytest.raises(LabError, match="double: it ended"):
        contender.take_turn(0)
    contender.close()


class Double:
    """A contender that takes 2 s a turn, and 1 s of CPU time."""

    def __init__(self, name: str, order: list[str]) -> None:
        self.name = name
        self._order = order

    def take_turn(self, turn: int) -> tuple[float, float]:
        self._order.append(f"{self.name}{turn}")
        return 2.0, 1.0

    def close(self) -> None: ...


def test_each_contender_begins_in_its_turn_and_figures_are_an_operation() -> None:
    order: list[str] = []
    turns = [{0: [("RETRIEVE", "a")] * 2, 1: [("RETRIEVE", "b")] * 2}] * 3
    figures = take_turns([Double(name, order) for name in "abc"], turns)
    assert order == ["a0", "b0", "c0", "b1", "c1", "a1", "c2", "a2", "b2"]
    assert figures == {name: Figures([0.5] * 3, [0.25] * 3) for name in "abc"}
