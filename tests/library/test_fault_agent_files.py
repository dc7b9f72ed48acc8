# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import json
import stat
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
    pretended = run_module("fault_agent_files", {"folder": str(folder)}, check=True)
    assert (pretended["changed"], folder.exists()) == (True, False)
    written = run_module("fault_agent_files", {"folder": str(folder)})
    assert written["written"] == pretended["written"] == written["files"]
    for name in written["files"]:
        assert (folder / name).read_bytes() == (CORE / name).read_bytes()
    assert not run_module("fault_agent_files", {"folder": str(folder)})["changed"]
    # With nothing but the standard library.
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(folder.parent)!r}); "]
    command[-1] += "import failover.agent.server as server; sys.argv[1:] = ['--help']; server.main()"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--config" in done.stdout


def test_a_file_that_was_changed_or_is_not_needed_any_more_is_put_right(run_module: Run, tmp_path: Path) -> None:
    folder = tmp_path / "failover"
    run_module("fault_agent_files", {"folder": str(folder)})
    (folder / "shapes.py").write_text("nothing\n")
    (folder / "former.py").write_text("")
    mended = run_module("fault_agent_files", {"folder": str(folder)})
    assert mended["written"] == ["shapes.py", "former.py"]
    assert (folder / "shapes.py").read_bytes() == (CORE / "shapes.py").read_bytes()
    assert not (folder / "former.py").exists()


def test_the_files_beside_it_are_written_with_their_permissions(run_module: Run, tmp_path: Path) -> None:
    key, config = tmp_path / "etc/agent.key", tmp_path / "etc/agent.json"
    given = {
        "folder": str(tmp_path / "failover"),
        "files": [{"path": str(key), "content": "secret\n"}, {"path": str(config), "content": "{}\n", "mode": "0644"}],
    }
    pretended = run_module("fault_agent_files", given, check=True)
    assert not key.exists()
    written = run_module("fault_agent_files", given)
    assert written["written"] == pretended["written"]
    assert written["written"][-2:] == [str(key), str(config)]
    assert [path.read_text() for path in (key, config)] == ["secret\n", "{}\n"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in (key.parent, key, config)] == [0o700, 0o600, 0o644]
    assert not run_module("fault_agent_files", given)["changed"]
    key.chmod(0o644)
    assert run_module("fault_agent_files", given)["written"] == [str(key)]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_file_that_is_not_accepted_leaves_the_old_one(run_module: Run, tmp_path: Path) -> None:
    path = tmp_path / "agent.json"
    path.write_text("{}\n")
    file = {"path": str(path), "content": "no JSON\n", "validate": f"{sys.executable} -m json.tool %s /dev/null"}
    done = run_module("fault_agent_files", {"folder": str(tmp_path / "failover"), "files": [file]})
    assert done["failed"]
    assert done["msg"].startswith(f"{path} could not be written: it was not accepted: ")
    assert path.read_text() == "{}\n"
    assert [other.name for other in tmp_path.iterdir() if other.is_file()] == ["agent.json"]


def test_what_is_in_a_file_is_not_shown(run_module: Run, tmp_path: Path) -> None:
    file = {"path": str(tmp_path / "agent.key"), "content": "a-key-of-the-lab\n", "mode": "none"}
    done = run_module("fault_agent_files", {"folder": str(tmp_path / "failover"), "files": [file]})
    assert done["failed"]
    assert "a-key-of-the-lab" not in json.dumps(done)
