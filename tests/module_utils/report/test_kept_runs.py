# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs of earlier days: what the lab said of them, it says today, to the last byte.

``tests/fixtures/runs`` has whole results folders: of two real runs, as they were written, and one with planted ghosts
(``planted``). ``digests.json`` has the SHA-256 of their verdict, report.json and page. Where a text, a figure or a
check is changed on purpose, the failing test shows the digests to put there, and the commit says what was bettered.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pytest
from failover.checks.verdict import verify
from failover.report import content, render
from failover.results.files import VERDICT_FILE
from failover.results.read import load_run
from printed import Quiet

RUNS = Path(__file__).resolve().parents[2] / "fixtures/runs"
DIGESTS = json.loads((RUNS / "digests.json").read_text(encoding="utf-8"))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_every_kept_run_has_its_digests() -> None:
    assert sorted(path.stem for path in RUNS.glob("*.zip")) == sorted(DIGESTS)


@pytest.mark.parametrize("name", sorted(DIGESTS))
def test_a_kept_run_is_judged_and_told_as_before(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The fonts in the page are no words of the lab, and a library's to cut.
    monkeypatch.setattr(render, "font_css", lambda page: "")
    with zipfile.ZipFile(RUNS / f"{name}.zip") as kept:
        kept.extractall(tmp_path)
    judged = (tmp_path / VERDICT_FILE).read_text(encoding="utf-8")
    for experiment in load_run(tmp_path, need_verdicts=False).experiments:
        verify(tmp_path, experiment.name)
    again = (tmp_path / VERDICT_FILE).read_text(encoding="utf-8")
    assert json.loads(again)["verdict"] == json.loads(judged)["verdict"]
    told, drawings = content.build(load_run(tmp_path), Quiet())
    found = {
        "verdict.json": digest(again),
        "report.json": digest(json.dumps(told, sort_keys=True)),
        "report.html": digest(render.render_html(told, drawings)),
    }
    assert found == DIGESTS[name]
