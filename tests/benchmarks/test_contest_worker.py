# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from contest.contenders import WORKER
from contest.protocol import operation_lines, read_answer, turn_line
from contest.worker import MadeClient, take_turn

SHARES = {0: [("CREATE", "a", "1"), ("DELETE", "a")], 1: [("RETRIEVE", "b")]}


def test_each_client_runs_its_share() -> None:
    done: dict[int, list[tuple[str, str, str | None]]] = {0: [], 1: []}

    def client(number: int) -> MadeClient:
        return MadeClient(lambda *operation: done[number].append(operation), lambda: None)

    begin_s = time.time() + 0.05
    answer = take_turn({number: client(number) for number in done}, SHARES, begin_s)
    assert time.time() >= begin_s
    assert answer.error is None
    assert 0 <= answer.wall_s < 5
    assert done == {0: [("CREATE", "a", "1"), ("DELETE", "a", None)], 1: [("RETRIEVE", "b", None)]}


def test_clients_run_at_once() -> None:
    clients = {number: MadeClient(lambda *_operation: time.sleep(0.2), lambda: None) for number in range(2)}
    assert take_turn(clients, {0: [("RETRIEVE", "a")], 1: [("RETRIEVE", "b")]}, time.time()).wall_s < 0.39


def test_an_operation_that_failed_is_told() -> None:
    def apply(*_operation: object) -> object:
        raise OSError("no")

    assert take_turn({0: MadeClient(apply, lambda: None)}, {0: SHARES[0]}, time.time()).error == "OSError: no"


@pytest.mark.parametrize(
    ("system", "contender"),
    [("etcd", "safe"), ("etcd", "blind"), ("etcd", "grpcio"), ("mysql", "safe"), ("mysql", "PyMySQL")],
)
def test_a_server_that_is_not_there_is_told_in_one_line(system: str, contender: str) -> None:
    account = ("lab", "failover_lab") if system == "mysql" else ()
    said = subprocess.run(
        [*WORKER, system, contender, "127.0.0.1:9", *account],
        env={**os.environ, "MYSQL_PWD": "word"},
        input="".join(operation_lines([SHARES], "P-")) + turn_line(0, 0.0),
        capture_output=True,
        text=True,
    )
    assert said.returncode == 1
    assert "127.0.0.1" in str(read_answer(said.stdout).error)


def test_it_starts_from_any_folder(tmp_path: Path) -> None:
    said = subprocess.run((*WORKER, "etcd", "none", "h:1"), cwd=tmp_path, input="\n", capture_output=True, text=True)
    assert read_answer(said.stdout).error == "KeyError: 'none'"
    assert WORKER[0] == sys.executable
