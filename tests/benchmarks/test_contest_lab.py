# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from contest import lab
from contest.lab import endpoint_of, join_load_generator, mysql_password
from failover.shapes import LabError

ROOT = Path(__file__).resolve().parents[2]


def in_place_of_podman(folder: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> None:
    program = folder / "podman"
    program.write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_a_containers_address_is_asked_of_podman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = '[{"State": {"Running": true}, "NetworkSettings": {"Networks": {"x": {"IPAddress": "10.0.0.4"}}}}]'
    in_place_of_podman(tmp_path, monkeypatch, f"[ $3 = x-etcd1 ] && echo '{said}'")
    assert endpoint_of("x-etcd1", 2379) == "10.0.0.4:2379"
    assert endpoint_of("x-mysql1", 3306) is None


def test_a_container_that_is_stopped_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_place_of_podman(tmp_path, monkeypatch, """echo '[{"State": {"Running": false}}]'""")
    assert endpoint_of("x-etcd1", 2379) is None


def test_without_a_lab_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match="--etcd and --mysql"):
        endpoint_of("x-etcd1", 2379)
    in_place_of_podman(tmp_path, monkeypatch, "exit 125")
    with pytest.raises(LabError, match="no lab x runs here"):
        join_load_generator("x")


def test_the_password_is_the_labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "ROOT", tmp_path)
    with pytest.raises(LabError, match="password of lab x"):
        mysql_password("x")
    (tmp_path / ".lab" / "x" / "credentials").mkdir(parents=True)
    (tmp_path / ".lab" / "x" / "credentials" / "mysql_password").write_text("word\n", encoding="utf-8")
    assert mysql_password("x") == "word"


def test_the_command_fails_in_one_line_where_it_cannot_measure(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "clients.py", "--etcd", "127.0.0.1:9"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert (said.returncode, said.stdout) == (3, "")
    assert said.stderr.startswith("benchmark: etcd at 127.0.0.1:9 does not answer")
    assert said.stderr.count("\n") == 1
