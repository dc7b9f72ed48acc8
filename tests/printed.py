# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reports as page and as PDF, for the tests that look at them as a reader would."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from failover.report import HTML_FILE, PDF_FILE, write_report
from verified import verified_run

KINDS: dict[str, dict[str, Any]] = {
    "single": {"iterations": 2000},
    "repeated": {"iterations": 800, "experiments": ["E1-mysql", "E2-etcd"], "repeats": 2},
    "invalid": {"iterations": 800, "experiments": ["E2-etcd"], "plant": "lost_key"},
}


class Quiet:
    """Progress that nobody sees."""

    def expect(self, total: int) -> None:
        self.total = total

    def __call__(self, what: str) -> None:
        pass


@dataclass(frozen=True)
class Printed:
    """A report's two files."""

    html: Path
    pdf: Path


def print_report(kind: str, folder: Path) -> Printed:
    """Plant a run of a kind of KINDS in a folder, and write its report."""
    path = verified_run(folder / f"run-{kind}", **KINDS[kind])
    write_report(path, Quiet())
    return Printed(path / HTML_FILE, path / PDF_FILE)
