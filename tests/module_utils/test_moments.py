# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of the moments agree with each other and with the events that the lab emits."""

from __future__ import annotations

import ast
from pathlib import Path

import failover
from failover.moments import ALWAYS, LEADER_OF_SEVERAL, MOMENTS, OUTAGE, PROCESS_ENDS, RETURN_STEPS, SEVERAL
from failover.shapes import Event

BY_EVENT = {moment.event for moment in MOMENTS.values() if moment.event is not None}
# What the history or the watch over the heal tells.
WITHOUT_EVENT = {"last_ok", "attempt_sent", "first_ok_write", "first_ok_read", "throughput_back", "latency_back"}


def test_every_event_of_a_moment_is_emitted_somewhere() -> None:
    core = Path(failover.__path__[0])
    said = {
        node.value
        for path in core.rglob("*.py")
        if path.relative_to(core).parts[0] not in ("report", "moments.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert said >= BY_EVENT


def test_a_moment_has_its_event_alone_or_is_told_otherwise() -> None:
    assert len(BY_EVENT) == sum(moment.event is not None for moment in MOMENTS.values())
    assert {name for name, moment in MOMENTS.items() if moment.event is None} == WITHOUT_EVENT | set(RETURN_STEPS)


def test_every_wait_begins_with_a_moment_that_can_be_recorded() -> None:
    waits = {name: moment.wait for name, moment in MOMENTS.items() if moment.wait is not None}
    for name, wait in waits.items():
        assert set(wait.begins) <= MOMENTS.keys() - set(RETURN_STEPS), name
        assert isinstance(wait.text, str) or callable(wait.text) or set(wait.text) == set(wait.begins), name
    # What stands before the fault, and what only says that something failed, ends no phase.
    recorded = {name for name, moment in MOMENTS.items() if moment.event is not None} | {"attempt_sent"}
    assert recorded - waits.keys() == {"requested", "role_checked", "signal_sent", "heal_failed"}


def test_a_moment_is_missed_in_faults_that_are_known() -> None:
    conditions = ALWAYS.union(*(moment.missed for moment in MOMENTS.values() if moment.missed is not None))
    assert conditions == {LEADER_OF_SEVERAL, PROCESS_ENDS, SEVERAL, OUTAGE}


def test_what_an_event_says_besides_needs_none_of_its_data() -> None:
    for moment in MOMENTS.values():
        if moment.detail is not None:
            assert isinstance(moment.detail(Event(0, "etcd1", str(moment.event), {})), str)
