# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from verified import verified_run

ROOT = Path(__file__).resolve().parents[2]
Call = Callable[..., "subprocess.CompletedProcess[str]"]


def report(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/report with this Python."""
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "report", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        # The tests' own Python has all packages; the lab's environment need not be there.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
    )


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("results") / "run-one"
    return verified_run(path, iterations=400, experiments=["E1-etcd", "E2-etcd"])


def copy_of(folder: Path, target: Path) -> Path:
    """Copy a results folder without the reports in it."""
    for file in folder.rglob("*"):
        if file.is_file() and not file.name.startswith("report."):
            new = target / file.relative_to(folder)
            new.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(file.read_bytes())
    return target


def test_report_is_made_from_the_folder_alone(run_folder: Path) -> None:
    done = report(run_folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(run_folder / name) for name in ("report.pdf", "report.html", "report.json")]
    assert (run_folder / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert "analyse E2-etcd" in done.stderr
    assert not list(run_folder.glob(".*"))
    assert all(line.startswith("report: ") for line in done.stderr.splitlines()), done.stderr


@pytest.mark.parametrize(
    ("name", "cut", "words"),
    [
        ("run.json", None, "run.json"),
        ("verdict.json", None, "verdict.json is missing"),
        ("E2-etcd/experiment.json", 100, "damaged or cut short"),
        ("E2-etcd/history.parquet", 1000, "history.parquet"),
        ("E2-etcd/history.parquet", None, "history.parquet"),
        ("E1-etcd/verdict.json", 0, "verdict.json"),
    ],
)
def test_a_damaged_folder_ends_in_one_line(
    call: Call, run_folder: Path, tmp_path: Path, name: str, cut: int | None, words: str
) -> None:
    folder = copy_of(run_folder, tmp_path / "run-one")
    for former in ("report.pdf", "report.html", "report.json"):
        (folder / former).write_text("of other files")
    if cut is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes((folder / name).read_bytes()[:cut])
    done = call("report", "--quiet", folder)
    assert done.returncode == 3
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert words in done.stderr
    assert not list(folder.glob("report.*")), "what is left is of other files"


def test_a_report_does_without_damaged_files_and_says_so(call: Call, run_folder: Path, tmp_path: Path) -> None:
    folder = copy_of(run_folder, tmp_path / "run-one")
    damaged = ("E2-etcd/events.jsonl", "E1-etcd/nodes/etcd1.jsonl")
    for name in damaged:
        (folder / name).write_bytes((folder / name).read_bytes()[:300])
    done = call("report", "--quiet", folder)
    assert done.returncode == 0, done.stderr
    page = (folder / "report.html").read_text(encoding="utf-8")
    for name in damaged:
        assert f"this report lacks a file: {name} is cut short in line" in page


def test_reports_in_a_folder_that_is_no_runs_are_left_alone(call: Call, tmp_path: Path) -> None:
    (tmp_path / "report.pdf").write_text("mine")
    assert call("report", tmp_path).returncode == 3
    assert (tmp_path / "report.pdf").read_text() == "mine"


def test_without_pango_the_other_two_are_written_and_the_package_named(run_folder: Path, tmp_path: Path) -> None:
    folder = copy_of(run_folder, tmp_path / "run-one")
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "weasyprint.py").write_text(
        "raise OSError(\"cannot load library 'libpango-1.0-0': no such file\\n\\nsee the documentation\")\n"
    )
    done = report("--quiet", folder, PYTHONPATH=str(tmp_path / "packages"))
    assert done.returncode == 3
    assert done.stderr == (
        "report: report.pdf cannot be made: the system library Pango is missing (cannot load library "
        "'libpango-1.0-0': no such file); on Debian: apt-get install libpango-1.0-0 libpangoft2-1.0-0 "
        f"libharfbuzz-subset0. {folder}/report.html and report.json are written\n"
    )
    assert json.loads((folder / "report.json").read_text(encoding="utf-8"))["pdf_pages"] is None
    assert "</html>" in (folder / "report.html").read_text(encoding="utf-8")
    assert not (folder / "report.pdf").exists()
    assert not list(folder.glob(".*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a mount namespace")
def test_a_folder_that_cannot_be_written_to_is_named(run_folder: Path, tmp_path: Path) -> None:
    """An archive, or a full disk: what is wrong is the folder, not the lab."""
    folder = copy_of(run_folder, tmp_path / "run-one")
    verify = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from failover.checks.verdict import verify\nfrom failover.shapes import LabError\n"
        "try: verify(sys.argv[2], 'E1-etcd')\nexcept LabError as error: print(error)"
    )
    script = (
        'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && '
        '"$2" "$3/scripts/report" --quiet "$1" 2>&1; echo "status $?"; "$2" -c "$4" "$3/module_utils" "$1"'
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", folder, sys.executable, ROOT, verify],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr}")
    reported, status, verified = done.stdout.splitlines()
    assert status == "status 3"
    for line, name in ((reported, "report.pdf"), (verified, "verdict.json")):
        assert f"{folder}/{name} cannot be written: Read-only file system; check the space and the rights in" in line


def test_a_folder_that_is_not_there_is_named(call: Call, tmp_path: Path) -> None:
    done = call("report", tmp_path / "nothing")
    assert done.returncode == 3
    assert str(tmp_path / "nothing") in done.stderr
    assert len(done.stderr.splitlines()) <= 2  # the step that was begun is not reported as done


def test_arguments_are_explained(call: Call) -> None:
    done = call("report")
    assert done.returncode == 3
    assert "RESULTS_FOLDER" in done.stderr
