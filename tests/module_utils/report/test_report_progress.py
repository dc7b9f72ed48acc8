# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from failover.report.progress import Steps


def test_each_step_is_a_line_once_it_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with Steps(quiet=False, terminal=False) as steps:
        steps.expect(2)
        steps("read the run")
        assert capsys.readouterr().err == ""
        steps("set the page")
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("report: read the run: ")
    assert last.startswith("report: set the page: ")


def test_a_step_that_failed_is_not_told_as_done(capsys: pytest.CaptureFixture[str]) -> None:
    steps = Steps(quiet=False, terminal=False)
    steps("read the run")
    steps.__exit__(OSError, OSError(), None)
    assert capsys.readouterr().err == ""


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for terminal in (True, False):
        with Steps(quiet=True, terminal=terminal) as steps:
            steps("read the run")
    assert capsys.readouterr().err == ""
