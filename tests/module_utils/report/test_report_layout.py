# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The PDF's pages as a reader sees them."""

from __future__ import annotations

import html
import re
import subprocess
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest
from failover.report.render import PDF_VARIANT, render_pdf
from printed import Printed
from pypdf import PdfReader
from test_report_tags import elements
from weasyprint import HTML

# The body's edges on A4, in points: outside are the running heads and the page number.
TOP, FOOT, RIGHT = 59, 786, 595.3 - 50
# What stands directly on a page, one after the other.
BLOCKS = ("/H1", "/H2", "/H3", "/P", "/Table", "/Figure", "/L", "/Div")


@dataclass(frozen=True)
class Word:
    """A word of the body, its edges in points from the upper left."""

    right: float
    low: float
    text: str


def pages(pdf: Path) -> list[list[Word]]:
    """Return the words of the body, page by page."""
    told = subprocess.run(["pdftotext", "-bbox", pdf, "-"], capture_output=True, text=True, check=True).stdout
    word = re.compile(r'<word xMin="[\d.]+" yMin="([\d.]+)" xMax="([\d.]+)" yMax="([\d.]+)">(.*?)</word>')
    return [
        [
            Word(float(right), float(low), html.unescape(text))
            for high, right, low, text in word.findall(page)
            if TOP < float(high) < FOOT
        ]
        for page in told.split("<page ")[1:]
    ]


def last_line(words: list[Word]) -> str:
    """Return what stands lowest on a page."""
    lowest = max(word.low for word in words)
    return " ".join(word.text for word in words if word.low > lowest - 3)


def plain(markup: str) -> str:
    """Return the text of markup in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", markup)).split())


def headings(page: str) -> set[str]:
    """Return the texts that announce what stands below them: headings and captions of tables."""
    return {plain(text) for _, text in re.findall(r"<(h\d|caption)\b[^>]*>(.*?)</\1>", page, flags=re.DOTALL)}


def torn(found: list[list[Word]], page: str) -> list[str]:
    """Return the words of a PDF that its page does not have: pieces of words that were broken where no letter allows.

    A line may end behind a hyphen or a dash. Digests and their like are broken anywhere, and no words.
    """
    page = re.sub(r"<(style|head)\b.*?</\1>", "", page, flags=re.DOTALL)
    # A cell's words stand apart; within a line, tags may stand in the middle of a word, or between two.
    apart = re.sub(r"</?(td|th|tr|p|dd|dt|li|br|h\d|caption|figcaption|text|div|pre)\b[^>]*>", " ", page)
    texts = [html.unescape(re.sub(r"<[^>]+>", between, apart)) for between in ("", " ")]
    known = {word for text in texts for word in text.split()}
    known |= {piece for word in known for piece in re.split(r"(?<=[-\u2010\u2013\u2014/])", word)}
    known |= {piece for word in known for piece in re.split(r"(?=[.,;:)])", word)}
    known |= {word.upper() for word in known} | {"•"}
    return [
        word.text
        for words in found
        for word in words
        if word.text not in known and not re.fullmatch(r"[.\d]{1,3}|[0-9a-f]{16,}", word.text)
    ]


def rows_carried_over(pdf: Path) -> list[int]:
    """Return, for each page that begins with the rest of a table, how many rows it has."""
    found = []
    blocks = [e for e in elements(PdfReader(pdf).trailer["/Root"]["/StructTreeRoot"]["/K"]) if e["/S"] in BLOCKS]
    for _, group in groupby(blocks, key=lambda e: e["/Pg"].indirect_reference.idnum):
        first = next(block for block in group if block["/S"] != "/Div")
        if first["/S"] == "/Table" and not any(e["/S"] == "/Caption" for e in elements(first)):
            rows = [e for e in elements(first) if e["/S"] == "/TR"]
            found.append(sum(any(cell["/S"] == "/TD" for cell in elements(row)) for row in rows))
    return found


def test_the_cover_is_one_page(printed: Printed) -> None:
    cover, second = pages(printed.pdf)[:2]
    assert "All hosts, versions and settings" in " ".join(word.text for word in cover)
    chapter = " ".join(word.text for word in second[:5])
    assert re.match(r"1 (What did not pass|The notebook.s table)", chapter), chapter


def test_no_page_but_the_last_is_half_empty_and_none_runs_over_its_edge(printed: Printed) -> None:
    found = pages(printed.pdf)
    assert len(found) > 6
    for number, words in enumerate(found[:-1], 1):
        assert max(word.low for word in words) > (TOP + FOOT) / 2, f"page {number}"
    for number, words in enumerate(found, 1):
        over = [word.text for word in words if word.right > RIGHT]
        assert not over, f"page {number}: {over}"


def test_no_heading_stands_alone_at_the_foot_of_a_page(printed: Printed) -> None:
    announced = headings(printed.html.read_text(encoding="utf-8"))
    assert len(announced) > 15
    for number, words in enumerate(pages(printed.pdf), 1):
        line = last_line(words)
        assert re.sub(r"^\d+ ", "", line) not in announced, f"page {number}: {line}"
        # A sentence that announces commands, too.
        assert not line.endswith(":"), f"page {number}: {line}"


def test_no_word_is_broken(printed: Printed) -> None:
    assert torn(pages(printed.pdf), printed.html.read_text(encoding="utf-8")) == []


def test_no_page_begins_with_the_last_row_of_a_table(printed: Printed) -> None:
    assert all(rows > 1 for rows in rows_carried_over(printed.pdf))


def test_these_tests_see_what_they_look_for(tmp_path: Path) -> None:
    rows = "".join(f"<tr><td>{word}</td></tr>" for word in ("one", "two", "Constantinople", "four"))
    small = "@page { size: 100mm 110mm; margin: 25mm 10mm 10mm } td { padding: 0; height: 20mm }"
    narrow = "table { table-layout: fixed; width: 12mm } td { overflow-wrap: anywhere } h2 { break-after: auto }"
    page = (
        f"<html lang=en><head><style>{small}{narrow}</style></head><body><div><table>{rows}</table></div>"
        "<p style='height: 30mm'>words</p><h2>alone</h2><p style='break-before: page'>after</p></body></html>"
    )
    pdf = tmp_path / "small.pdf"
    HTML(string=page).write_pdf(pdf, pdf_variant=PDF_VARIANT)
    found = pages(pdf)
    assert rows_carried_over(pdf) == [3, 1]
    assert "".join(torn(found, page)) == "Constantinople"
    assert last_line(found[1]) in headings(page)


@pytest.mark.parametrize("lines", [3, 30])
def test_chapters_begin_on_the_second_page_also_where_the_cover_takes_a_part_of_it(tmp_path: Path, lines: int) -> None:
    page = (
        '<html lang="en"><head><style>.page { break-after: page } p { margin: 0; font: 8mm/10mm serif }</style></head>'
        f'<body><header id="cover" class="page">{"<p>cover</p>" * lines}</header><main id="content"><p>chapter</p>'
        "</main></body></html>"
    )
    render_pdf(page, tmp_path / "report.pdf")
    texts = [sheet.extract_text() for sheet in PdfReader(tmp_path / "report.pdf").pages]
    assert ("cover" in texts[1], "chapter" in texts[1]) == (lines == 30, True)
