# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a fault and its target are named: ``F1.2@3``, and ``follower 2``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .sentences import listing
from .shapes import LabError

# What a target may ask for in place of a name.
ROLES = ("leader", "follower")
# What a fault may be about in place of members' names, where it is about what its target sends to some only.
OTHERS = {"peers": "its peers", "clients": "the clients"}


@dataclass(frozen=True)
class FaultId:
    """The id of a fault of one member: ``F1.2@3`` is the first of the data, its second member, in the third repeat."""

    number: int  # in the experiment's list, from 1
    part: int | None = None  # from 1, where the fault is about several members at once
    repeat: int | None = None  # from 1, where there are several

    @classmethod
    def parse(cls, text: str) -> FaultId:
        """Read an id; LabError where it is none."""
        found = re.fullmatch(r"F(\d+)(?:\.(\d+))?(?:@(\d+))?", text)
        if found is None:
            raise LabError(f"{text!r} is not the id of a fault. It should look like F1, F1.2, F1@3 or F1.2@3.")
        number, part, repeat = (None if group is None else int(group) for group in found.groups())
        assert number is not None
        return cls(number, part, repeat)

    @property
    def in_data(self) -> str:
        """Return which fault of the data it is, whoever was struck: F1."""
        return f"F{self.number}"

    @property
    def in_each_repeat(self) -> str:
        """Return what it is called where repeats are told together: F1.2."""
        return self.in_data if self.part is None else f"{self.in_data}.{self.part}"

    def strikes_with(self, other: FaultId) -> bool:
        """Whether both are one fault of the data in the same repeat, like F1.1@3 and F1.2@3."""
        return (self.number, self.repeat) == (other.number, other.repeat)

    def __str__(self) -> str:
        return self.in_each_repeat if self.repeat is None else f"{self.in_each_repeat}@{self.repeat}"


def struck_together(fault: str, faults: Iterable[str]) -> int:
    """Return how many of the faults are one with a fault of theirs, itself counted; all by their ids."""
    own = FaultId.parse(fault)
    return sum(own.strikes_with(FaultId.parse(other)) for other in faults)


def rank(number: int) -> str:
    """Return the target that means the first, second, ... follower by name."""
    return "follower" if number == 1 else f"follower {number}"


def rank_of(target: str) -> int:
    """Return which of the followers, counted by name from 1, a target means."""
    return int(target.partition(" ")[2] or 1)


def role_of(target: str) -> str | None:
    """Return the role that a target asks for, None where it is a member's name."""
    word = target.partition(" ")[0]
    return word if word in ROLES else None


def towards(to: Sequence[str] | None) -> str:
    """Return to whom, as it is told after the target of a fault: `` to etcd2``; nothing where it is to everybody."""
    return f" to {listing([OTHERS.get(each, each) for each in to])}" if to else ""
