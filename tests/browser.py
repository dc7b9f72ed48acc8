# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report in a real Chromium, which is Debian's, and axe-core's judgement of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

# Debian has the browser under the first name; elsewhere it may have another one.
PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# No sandbox: the tests may run as root. Nothing is asked of the network.
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa")


@contextmanager
def browser() -> Iterator[Browser]:
    """Have a browser with a profile of its own, which is thrown away."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert program is not None, f"none of {', '.join(PROGRAMS)} is installed; scripts/test installs the first"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            yield started
        finally:
            started.close()


@contextmanager
def opened(started: Browser, path: Path) -> Iterator[Page]:
    """Open a file as a reader would who is offline."""
    context = started.new_context(offline=True)
    try:
        page = context.new_page()
        # A busy machine takes its time.
        page.set_default_timeout(180_000)
        page.goto(path.resolve().as_uri())
        yield page
    finally:
        context.close()


def violations(page: Page) -> list[dict[str, Any]]:
    """Return which rules of WCAG 2.1, levels A and AA, a page breaks, and where."""
    axe = resources.files("axe_playwright_python") / "axe.min.js"
    page.evaluate(axe.read_text(encoding="utf-8"))
    # What is inside a figure is hidden from readers by its role, and thousands of elements.
    found = page.evaluate(
        "tags => axe.run({exclude: ['svg > *']}, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})",
        list(RULES),
    )
    return [
        {"rule": rule["id"], "help": rule["help"], "where": [node["html"][:200] for node in rule["nodes"][:3]]}
        for rule in found["violations"]
    ]
