# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A planted results folder with its verdicts, as the report expects to find it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from failover.checks.verdict import verify
from failover.results.read import load_run
from planted.run import make_run


def verified_run(path: Path, **options: Any) -> Path:
    """Plant a run at ``path`` (options: those of :func:`planted.run.make_run`), verify it, and return the path."""
    make_run(path, **options)
    for experiment in load_run(path, need_verdicts=False).experiments:
        verify(path, experiment.name)
    return path
