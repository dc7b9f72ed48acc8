# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from contest.protocol import Answer, clients_of, operation_lines, read_answer, read_operations, read_turn, turn_line
from failover.workloads.base import CREATE, DELETE, RETRIEVE

ROOT = Path(__file__).resolve().parents[2]
TURNS = [
    {0: [("CREATE", "Ada7 router", "10.0.0.1"), ("RETRIEVE", "Ada7 router")], 3: [("CREATE", "Bo1 phone", "10.0.0.2")]},
    {3: [("DELETE", "Bo1 phone")]},
]


def test_operations_arrive_as_they_were_sent() -> None:
    sent = "".join(operation_lines(TURNS, "P-"))
    assert sent.splitlines()[0] == "0\t0\tCREATE\tP-Ada7 router\t10.0.0.1"
    lines = io.StringIO(sent + "0 12.5\n")
    assert read_operations(lines) == [
        {client: [(kind, f"P-{key}", *value) for kind, key, *value in share] for client, share in shares.items()}
        for shares in TURNS
    ]
    assert read_turn(lines.readline()) == (0, 12.5), "what follows is left for whoever reads the turns"


def test_a_turn_without_a_share_of_this_program_is_empty() -> None:
    assert read_operations(io.StringIO("1\t2\tRETRIEVE\tkey\t\n\n")) == [{}, {2: [("RETRIEVE", "key")]}]


def test_the_clients_are_those_with_a_share() -> None:
    assert clients_of(TURNS) == [0, 3]


def test_the_time_of_a_turn_is_exact_to_the_microsecond() -> None:
    assert read_turn(turn_line(7, 1_764_535_000.123456)) == (7, 1_764_535_000.123456)


def test_answers_arrive_as_they_were_sent() -> None:
    for answer in (Answer(), Answer(1.5, 0.25), Answer(error="OSError: no")):
        assert read_answer(answer.line()) == answer


@pytest.mark.parametrize("line", ["", "Killed\n", "[]\n", "3\n", '{"wall_s": 1}\n', '{"wall_s": null, "cpu_s": 1}\n'])
def test_a_line_that_is_no_answer_is_an_error(line: str) -> None:
    assert read_answer(line).error is not None


def test_the_program_in_go_speaks_the_same() -> None:
    """It is built where there is Go, which the tests do without."""
    source = (ROOT / "benchmarks" / "go" / "main.go").read_text(encoding="utf-8")
    assert re.findall(r'case "(\w+)":', source) == [CREATE, RETRIEVE, DELETE]
    told = json.loads(Answer(1.0, 1.0, "why").line())
    assert re.findall(r'`json:"(\w+)', source) == list(told)
    fields = next(operation_lines(TURNS, "")).split("\t")
    assert f"len(fields) != {len(fields)}" in source
    assert "clientv3.New" in source
