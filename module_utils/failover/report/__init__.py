# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report of a run: report.json, report.html and report.pdf from a results folder and nothing else.

``chapters`` compute numbers and draw figures, each those of its own, of what ``examined``, ``outage`` and ``findings``
make of an experiment's history and events. ``content`` puts every number that is shown into one JSON-able object,
``render`` makes the page and the PDF of that object.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from ..results.files import PLAN_FILE, REPORT_HTML_FILE, REPORT_JSON_FILE, REPORT_PDF_FILE, RUN_FILE, VERDICT_FILE
from ..results.read import load_run
from ..results.write import discard, write_json_atomic
from ..shapes import LabError


class Progress(Protocol):
    """What is told of the report's steps."""

    def expect(self, total: int) -> None:
        """Take the number of steps to come."""

    def __call__(self, what: str) -> None:
        """Take the name of the step that begins."""


def write_report(folder: str | Path, progress: Progress) -> list[Path]:
    """Write the three files into the results folder ``folder`` and return their paths, the PDF first.

    Raises :class:`LabError` where the folder is damaged or cannot be written to. Each file is written in one step. A
    report that cannot be finished leaves none: one of other files than those that are there now would be believed.
    Where only the PDF cannot be made, as this machine lacks a library for it, the other two are written before.
    """
    progress("read the run")
    _remove_former(Path(folder))
    run = load_run(folder)
    # Heavy, and of no use for a folder that cannot be read.
    from .content import build
    from .render import render_html, render_pdf

    progress.expect(len(run.experiments) + 4)
    content, drawings = build(run, progress)
    progress("set the page")
    page = render_html(content, drawings)
    progress("set the PDF")
    html, pdf = run.path / REPORT_HTML_FILE, run.path / REPORT_PDF_FILE
    half = run.path / f".{REPORT_PDF_FILE}.{os.getpid()}.part"
    no_pdf: LabError | None = None
    try:
        try:
            content["pdf_pages"] = render_pdf(page, half)
            os.replace(half, pdf)
        except LabError as error:
            # What the PDF lacks, the other two do without.
            content["pdf_pages"], no_pdf = None, error
        half.write_text(page, encoding="utf-8")
        os.replace(half, html)
    except OSError as error:
        discard(half)
        reason = error.strerror or error
        raise LabError(f"{pdf} cannot be written: {reason}; check the space and the rights in {run.path}") from error
    write_json_atomic(run.path / REPORT_JSON_FILE, content)
    if no_pdf:
        raise LabError(f"{no_pdf}. {html} and {REPORT_JSON_FILE} are written") from no_pdf
    return [pdf, html, run.path / REPORT_JSON_FILE]


def _remove_former(folder: Path) -> None:
    """Remove the reports of a run's folder; in any other folder, files of these names are somebody else's."""
    if not any((folder / name).is_file() for name in (RUN_FILE, PLAN_FILE, VERDICT_FILE)):
        return
    for path in (folder / REPORT_PDF_FILE, folder / REPORT_HTML_FILE, folder / REPORT_JSON_FILE):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise LabError(
                f"{path} cannot be written: {error.strerror or error}; check the space and the rights in {folder}"
            ) from error
