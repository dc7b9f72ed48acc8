# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from failover.shapes import HISTORY_COLUMNS, SCHEMA_VERSION, HistoryRow
from planted.run import make_run

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "tests" / "fixtures" / "corpus"
Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def check_history(call: Call) -> Call:
    return partial(call, "check_history")


@pytest.mark.parametrize(
    ("name", "file_format", "last_line", "status"),
    [
        ("jepsen/etcd_002.log", "jepsen", "linearizable", 0),
        ("jepsen/etcd_000.log", "jepsen", "not linearizable", 1),
        ("kv/c10-ok.txt", "kv", "linearizable", 0),
        ("kv/c01-bad.txt", "kv", "not linearizable", 1),
    ],
)
def test_the_corpus_with_the_format_given_and_guessed(
    check_history: Call, name: str, file_format: str, last_line: str, status: int
) -> None:
    for arguments in ([CORPUS / name], [CORPUS / name, "--format", file_format]):
        done = check_history(*arguments)
        assert done.stdout.splitlines()[-1] == last_line
        assert (done.returncode, done.stderr) == (status, "")
    if status:
        assert "no order of the operations explains" in done.stdout


def test_a_history_of_the_lab(check_history: Call, tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", iterations=2000, experiments=["E1-etcd", "E2-etcd"], plant="wrong_read")
    good = check_history(made.path / "E1-etcd" / "history.parquet")
    assert (good.returncode, good.stdout.splitlines()[-1]) == (0, "linearizable")
    bad = check_history(made.path / "E2-etcd" / "history.parquet", "--format", "lab")
    assert (bad.returncode, bad.stdout.splitlines()[-1]) == (1, "not linearizable")
    assert repr(made.details["key"]) in bad.stdout
    assert f"operation {made.details['index']}" in bad.stdout


def test_a_contradiction_is_explained_and_drawn(check_history: Call, tmp_path: Path) -> None:
    picture = tmp_path / "why.svg"
    done = check_history(CORPUS / "kv/c01-bad.txt", "--explain", "--svg", picture)
    assert (done.returncode, done.stderr) == (1, "")
    *_, first, second, last, verdict = done.stdout.splitlines()
    assert verdict == "not linearizable"
    assert first.startswith('  A, append "x 0 3 y" by process 0')
    assert second.endswith("It began after A had ended.")
    assert last.endswith("and nothing else that was done changes that.")
    assert "<svg" in picture.read_text()
    refused = check_history(CORPUS / "kv/c01-bad.txt", "--svg", tmp_path / "nowhere/why.svg")
    assert refused.returncode == 3
    assert refused.stderr.count("\n") == 1
    assert "cannot be written" in refused.stderr


def test_a_timeout_is_unknown_and_status_2(check_history: Call, tmp_path: Path) -> None:
    edges = [(a, b) for a in range(9) for b in range(9) if a != b] + [(0, 98), (1, 99)]
    stages = ["invoke", "ok"]
    log = [f"INFO  jepsen.util - 99\t:{stage}\t:write\t0" for stage in stages]
    log += [
        f"INFO  jepsen.util - {number}\t:{stage}\t:cas\t[{a} {b}]"
        for stage in stages
        for number, (a, b) in enumerate(edges)
    ]
    path = tmp_path / "hard.log"
    path.write_text("\n".join(log) + "\n")
    done = check_history(path, "--timeout", "0.3")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (2, "unknown")


def lab_history(**changes: Any) -> bytes:
    """One operation as the lab writes it down, but for ``changes``."""
    row = HistoryRow(0, 0, "CREATE", "k", "v", 0, 0, 5, "ok", 1, "etcd1:2379", None, None, None)._replace(**changes)
    meta = {"schema_version": SCHEMA_VERSION, "columns": list(HISTORY_COLUMNS), "origin_wall_ns": 1}
    return (json.dumps(meta) + "\n" + json.dumps(row) + "\n").encode()


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        (None, [], "cannot be read"),
        (b"", [], "is empty"),
        (b"hello\n", [], "none of the formats"),
        (b"hello\n", ["--format", "jepsen"], "line 1 is damaged"),
        (b"hello\n", ["--format", "kv"], "line 1 is not read"),
        (b"hello\n", ["--format", "lab"], "meta object"),
        (b"hello\n", ["--format", "csv"], "invalid choice"),
        (b"PAR1 and no more", [], "cut short"),
        (lab_history(outcome="okay"), [], "row 1 is no operation of this lab (kind 'CREATE', outcome 'okay'"),
        (lab_history(complete_ns="soon"), [], "from 0 to 'soon'"),
        (b"hello\n", ["--timeout", "0"], "--timeout"),
        (b"hello\n", ["--timeout", "soon"], "--timeout"),
        (b"hello\n", ["--timeout", "nan"], "--timeout"),
    ],
)
def test_what_cannot_be_checked_is_one_line_and_status_3(
    check_history: Call, tmp_path: Path, content: bytes | None, arguments: list[str], words: str
) -> None:
    path = tmp_path / "history"
    if content is not None:
        path.write_bytes(content)
    done = check_history(path, *arguments)
    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The parts that the script needs, in a place without a .venv."""
    path = tmp_path / "project"
    for folder in ("module_utils", "scripts"):
        shutil.copytree(ROOT / folder, path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return path


def run_in(project: Path, path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, str(project / "scripts" / "check_history"), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_goes_on_in_the_labs_environment(project: Path) -> None:
    log = CORPUS / "jepsen" / "etcd_002.log"
    python = project / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\necho "in .venv: $2"\nexec {sys.executable} "$@"\n')
    done = run_in(project, log)  # not executable yet: an environment half made is left alone
    assert (done.returncode, "in .venv" in done.stdout) == (0, False)
    os.chmod(python, 0o755)
    done = run_in(project, log)
    # This Python is not really of that environment, which must not make it start for ever.
    assert f"in .venv: {log}" in done.stdout
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert ".venv is damaged" in done.stderr


def test_without_pyarrow_it_says_what_is_missing(project: Path, tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", iterations=50, experiments=["E1-mysql"])
    # -S: without the site-packages of any environment.
    done = run_in(project, made.path / "E1-mysql" / "history.parquet", "-S", "-E")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert "pyarrow" in done.stderr
