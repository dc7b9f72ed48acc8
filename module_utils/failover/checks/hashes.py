# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the members' own hashes of all their data are equal at one revision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from ..sentences import listing
from ..shapes import Check, Verdict
from .base import Case, Checker


class Hashes(Checker):
    """After the heal, each member hashes all it has at one revision, by the system's own means: HashKV of etcd.

    It sees what the keys that are read do not show: other prefixes, former revisions, and a member whose index and
    whose data differ.
    """

    name = "hashes"
    how = (
        "After the heal, and before the keys are read, every member is asked to hash all its data at the newest "
        "revision that all of them have (etcd: HashKV; a group of MySQL: CHECKSUM TABLE). The hashes have to be equal."
    )

    def applies(self, case: Case) -> bool:
        """Whether the members were asked."""
        return case.info["after"].get("hashes") is not None

    def judge(self, case: Case) -> list[Check]:
        """Compare the hashes that there are."""
        told: Mapping[str, Any] = case.info["after"]["hashes"]
        names = ("revision", "hashes", "compact_revisions", "revisions", "errors")
        evidence = {name: told[name] for name in names if name in told}
        # Data that are hashed from different revisions on have different hashes.
        compact: Mapping[str, int] = told.get("compact_revisions", {})
        groups: dict[tuple[int, int | None], list[str]] = defaultdict(list)
        for member, own in told["hashes"].items():
            if own is not None:
                groups[own, compact.get(member)].append(member)
        silent = {member: told["errors"].get(member, "no reason given") for member in case.experiment.members}
        silent = {member: why for member, why in silent.items() if told["hashes"].get(member) is None}
        revision = told["revision"]
        for point in {since for _, since in groups}:
            hashed = {own: members for (own, since), members in groups.items() if since == point}
            if len(hashed) > 1:
                apart = "; ".join(f"{listing(members)} {own}" for own, members in hashed.items())
                summary = f"The members' own hashes of their data at revision {revision:,} differ: {apart}."
                return [Check(self.name, Verdict.INVALID, summary, evidence)]
        if silent:
            why = "; ".join(f"{member} could not be asked: {why}" for member, why in silent.items())
            return [Check(self.name, Verdict.UNKNOWN, f"Not every member hashed its data: {why}.", evidence)]
        if len(groups) > 1:
            apart = "; ".join(f"{listing(members)} {since}" for (_, since), members in groups.items())
            summary = f"The members' hashes cannot be compared, as they begin at different revisions: {apart}."
            return [Check(self.name, Verdict.UNKNOWN, summary, evidence)]
        [(own, _)] = groups
        summary = f"All {len(told['hashes'])} members have hash {own} of all their data at revision {revision:,}."
        return [Check(self.name, Verdict.VALID, summary, evidence)]
