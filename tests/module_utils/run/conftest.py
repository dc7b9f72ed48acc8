# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest


def children() -> set[str]:
    """Return the ids of this process's children, of all its threads, dead ones that nobody waited for included."""
    found: set[str] = set()
    for task in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # a thread that has just ended
            found.update(task.read_text().split())
    return found


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    """Fail where a test of the run leaves a process. What tests of other folders left is theirs."""
    before = children()
    yield
    assert children() - before == set()
