# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import stat
from pathlib import Path

import pytest
from contest import sysbench
from contest.sysbench import SCRIPT, Sysbench, read_times, statement_of
from failover.shapes import LabError
from failover.systems.mysql.client import DELETE, INSERT, SELECT

TURNS = [{0: [("CREATE", "Ada7 router", "10.0.0.1")], 1: [("RETRIEVE", "Bo1 phone"), ("DELETE", "Bo1 phone")]}]
ACCOUNT = ("lab", "word", "failover_lab")


def in_full(statement: str, values: tuple[str, ...]) -> str:
    return statement % tuple(f"'{value}'" for value in values)


@pytest.mark.parametrize(
    ("operation", "statement"),
    [
        (("CREATE", "a", "1"), in_full(INSERT, ("P-a", "1"))),
        (("RETRIEVE", "a"), in_full(SELECT, ("P-a",))),
        (("DELETE", "a"), in_full(DELETE, ("P-a",))),
    ],
)
def test_the_statements_are_those_of_the_labs_client(operation: tuple[str, ...], statement: str) -> None:
    assert statement_of(operation, "P-", in_full) == statement


def test_a_turn_lasts_from_the_first_to_begin_to_the_last_to_end() -> None:
    assert read_times("turn 10.0 11.5 0.3 0.8\nsomething\nturn 10.1 12.0 0.2 0.9\n") == (2.0, pytest.approx(0.7))


def test_the_script_prints_what_is_read() -> None:
    assert r'"turn %.6f %.6f %.6f %.6f\n"' in SCRIPT.read_text(encoding="utf-8")


def in_place_of_sysbench(folder: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> None:
    program = folder / "sysbench"
    program.write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_it_is_given_a_turns_statements_and_where_to_send_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    does = f'cat "$BENCHMARK_STATEMENTS" "${{1#--config-file=}}" >{tmp_path}/given; echo "$@" >>{tmp_path}/given; '
    in_place_of_sysbench(tmp_path, monkeypatch, does + 'printf "turn 1 2 0 0.5\\nturn 1 3 0 0.5\\n"')
    contender = Sysbench("10.0.0.9:3307", ACCOUNT, TURNS, "P-", in_full)
    assert contender.take_turn(0) == (2.0, 0.5)
    folder = Path(contender._folder.name)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700, "the password is there"
    contender.close()
    assert not folder.exists()
    *lines, arguments = (tmp_path / "given").read_text(encoding="utf-8").splitlines()
    assert lines == [
        f"0\t{in_full(INSERT, ('P-Ada7 router', '10.0.0.1'))}",
        f"1\t{in_full(SELECT, ('P-Bo1 phone',))}",
        f"1\t{in_full(DELETE, ('P-Bo1 phone',))}",
        *("mysql-host=10.0.0.9", "mysql-port=3307", "mysql-user=lab", "mysql-password=word", "mysql-db=failover_lab"),
    ]
    assert "--threads=2" in arguments
    assert "word" not in arguments, "everybody sees a program's arguments"


@pytest.mark.parametrize(
    "does", ["echo FATAL: no; exit 1", "echo turn 1 2 0 1", "exit 0"], ids=["fails", "lacks a thread", "says nothing"]
)
def test_a_turn_that_was_not_run_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> None:
    in_place_of_sysbench(tmp_path, monkeypatch, does)
    contender = sysbench.Sysbench("10.0.0.9:3307", ACCOUNT, TURNS, "P-", in_full)
    with pytest.raises(LabError, match="sysbench: "):
        contender.take_turn(0)
    contender.close()
