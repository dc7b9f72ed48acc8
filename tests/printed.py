# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reports as page and as PDF, for the tests that look at them as a reader would.

A report takes seconds to make. So each kind is made once, whatever the number of test processes: they all read it, and
copy the folder where they change anything.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from failover.report import content, figures, render, write_report
from failover.results.files import REPORT_HTML_FILE, REPORT_PDF_FILE
from once import made_once
from verified import verified_run

KINDS: dict[str, dict[str, Any]] = {
    "single": {"iterations": 2000},
    "repeated": {"iterations": 800, "experiments": ["E1-mysql", "E2-etcd"], "repeats": 2},
    "invalid": {"iterations": 800, "experiments": ["E2-etcd"], "plant": "lost_key"},
}
BUILT = "built.pickle"

Content = tuple[dict[str, Any], dict[str, str]]


class Quiet:
    """Progress that nobody sees."""

    def expect(self, total: int) -> None:
        self.total = total

    def __call__(self, what: str) -> None:
        pass


@dataclass(frozen=True)
class Printed:
    """A run's folder with its report."""

    folder: Path

    @property
    def html(self) -> Path:
        return self.folder / REPORT_HTML_FILE

    @property
    def pdf(self) -> Path:
        return self.folder / REPORT_PDF_FILE

    def built(self) -> Content:
        """Return what page and PDF were made of: content and figures, each time anew."""
        found: Content = pickle.loads((self.folder.parent / BUILT).read_bytes())
        return found


def leave_out_pictures(patched: pytest.MonkeyPatch) -> None:
    """Spare a report what only eyes see, and what most of its time goes into: fonts, and the layout of figures."""
    patched.setattr(render, "font_css", lambda page: "")
    drawn = [module for module in vars(figures).values() if hasattr(module, "draw")]
    assert len(drawn) > 5
    for module in drawn:
        patched.setattr(module, "as_svg", lambda figure, name, title, told: f"<svg><title>{title}</title></svg>")


def printed_once(kind: str, factory: pytest.TempPathFactory) -> Printed:
    """Return the report of a kind of KINDS; the first test process that asks for it makes it."""
    folder = made_once(f"printed/{kind}", factory, lambda folder: _print(folder / f"run-{kind}", KINDS[kind]))
    return Printed(folder / f"run-{kind}")


def _print(path: Path, options: dict[str, Any]) -> None:
    """Plant a run, write its report, and keep what it was made of beside it."""
    build = content.build
    built: list[bytes] = []

    def kept(*arguments: Any) -> Content:
        found = build(*arguments)
        built.append(pickle.dumps(found))
        return found

    verified_run(path, **options)
    with patch.object(content, "build", kept):
        assert write_report(path, Quiet())[0] == path / REPORT_PDF_FILE
    (path.parent / BUILT).write_bytes(built[0])
