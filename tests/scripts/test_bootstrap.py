# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def test_an_error_that_nobody_thought_of_is_one_line_with_its_place_and_status_3() -> None:
    program = f"""import sys
sys.path.insert(0, {str(SCRIPTS)!r})
sys.argv = ["simulate"]
from _bootstrap import run
run(lambda: {{}}["no such key"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("simulate: KeyError: 'no such key' (<string>, line 5)")
