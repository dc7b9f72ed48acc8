# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "scripts" / "check_modules", folder]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_planted_mismatches_are_named(tmp_path: Path) -> None:
    text = (ROOT / "library" / "host_preflight_info.py").read_text(encoding="utf-8")
    for right, wrong in (("default: 0\n", "default: 5\n"), ("    type: int\n", "    type: str\n")):
        text = text.replace(right, wrong, 1)
    (tmp_path / "host_preflight_info.py").write_text(text.replace("    required: true\n", "", 1), encoding="utf-8")
    done = check(tmp_path)
    assert done.returncode == 1
    for code in ("doc-default-does-not-match-spec", "doc-type-does-not-match-spec", "doc-required-mismatch"):
        assert f"/host_preflight_info.py: {code}: " in done.stdout


def test_a_module_may_name_its_neighbour_by_its_short_name_and_nobody_else(tmp_path: Path) -> None:
    text = (ROOT / "library" / "workload_wait.py").read_text(encoding="utf-8")
    (tmp_path / "workload_wait.py").write_text(text, encoding="utf-8")
    done = check(tmp_path)
    assert done.returncode == 1
    assert 'Module name "workload_run" is not a FQCN' in done.stdout
    (tmp_path / "workload_run.py").write_bytes((ROOT / "library" / "workload_run.py").read_bytes())
    for neighbour in ("fault_heal", "experiment_plan_info", "workload_join", "workload_settle"):
        (tmp_path / f"{neighbour}.py").write_bytes((ROOT / "library" / f"{neighbour}.py").read_bytes())
    done = check(tmp_path)
    assert (done.returncode, done.stdout) == (0, "6 modules: documentation and argument specs agree\n")
