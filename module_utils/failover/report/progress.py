# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Progress of the report: a bar on a terminal, one line a step elsewhere, both on stderr."""

from __future__ import annotations

import sys
import time
from typing import Any

from tqdm import tqdm


class Steps:
    """Told how many steps there are, then of each before it begins; used as a context manager."""

    def __init__(self, *, quiet: bool, terminal: bool) -> None:
        self._lines = not quiet and not terminal
        self._bar: tqdm[Any] | None = None
        if not quiet and terminal:
            self._bar = tqdm(total=0, desc="report", unit="step", bar_format="{desc} {n}/{total} |{bar:30}| {elapsed}")
        self._started = time.monotonic()
        self._current: str | None = None

    def expect(self, total: int) -> None:
        """Say how many steps there will be."""
        if self._bar is not None:
            self._bar.reset(total=total)

    def __call__(self, what: str) -> None:
        """Begin a step; the one before it is done."""
        self._finish_step()
        self._current = what
        self._started = time.monotonic()
        if self._bar is not None:
            self._bar.set_description(f"report: {what}")

    def _finish_step(self) -> None:
        if self._current is None:
            return
        if self._bar is not None:
            self._bar.update()
        if self._lines:
            print(f"report: {self._current}: {time.monotonic() - self._started:.1f} s", file=sys.stderr, flush=True)
        self._current = None

    def __enter__(self) -> Steps:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._finish_step()
        if self._bar is not None:
            self._bar.close()
