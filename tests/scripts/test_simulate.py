# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Call = Callable[..., "subprocess.CompletedProcess[str]"]
SIMULATE = Path(__file__).resolve().parents[2] / "scripts" / "simulate"
DIGEST = "b6c03dcb14624de31203a5215e37ed90d6633b9c923981337436360d53ddeeeb"


def simulate(*arguments: str, python: tuple[str, ...] = (sys.executable,)) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*python, str(SIMULATE), *arguments], capture_output=True, text=True, check=False)


def test_json_is_one_object_with_the_five_keys() -> None:
    done = simulate("--iterations", "1000", "--seed", "1", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {
        "CREATE": 421,
        "RETRIEVE": 397,
        "DELETE": 182,
        "expected_keys": 239,
        "digest": DIGEST,
    }


def test_text_says_the_same() -> None:
    lines = simulate("--iterations", "1000", "--seed", "1").stdout.splitlines()
    assert [line.split()[-1] for line in lines] == ["421", "397", "182", "239", DIGEST]
    assert lines[3].startswith("expected keys")


def test_it_needs_the_standard_library_only() -> None:
    # -S: without the site-packages of any environment.
    done = simulate("--iterations", "1000", "--seed", "1", python=(sys.executable, "-S", "-E"))
    assert (done.returncode, DIGEST in done.stdout) == (0, True)


def test_it_can_be_started_by_itself_from_anywhere(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(SIMULATE), "--iterations=5", "--seed=-3"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--iterations", "0", "--seed", "1"], "above 0"),
        (["--iterations", "-5", "--seed", "1"], "above 0"),
        (["--iterations", "many", "--seed", "1"], "whole number"),
        (["--iterations", "1.5", "--seed", "1"], "whole number"),
        (["--iterations", "", "--seed", "1"], "whole number"),
        (["--iterations", "10", "--seed", "x"], "whole number"),
        (["--iterations", "10"], "--seed"),
        (["--seed", "1"], "--iterations"),
        ([], "--iterations"),
        (["--iterations", "10", "--seed", "1", "--yaml"], "--yaml"),
    ],
)
def test_bad_input_is_one_line_and_status_3(call: Call, arguments: list[str], words: str) -> None:
    done = call("simulate", *arguments)
    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr


def test_a_reader_that_leaves_makes_no_traceback() -> None:
    done = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" "{SIMULATE}" --iterations 1000 --seed 1 | true'],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
