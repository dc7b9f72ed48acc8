# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The simulated histories of benchmarks/linearizability.py are what it says they are."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from failover.checks.linearizability import check
from failover.checks.operations import Action, Answer

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "linearizability.py"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_of_linearizability", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("unknown", [0.0, 0.05])
@pytest.mark.parametrize(("clients", "keys"), [(3, 4), (24, 1)])
def test_one_stale_read_makes_a_history_wrong(program: ModuleType, clients: int, keys: int, unknown: float) -> None:
    case = program.Case("small", 1_500, clients, keys, unknown)
    valid = program.history_of(case, 4)
    stale = program.history_of(replace(case, is_stale=True), 4)
    assert check(valid).answer is Answer.LINEARIZABLE
    assert check(stale).answer is Answer.NOT_LINEARIZABLE
    differ = [
        (one, other)
        for key, calls in valid.calls.items()
        for one, other in zip(calls, stale.calls[key], strict=True)
        if one != other
    ]
    assert [(one.action, other._replace(result=one.result)) for one, other in differ] == [(Action.READ, differ[0][0])]


def test_operations_overlap_as_many_as_there_are_clients(program: ModuleType) -> None:
    calls = [call for own in program.history_of(program.Case("", 1_000, 5, 1, 0.1), 4).calls.values() for call in own]
    known = [call for call in calls if call.end is not None]
    assert max(sum(one.begin <= call.begin <= one.end for one in known) for call in known) == 5
    # Reads of unknown outcome say nothing.
    assert 0.03 < 1 - len(known) / len(calls) < 0.12
    assert {call.action for call in known} == {Action.READ, Action.WRITE, Action.CAS, Action.REMOVE}


def test_a_row_of_the_table(program: ModuleType) -> None:
    case = program.Case("small, stale", 400, 4, 1, 0.0, is_stale=True)
    *_, row = program.rows((case,), 4)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:6] == ["small, stale", "400", "4", "1", "0.0%", "not linearizable"]
    assert cells[9:11] == ["held", "-"]
    assert int(cells[11]) >= 2
