# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether each member has the keys that must be there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ..results.entries import Entry
from ..results.read import Dump
from ..shapes import Check, Verdict
from .base import Case, Checker
from .model import LATE_DUPLICATE, ExpectedState, classify, values_given
from .words import MAX_LISTED, classes_told, listed, names, span_of, states, verdict_of


class Keys(Checker):
    """A member has exactly the keys that must be there, with their values."""

    name = "keys on"
    each = True
    how = (
        "All keys are read from this member alone and compared, key by key and value by value, with what the stream "
        "and the outcomes require."
    )

    def applies(self, case: Case) -> bool:
        """Whether it is known exactly which must be there."""
        return case.is_exact

    def judge(self, case: Case) -> Iterator[Check]:
        """Compare each member's keys; of one whose keys could not be read nothing is known."""
        former: Mapping[str, Entry] | None = None
        wrong: list[str] = []
        for member in case.experiment.members:
            if member in case.dumps:
                dump = case.dumps[member]
                if dump.entries is not former:  # as a rule all members have the same, which is compared once
                    former, wrong = dump.entries, _wrong(dump, case.expected)
                yield _judge(f"{self.name} {member}", dump, wrong, case)
            else:
                summary = f"The keys of {member} could not be read: {case.unreadable[member]}"
                yield Check(f"{self.name} {member}", Verdict.UNKNOWN, summary)


def _judge(name: str, dump: Dump, wrong: list[str], case: Case) -> Check:
    entries, expected = dump.entries, case.expected
    least, most = expected.key_count()
    evidence: dict[str, Any] = {
        "member": dump.member,
        "keys": len(entries),
        "expected_keys": {"least": least, "most": most},
    }
    if not wrong:
        summary = (
            f"{dump.member} has {len(entries):,} keys, the {span_of(least, most)} that must be there, all values right."
        )
        return Check(name, Verdict.VALID, summary, evidence)
    given = values_given(case.recorded.operations, case.recorded.answers, wrong)
    found = {key: entries[key].value if key in entries else None for key in wrong}
    class_of = {
        key: LATE_DUPLICATE
        if found[key] in case.lenient.allowed(key)
        else classify(found[key], expected.allowed(key), given[key])
        for key in wrong
    }
    touching = case.recorded.touching(wrong[:MAX_LISTED])
    evidence["by_class"] = dict(Counter(class_of.values()))
    evidence["wrong"] = listed(
        wrong,
        lambda key: {
            "key": key,
            "class": class_of[key],
            "expected": states(expected.allowed(key)),
            "found": found[key],
            "operations": touching[key],
        },
    )
    summary = (
        f"{dump.member} has {len(entries):,} keys where {span_of(least, most)} must be; wrong: "
        f"{classes_told(evidence['by_class'])} ({names(wrong)})."
    )
    return Check(name, verdict_of(evidence["by_class"]), summary, evidence)


def _wrong(dump: Dump, expected: ExpectedState) -> list[str]:
    """Return the keys that are missing, that nobody wrote, or that have a value they may not have."""
    entries, doubtful = dump.entries, expected.doubtful
    wrong = [
        key
        for key, value in expected.certain.items()
        if key not in doubtful and ((entry := entries.get(key)) is None or entry.value != value)
    ]
    wrong += [key for key in entries if key not in expected.certain and key not in doubtful]
    wrong += [key for key in doubtful if (entries[key].value if key in entries else None) not in expected.allowed(key)]
    return wrong
