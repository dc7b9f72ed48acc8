# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page of the controls: which systems that are known to lose data were caught, from controls.json alone."""

from __future__ import annotations

from pathlib import Path

from ..results.files import CONTROLS_HTML_FILE, CONTROLS_PDF_FILE, REPORT_HTML_FILE
from ..results.read import read_json
from ..results.write import replacing, write_text_atomic
from ..shapes import LabError, Verdict
from .render import render_page, render_pdf

# Of a row of controls.json.
KEYS = ("name", "expected", "says", "source", "found", "runs", "tries", "shown", "by")


def write_controls(path: Path) -> list[Path]:
    """Write controls.pdf and controls.html beside controls.json; return their paths, the PDF first.

    LabError where that file is none of the lab's, or the others cannot be written.
    """
    rows = read_json(path, "what came of the controls").get("controls")
    if not isinstance(rows, list):
        raise LabError(f"{path} has no controls; ./scripts/lab controls writes it")
    for number, row in enumerate(rows, 1):
        lacking = [key for key in KEYS if key not in row] if isinstance(row, dict) else list(KEYS)
        if lacking:
            raise LabError(
                f"{path}: control {number} lacks {', '.join(lacking)}; ./scripts/lab controls writes it anew"
            )
    reports = {
        run: f"{run}/{REPORT_HTML_FILE}"
        for row in rows
        for run in row["runs"]
        if (path.parent / run / REPORT_HTML_FILE).is_file()
    }
    page = render_page(
        "caught.html.j2",
        controls=rows,
        reports=reports,
        shown=sum(row["shown"] for row in rows),
        missing=[row["name"] for row in rows if not row["shown"] and row["expected"] != Verdict.VALID],
        accused=[row["name"] for row in rows if not row["shown"] and row["expected"] == Verdict.VALID],
    )
    html, pdf = path.parent / CONTROLS_HTML_FILE, path.parent / CONTROLS_PDF_FILE
    write_text_atomic(html, page)
    with replacing(pdf) as part:
        render_pdf(page, part)
    return [pdf, html]
