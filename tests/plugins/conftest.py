# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fixtures for the plugins' tests."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from playing import PlaybookRunner, play_in


@pytest.fixture
def play(tmp_path: Path) -> PlaybookRunner:
    """Run small playbooks in a folder of the test's own."""
    return partial(play_in, tmp_path)
