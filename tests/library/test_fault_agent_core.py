# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "module_utils/failover"
Run = Callable[..., dict[str, Any]]


def test_the_agents_code_is_written_once_and_runs(run_module: Run, tmp_path: Path) -> None:
    folder = tmp_path / "lab/failover"
    pretended = run_module("fault_agent_core", {"folder": str(folder)}, check=True)
    assert (pretended["changed"], folder.exists()) == (True, False)
    written = run_module("fault_agent_core", {"folder": str(folder)})
    assert written["written"] == pretended["written"] == written["files"]
    for name in written["files"]:
        assert (folder / name).read_bytes() == (CORE / name).read_bytes()
    assert not run_module("fault_agent_core", {"folder": str(folder)})["changed"]
    # With nothing but the standard library.
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(folder.parent)!r}); "]
    command[-1] += "import failover.agent.server as server; sys.argv[1:] = ['--help']; server.main()"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--config" in done.stdout


def test_a_file_that_was_changed_or_is_not_needed_any_more_is_put_right(run_module: Run, tmp_path: Path) -> None:
    folder = tmp_path / "failover"
    run_module("fault_agent_core", {"folder": str(folder)})
    (folder / "shapes.py").write_text("nothing\n")
    (folder / "former.py").write_text("")
    mended = run_module("fault_agent_core", {"folder": str(folder)})
    assert mended["written"] == ["shapes.py", "former.py"]
    assert (folder / "shapes.py").read_bytes() == (CORE / "shapes.py").read_bytes()
    assert not (folder / "former.py").exists()


def test_the_role_looks_at_the_files_that_the_module_writes(run_module: Run, tmp_path: Path) -> None:
    question = [
        *("ansible", "localhost", "--inventory", "localhost,", "--connection", "local"),
        *("--module-name", "debug", "--args", "msg={{ fault_agent_core }}"),
        *("--extra-vars", f"@{ROOT / 'roles/fault_agent/vars/main.yml'}"),
    ]
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    }
    program = str(Path(sys.executable).parent / question[0])
    done = subprocess.run(
        [program, *question[1:]], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    written = run_module("fault_agent_core", {"folder": str(tmp_path / "failover")})
    assert sorted(json.loads(done.stdout.partition("=> ")[2])["msg"]) == written["files"]
