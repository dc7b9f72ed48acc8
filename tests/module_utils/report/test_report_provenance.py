# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A report does not repeat a verdict on other files than those that are there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from failover.report.content import build
from failover.report.render import render_html
from failover.results.read import load_run
from verified import verified_run

pytestmark = pytest.mark.usefixtures("without_pictures")


def told(run: Path) -> tuple[dict[str, Any], str, str]:
    """Return the content, the cover's sentence and the page."""
    content, drawings = build(load_run(run), lambda _: None)
    sentence = "".join(str(piece["text"]) for piece in content["verdict"]["sentence"])
    return content, sentence, render_html(content, drawings)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return verified_run(tmp_path / "run", iterations=400, experiments=["E1-mysql", "E1-etcd"])


def test_a_verdict_on_these_files_is_the_headline(run: Path) -> None:
    content, sentence, page = told(run)
    assert sentence.startswith("Valid: all")
    assert (content["verdict"]["verdict"], content["judged"]["matches"]) == ("valid", True)
    assert "their digests match verdict.json" in page


def test_an_edited_value_takes_the_verdict_back(run: Path) -> None:
    path = run / "E1-etcd" / "nodes" / "etcd1.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    key, _, *rest = json.loads(lines[1])
    path.write_text("".join([lines[0], json.dumps([key, "0.0.0.0", *rest]) + "\n", *lines[2:]]))
    (run / "E1-etcd" / "logs" / "etcd2.log").unlink()
    content, sentence, page = told(run)
    assert sentence == (
        "Unknown: since the verdict, E1-etcd/nodes/etcd1.jsonl changed; E1-etcd/logs/etcd2.log is missing; it said "
        "valid. To check the files as they are now: ./scripts/lab verify -e results_run=results/run."
    )
    assert sentence.partition(";")[0] in page.replace("</span>", "").replace('<a href="#files">', "").replace(
        "</a>", ""
    )
    assert (content["verdict"]["verdict"], content["verdict"]["recorded"]) == ("unknown", "valid")
    # Only what it is about: the other experiment's files are those that were judged.
    assert {e["name"]: e["verdict"] for e in content["experiments"]} == {"E1-mysql": "valid", "E1-etcd": "unknown"}
    assert "made from other files: E1-etcd/nodes/etcd1.jsonl, E1-etcd/logs/etcd2.log" in page
    states = {file["path"]: file["state"] for file in content["judged"]["files"] if file["state"] != "judged"}
    assert states == {
        "verdict.json": None,
        "E1-etcd/nodes/etcd1.jsonl": "changed",
        "E1-etcd/logs/etcd2.log": "missing",
    }


def test_a_verdict_that_does_not_say_what_it_judged_is_no_headline(run: Path) -> None:
    path = run / "verdict.json"
    verdict = json.loads(path.read_text())
    del verdict["judged"]
    path.write_text(json.dumps(verdict))
    content, sentence, page = told(run)
    assert sentence.startswith("Unknown: the verdict does not say which files it judged; it said valid.")
    assert "./scripts/lab verify" in sentence
    assert {file["state"] for file in content["judged"]["files"]} == {None}
    assert "The verdict does not say which files it judged." in page
    assert f"<pre>{content['judged']['verify']}</pre>" in page
