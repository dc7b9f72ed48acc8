# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is told of a selftest: selftest.json beside the run, and a table for people."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..results.files import SELFTEST_FILE
from ..results.write import write_json_atomic
from ..shapes import LabError
from .orders import Compared
from .trials import Options, Result, Row, selftest

# Missed plants of a row that are told below the table; selftest.json has them all.
_MOST_MISSED = 3
_COLUMNS = "{:<22}{:<16}{:>8}{:>8}{:>8}"


def run_selftest(folder: Path, asked: Mapping[str, Any], *, write: bool = True) -> dict[str, Any]:
    """Plant, write selftest.json beside the run's folder, and return what the module ``run_selftest`` does.

    :param asked: the fields of :class:`.trials.Options`

    Raises :class:`LabError` where there is no valid run to begin from, or what came of it cannot be written.
    """
    place = folder.resolve().parent / SELFTEST_FILE
    if write and folder.is_dir() and not os.access(place.parent, os.W_OK):
        # Said before minutes of work, not after.
        raise LabError(f"{place} cannot be written; check the rights in {place.parent}, or copy the run elsewhere")
    result = selftest(folder, Options(**asked))
    if write:
        write_json_atomic(place, result.as_dict())
    return {
        "changed": write,
        "verdict": result.verdict.value,
        "sentence": sentence(result),
        "lines": lines(result),
        "file": str(place),
    }


def sentence(result: Result) -> str:
    """Say in one sentence how it ended."""
    planted, missed = sum(row.planted for row in result.rows), sum(len(row.missed) for row in result.rows)
    if not planted:
        return "Nothing could be planted: the histories have no place for any fault."
    faults = f"{planted:,} fault{'s' if planted > 1 else ''} planted"
    told = f"{faults}, {missed:,} missed" if missed else f"{faults}, all caught and named"
    disagreed = result.orders.disagreed if result.orders is not None else 0
    return f"{told}, and the search for an order is wrong on {disagreed:,} histories." if disagreed else f"{told}."


def lines(result: Result) -> list[str]:
    """Return the table, what was not planted and why, what was missed, and how the search for an order did."""
    told = [_COLUMNS.format("fault", "system", "planted", "caught", "named")]
    told += [_line(row) for row in result.rows]
    for row in result.rows:
        told += _missed(row)
    return told + (_orders(result.orders) if result.orders is not None else [])


def _missed(row: Row) -> list[str]:
    told = []
    for each in row.missed[:_MOST_MISSED]:
        what = "caught, but not named" if each["caught"] else "missed"
        told.append(f"{what}: {row.fault} on {row.system}: {each['where']}. Found: {each['found'][:500]}")
        told.append(f"  alone: -e selftest_seed={each['seed']} -e selftest_only={each['plant']}")
    if len(row.missed) > _MOST_MISSED:
        told.append(f"  ... and {len(row.missed) - _MOST_MISSED:,} more of {row.fault} on {row.system}")
    return told


def _line(row: Row) -> str:
    if row.not_planted:
        return f"{row.fault:<22}{row.system:<16}not planted here: {row.not_planted}"
    return _COLUMNS.format(row.fault, row.system, row.planted, row.caught, row.named)


def _orders(compared: Compared) -> list[str]:
    agreed = compared.histories - compared.disagreed
    share = compared.linearizable / compared.histories
    told = [
        f"The search for an order says what trying every order says on {agreed:,} of {compared.histories:,} small "
        f"histories, of which {share:.0%} are linearizable."
    ]
    return told + [f"wrong on history {each['number']} of seed {compared.seed}: {each}" for each in compared.told]
