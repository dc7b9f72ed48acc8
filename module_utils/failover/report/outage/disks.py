# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the disks of members had whose power was lost, by the members' own word, against what they had told before.

What a member had told and its disk has not is no acknowledged write that is lost: others may have it. Whether any is,
the checks of the data say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...actions.record import FaultRecord

# Of repeats, those rows are shown of which there is something to say; more than these nobody reads.
MOST_ROWS = 12
# Sets of transactions may be long; experiment.json has all of it.
MOST_CHARACTERS = 160


def disks(struck: Sequence[Mapping[str, Any]], shown: str) -> dict[str, Any]:
    """Return ``disks`` of the repeats of one fault; nothing where it does not take what was not on disk.

    :param struck: the repeats in which it struck, as the report tells them
    :param shown: id of the one that is shown whole
    :returns: ``told`` in words, ``read`` (of how many it is known what the disk had), ``lacking`` (of how many of these
        the disk lacked something), ``most_missing`` (None where nobody knows) and ``rows``
    """
    found = [
        _row(fault, record)
        for fault in struck
        if (record := FaultRecord.of(fault)) is not None and record.disk is not None
    ]
    if not found:
        return {}
    known = [row for row in found if row["missing"] is not None]
    lacking = [row for row in known if row["missing"]]
    rows = [row for row in found if row["missing"] != 0 or row["fault"] == shown]
    return {
        "disks": {
            "read": len(known),
            "lacking": len(lacking),
            "most_missing": max((row["missing"] for row in known), default=None),
            "told": _told(found, known, lacking),
            "rows": rows[:MOST_ROWS],
            "left_out": max(0, len(rows) - MOST_ROWS),
        }
    }


def _row(fault: Mapping[str, Any], record: FaultRecord) -> dict[str, Any]:
    disk = record.disk
    assert disk is not None
    return {
        "fault": fault["id"],
        "member": record.struck,
        "effect": record.effect,
        "told": _facts(disk["told"]),
        "had": _facts(disk["had"]),
        "missing": disk["missing"],
        "missing_of": disk["missing_of"],
        "which": _short(disk["which"]),
        "unknown": disk["unknown"],
    }


def _facts(facts: Mapping[str, Any] | None) -> str | None:
    """Return facts in words, as "revision 1,204, raft index 2,411"."""
    if not facts:
        return None
    return ", ".join(
        f"{name.replace('_', ' ')} {value:,}" if isinstance(value, int) else f"{name.replace('_', ' ')} {_short(value)}"
        for name, value in facts.items()
    )


def _short(text: str | None) -> str | None:
    if text is None or len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]}…"


def _told(
    found: Sequence[Mapping[str, Any]], known: Sequence[Mapping[str, Any]], lacking: Sequence[Mapping[str, Any]]
) -> str:
    """Say in a sentence or two what the disks had."""
    if not known:
        return "What its disk had is not known." if len(found) == 1 else "What the disks had is not known."
    what = known[0]["missing_of"]
    if len(found) == 1:
        had = f"{known[0]['missing']:,} {what}" if lacking else "nothing"
        return f"When it came back, and before the others gave it anything, its disk lacked {had} of what it had told."
    told = f"What the disk had when the member came back is known of {len(known)} of {len(found)} losses of power: "
    if not lacking:
        return f"{told}nothing that it had told before was missing."
    most = max(row["missing"] for row in lacking)
    return f"{told}in {len(lacking)} of them it lacked some of what the member had told, at most {most:,} {what}."
