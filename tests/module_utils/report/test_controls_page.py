# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from failover.report.controls import write_controls
from failover.shapes import LabError


def row(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "expected": "invalid",
        "says": "a <bad> system",
        "source": "its manual",
        "found": ["valid", "invalid"],
        "runs": ["run1", "run2"],
        "tries": 2,
        "shown": True,
        "by": "P-etcd: keys on etcd2: 3 lost.",
        **changes,
    }


def written(tmp_path: Path, *rows: dict[str, Any]) -> str:
    path = tmp_path / "controls.json"
    path.write_text(json.dumps({"schema_version": 1, "controls": rows}))
    pdf, html = write_controls(path)
    assert pdf.read_bytes().startswith(b"%PDF-")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["controls.html", "controls.json", "controls.pdf"]
    return html.read_text()


def test_the_page_tells_each_control_by_what_it_was_shown(tmp_path: Path) -> None:
    good = row("good", expected="valid", found=["valid"], tries=1, runs=["run3"], by="")
    page = written(tmp_path, row("bad"), good)
    assert "2 of 2 controls showed what is known of them" in page
    assert "A &lt;bad&gt; system. Shown by P-etcd: keys on etcd2: 3 lost. Known from: its manual." in page
    assert "valid, invalid" in page
    assert "Not shown" not in page


def test_what_was_not_shown_is_named_and_not_passed(tmp_path: Path) -> None:
    page = written(tmp_path, row("bad"), row("worse", shown=False, found=["valid"] * 3, tries=3, by=""))
    assert "1 of 2 controls showed what is known of them" in page
    assert "Not shown: worse." in page
    assert "<b>not in 3 tries</b>" in page


def test_a_good_system_that_was_not_called_good_is_no_matter_of_too_few_tries(tmp_path: Path) -> None:
    page = written(tmp_path, row("good", expected="valid", shown=False, found=["invalid"], tries=1, by=""))
    assert "Known to be good, and not found so: good." in page
    assert "Not shown:" not in page


def test_the_same_controls_give_the_same_page(tmp_path: Path) -> None:
    written(tmp_path, row("bad"))
    before = [(tmp_path / name).read_bytes() for name in ("controls.html", "controls.pdf")]
    written(tmp_path, row("bad"))
    assert [(tmp_path / name).read_bytes() for name in ("controls.html", "controls.pdf")] == before


def test_the_reports_of_the_runs_that_are_there_are_linked(tmp_path: Path) -> None:
    (tmp_path / "run2").mkdir()
    (tmp_path / "run2" / "report.html").write_text("a report")
    path = tmp_path / "controls.json"
    path.write_text(json.dumps({"schema_version": 1, "controls": [row("bad")]}))
    _, html = write_controls(path)
    assert 'Runs: run1, <a href="run2/report.html">run2</a>.' in html.read_text()


@pytest.mark.parametrize(
    ("wrong", "lacks"),
    [({"name": "bad"}, "control 2 lacks expected, says, "), ("bad", "control 2 lacks name, ")],
)
def test_a_row_that_is_none_is_one_line(tmp_path: Path, wrong: Any, lacks: str) -> None:
    path = tmp_path / "controls.json"
    path.write_text(json.dumps({"schema_version": 1, "controls": [row("bad"), wrong]}))
    with pytest.raises(LabError) as caught:
        write_controls(path)
    assert str(caught.value).startswith(f"{path}: {lacks}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"controls": 7}'])
def test_a_file_of_something_else_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "controls.json"
    path.write_text(text)
    with pytest.raises(LabError) as caught:
        write_controls(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
