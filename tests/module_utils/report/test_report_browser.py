# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page in a real browser: accessible by WCAG 2.1 A and AA, and of use on a phone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import PROGRAMS, browser, opened, violations
from playwright.sync_api import Browser
from printed import Printed

DESKTOP, PHONE = 1280, 390

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, PROGRAMS)), reason="no Chromium here; on Debian scripts/test installs one"
)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.mark.parametrize("printed", ["single", "repeated", "invalid"], indirect=True)
def test_the_report_is_accessible_and_fits_the_window(printed: Printed, chromium: Browser) -> None:
    with opened(chromium, printed.html) as page:
        papers = set()
        for width in (DESKTOP, PHONE):
            page.set_viewport_size({"width": width, "height": 844})
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                assert violations(page) == [], (width, scheme)
                assert page.evaluate("document.documentElement.scrollWidth") == width, scheme
                papers.add(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
        assert papers == {"rgb(255, 255, 255)", "rgb(21, 25, 29)"}

        # On the phone: a figure is enlarged by its link, and closed again.
        figure = page.locator(".sheet").first
        before = figure.locator("svg").bounding_box()
        figure.locator(".enlarge").click()
        after = figure.locator("svg").bounding_box()
        assert before is not None
        assert after is not None
        assert before["width"] <= PHONE < 2 * PHONE < after["width"]
        figure.locator(".close").click()
        closed = figure.locator("svg").bounding_box()
        assert closed is not None
        assert closed["width"] == before["width"]


def test_axe_sees_what_is_wrong(chromium: Browser, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.html"
    wrong.write_text("<title>x</title><p style='color: #dddddd'>pale</p>", encoding="utf-8")
    with opened(chromium, wrong) as page:
        assert {found["rule"] for found in violations(page)} == {"html-has-lang", "color-contrast"}
