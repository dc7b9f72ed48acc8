# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page of the controls: which systems that are known to lose data were caught, from controls.json alone."""

from __future__ import annotations

import os
from pathlib import Path

from markupsafe import Markup

from ..results.files import CONTROLS_HTML_FILE, CONTROLS_PDF_FILE
from ..results.read import read_json
from ..results.write import discard, write_text_atomic
from ..shapes import LabError, Verdict
from .fonts import font_css
from .render import TEMPLATES, environment, render_pdf


def write_controls(path: Path) -> list[Path]:
    """Write controls.pdf and controls.html beside controls.json; return their paths, the PDF first.

    LabError where that file is none of the lab's, or the others cannot be written.
    """
    rows = read_json(path, "what came of the controls").get("controls")
    if not isinstance(rows, list):
        raise LabError(f"{path} has no controls; ./scripts/lab controls writes it")
    page = (
        environment()
        .get_template("caught.html.j2")
        .render(
            controls=rows,
            shown=sum(row["shown"] for row in rows),
            missing=[row["name"] for row in rows if not row["shown"] and row["expected"] != Verdict.VALID],
            accused=[row["name"] for row in rows if not row["shown"] and row["expected"] == Verdict.VALID],
            css=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
            fonts=Markup("/*FONTS*/"),
        )
    )
    page = page.replace("/*FONTS*/", font_css(page), 1)
    html, pdf = path.parent / CONTROLS_HTML_FILE, path.parent / CONTROLS_PDF_FILE
    write_text_atomic(html, page)
    half = path.parent / f".{CONTROLS_PDF_FILE}.{os.getpid()}.part"
    try:
        render_pdf(page, half)
        os.replace(half, pdf)
    except OSError as error:
        discard(half)
        raise LabError(
            f"{pdf} cannot be written: {error.strerror or error}; check the space and the rights in {path.parent}"
        ) from error
    return [pdf, html]
