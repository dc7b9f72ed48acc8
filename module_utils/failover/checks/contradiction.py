# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The few operations that contradict each other, as the evidence of a check has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .base import Case
from .counterexample import Counterexample, letter_of, sentences, staleness, told_of
from .operations import Call


def described(case: Case, smallest: Counterexample, index_of: Mapping[str, int]) -> dict[str, Any]:
    """Tell of a counterexample.

    :param index_of: the operation of the stream that a label names; what members held at the end is none
    :returns: ``minimal``, ``stale`` (a read of what had been replaced), ``sentences``, and ``operations``, each with
        ``letter``, ``label``, ``begin_ms``, ``end_ms`` (None: not known), and of one of the stream ``index``,
        ``client``, ``kind``, ``endpoint``, ``member`` and ``revision``
    """
    return {
        "minimal": smallest.is_minimal,
        "stale": staleness(smallest.calls) is not None,
        "sentences": sentences(smallest, in_ns=True),
        "operations": [_operation(case, call, number, index_of) for number, call in enumerate(smallest.calls)],
    }


def _operation(case: Case, call: Call, number: int, index_of: Mapping[str, int]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "letter": letter_of(number),
        "label": told_of(call),
        "begin_ms": call.begin / 1e6,
        "end_ms": None if call.end is None else call.end / 1e6,
    }
    if call.label in index_of:
        row = case.recorded.table.row(int(case.recorded.row_of[index_of[call.label]]))
        told |= {name: row[name] for name in ("index", "client", "kind", "endpoint", "revision")}
        told["member"] = case.experiment.member_at.get(told["endpoint"], told["endpoint"])
    return told
