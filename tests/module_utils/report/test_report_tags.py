# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a screen reader finds in the PDF: its language and title, headings, tables with headers, figures with texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from printed import Printed
from pypdf import PdfReader
from pypdf.generic import ArrayObject, DictionaryObject


def elements(node: Any) -> Iterator[DictionaryObject]:
    """Yield the elements of a structure tree, parents before their children."""
    node = node.get_object()
    if isinstance(node, ArrayObject):
        for child in node:
            yield from elements(child)
    elif isinstance(node, DictionaryObject) and "/S" in node:
        yield node
        yield from elements(node.get("/K", ArrayObject()))


def tree(printed: Printed) -> list[DictionaryObject]:
    return list(elements(PdfReader(printed.pdf).trailer["/Root"]["/StructTreeRoot"]["/K"]))


def test_the_pdf_names_its_language_title_and_kind(printed: Printed) -> None:
    reader = PdfReader(printed.pdf)
    root = reader.trailer["/Root"]
    assert root["/Lang"] == "en"
    assert root["/MarkInfo"]["/Marked"]
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert reader.metadata is not None
    assert reader.metadata.title == f"Failover lab report {printed.html.parent.name}"
    assert b'pdfuaid:part="1"' in root["/Metadata"].get_data() or b"<pdfuaid:part>1<" in root["/Metadata"].get_data()


def test_headings_never_skip_a_level(printed: Printed) -> None:
    levels = [int(node["/S"][2:]) for node in tree(printed) if re.fullmatch(r"/H\d", node["/S"])]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert levels.count(2) >= 10
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels


def test_every_cell_of_a_table_has_its_headers(printed: Printed) -> None:
    found = tree(printed)
    assert sum(node["/S"] == "/TH" for node in found) > 50
    cells = [node for node in found if node["/S"] == "/TD"]
    named = sum(bool(node["/A"].get("/Headers")) for node in cells)
    # Without one: corners, and what WeasyPrint does not link, cells beside others that span rows or columns.
    assert named > 0.85 * len(cells) > 85


def test_every_figure_says_what_it_shows(printed: Printed) -> None:
    texts = [node.get("/Alt", "") for node in tree(printed) if node["/S"] == "/Figure"]
    assert len(texts) == printed.html.read_text(encoding="utf-8").count("<svg")
    assert len(set(texts)) == len(texts) >= 4
    # Not only what kind of figure it is, but numbers with their unit.
    assert all(re.search(r"\d (ms|revisions?)\b", text) for text in texts), texts
