# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The PDF's pages as a reader sees them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from printed import Printed

# The body's edges on A4, in points: outside are the running heads and the page number.
TOP, FOOT = 59, 786


def pages(pdf: Path) -> list[list[tuple[float, float, str]]]:
    """Return (right edge, bottom, text) of each word of the body, page by page, in points from the upper left."""
    told = subprocess.run(["pdftotext", "-bbox", pdf, "-"], capture_output=True, text=True, check=True).stdout
    word = re.compile(r'<word xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)" yMax="([\d.]+)">(.*?)</word>')
    return [
        [
            (float(right), float(low), text)
            for _, high, right, low, text in word.findall(page)
            if TOP < float(high) < FOOT
        ]
        for page in told.split("<page ")[1:]
    ]


def test_no_page_between_cover_and_end_is_half_empty_and_none_runs_over_its_edge(printed: Printed) -> None:
    found = pages(printed.pdf)
    assert len(found) > 6
    for number, words in enumerate(found[1:-1], 2):
        assert max(low for _, low, _ in words) > (TOP + FOOT) / 2, f"page {number}"
    for number, words in enumerate(found, 1):
        over = [text for right, _, text in words if right > 595.3 - 50]
        assert not over, f"page {number}: {over}"
