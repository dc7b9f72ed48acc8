# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from failover.checks.model import LATE_DUPLICATE, LOST
from failover.measured.columns import MS
from failover.report.findings.blame import CLIENT, LAB, SERVER, SETTING, judge
from failover.report.findings.timeline import NO_ANSWER, idle_spans, under_way
from failover.results.read import Experiment
from failover.results.rows import Rows


def test_members_are_known_by_the_endpoint_that_clients_used() -> None:
    members = {"etcd1": {"client_url": "http://10.0.0.1:2379"}, "mysql1": {"address": "10.0.0.9:3306"}}
    experiment = Experiment("E1-etcd", Path("E1-etcd"), {"members": members}, None)
    assert experiment.member_at == {"10.0.0.1:2379": "etcd1", "10.0.0.9:3306": "mysql1"}


def test_nobody_sends_anything_between_the_end_of_a_repeat_and_the_next() -> None:
    repeats = [
        {"repeat": 1, "began_ns": 0, "ended_ns": 500 * MS},
        {"repeat": 2, "began_ns": 900 * MS, "ended_ns": 1400 * MS},
    ]
    assert idle_spans({"repeats": repeats}) == [(1, 500, 900), (2, 1400, None)]


def test_operations_that_only_touch_the_span_were_not_under_way() -> None:
    table = pa.table({"invoke_ns": [0, 20 * MS, 30 * MS], "complete_ns": [10 * MS, 30 * MS, 40 * MS]})
    rows = Rows(table, table.schema)
    assert under_way(rows, 10.0, 30.0) == 1


def key(ended: str) -> dict[str, Any]:
    """Return a key of a card, one operation of which has one attempt."""
    operation = {"kind": "CREATE", "attempts": [{"member": "etcd2", "ended": ended}]}
    return {"key": "a", "operations": [operation], "deleted_ms": None, "stray": None, "members": {}, "version": None}


@pytest.mark.parametrize(
    ("kind", "whole", "touched", "owner"),
    [
        (LATE_DUPLICATE, True, True, CLIENT),
        (LOST, True, True, SERVER),
        (LOST, False, True, LAB),  # the request may be missing from the history
        (LOST, True, False, LAB),  # somebody else wrote there
    ],
)
def test_a_server_is_blamed_only_for_what_no_request_explains(
    kind: str, whole: bool, touched: bool, owner: str
) -> None:
    told = key(NO_ANSWER) if touched else {**key(NO_ANSWER), "operations": []}
    assert judge({"class": kind, "keys": [told]}, whole)["owner"] == owner


@pytest.mark.parametrize(("kind", "owner"), [(LOST, SETTING), (LATE_DUPLICATE, CLIENT)])
def test_a_server_that_was_told_not_to_sync_is_not_blamed_for_what_a_loss_of_power_took(kind: str, owner: str) -> None:
    told = judge({"class": kind, "keys": [key(NO_ANSWER)]}, True, ["sync_binlog = 0"])
    assert told["owner"] == owner
    assert ("sync_binlog = 0" in told["whose"]) == (owner == SETTING)


def test_an_attempt_without_an_answer_is_part_of_the_proof() -> None:
    (sentence,) = judge({"class": LOST, "keys": [key(NO_ANSWER)]}, True)["proof"]
    assert sentence == "It had an attempt at etcd2 that got no answer, and was sent again."
