# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest
from failover.report.commands import LINE, command, experiments_option
from weasyprint import HTML

CSS = Path(__file__).parents[3] / "module_utils" / "failover" / "report" / "templates" / "report.css"
NAMES = [f"E{number}-{system}" for number in range(1, 13) for system in ("etcd", "mysql_cluster")]


@pytest.mark.parametrize("names", [NAMES[:1], NAMES])
def test_a_command_survives_being_copied_from_the_pdf(names: list[str], tmp_path: Path) -> None:
    options = ["-e iterations=100000", "-e seed=123", "-e clients=8", "-e rate=250.5", "-e sole_server_heal=30s"]
    typed = command("./scripts/lab run", *options, experiments_option(names))
    assert max(map(len, typed.splitlines())) <= LINE
    pdf = tmp_path / "commands.pdf"
    HTML(string=f"<style>{CSS.read_text(encoding='utf-8')}</style><pre>{typed}</pre>").write_pdf(pdf)
    copied = subprocess.run(["pdftotext", pdf, "-"], capture_output=True, text=True, check=True).stdout
    # As the shell reads what is pasted; the page number is not part of it.
    copied = copied.rpartition("1/1")[0]
    pasted = subprocess.run(
        ["bash", "-c", rf"printf '%s\0' {copied.strip()}"], capture_output=True, text=True, check=True
    )
    words = pasted.stdout.split("\0")[:-1]
    assert words[:-1] == shlex.split(" ".join(["./scripts/lab run", *options, "-e"]))
    assert json.loads(words[-1]) == {"experiments": names}
