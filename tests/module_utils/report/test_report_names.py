# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One name a fault, in the titles of the catalog, in the report and in the documents."""

from __future__ import annotations

import re
from pathlib import Path

from catalog import CATALOG
from failover.actions.registry import ACTIONS

ROOT = Path(__file__).resolve().parents[3]
# What a pause and a partition were called as well.
OTHER_NAMES = re.compile(r"\bfr[eo]ez|\bfrozen\b|\bthaw|\bcuts? off\b|\bcutting off\b", re.IGNORECASE)


def test_the_catalog_names_faults_as_the_report_does() -> None:
    titles = [experiment["title"] for experiment in CATALOG.values()]
    assert [title for title in titles if OTHER_NAMES.search(title)] == []
    for action, past in (("pause", "paused"), ("partition", "partitioned")):
        assert ACTIONS[action].past == past
        assert sum(f" {past} at 12 %" in title for title in titles) == 3


def test_no_text_of_the_report_and_no_document_has_another_name() -> None:
    templates = (ROOT / "module_utils" / "failover" / "report" / "templates").glob("*.j2")
    texts = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *templates]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
        for path in texts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if OTHER_NAMES.search(line) and "Debian's" not in line
    ]
    assert found == []
