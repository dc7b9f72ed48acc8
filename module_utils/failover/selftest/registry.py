# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be planted: classes of faults, and the ways in which each shows."""

from __future__ import annotations

from . import files, lists, rows, shared, sole, watched
from .base import Kind

# The classes of faults, and what a history lacks in which none can be planted.
CLASSES: dict[str, str] = {
    "lost": "no key, and no element of a list, has to be there for certain",
    "resurrected": "no key was removed for certain",
    "stale": "no read began after a change that it had to see, or reads may be old",
    "wrong-value": "no value has to be there for certain",
    "phantom": "no key was written",
    "applied-twice": "no member counts the writes of a key, and no overwritten value could come back",
    "reordered": "no operation comes after another one",
    "older-store": "answers have no revision of the store",
    "missed-event": "no watch was kept",
    "doubled-event": "no watch was kept",
    "reordered-event": "no watch was kept",
    "diverged-member": "there is one member only, or no key",
    "cut-file": "there is no file",
    "foreign-file": "there is no file",
    "edited-verdict": "there is no verdict",
}

# Those that change what members hold.
_OF_MEMBERS: tuple[Kind, ...] = (
    sole.Lost(),
    sole.WrongOnMembers(),
    shared.Lost(),
    shared.WrongOnMembers(),
    lists.Lost(),
)

KINDS: tuple[Kind, ...] = (
    sole.Lost(),
    sole.LostBeforeDelete(),
    sole.Resurrected(),
    sole.StaleRead(),
    sole.WrongOnMembers(),
    sole.WrongRead(),
    sole.Phantom(),
    sole.AppliedTwice(),
    shared.Lost(),
    shared.EmptyScan(),
    shared.Resurrected(),
    shared.StaleRead(),
    shared.WrongOnMembers(),
    shared.WrongRead(),
    shared.Phantom(),
    shared.AppliedTwice(),
    lists.Lost(),
    lists.StaleRead(),
    lists.WrongRead(),
    lists.Phantom(),
    lists.AppliedTwice(),
    lists.Reordered(),
    rows.Reordered(),
    rows.OldRevision(),
    watched.Missed(),
    watched.Doubled(),
    watched.Reordered(),
    watched.WrongValue(),
    watched.Phantom(),
    rows.Diverged(),
    files.Cut(),
    files.Foreign(),
    files.EditedOnce(),
    files.Forged(_OF_MEMBERS),
)


def kinds_of(name: str) -> list[Kind]:
    """Return the ways in which faults of a class show."""
    return [kind for kind in KINDS if kind.of == name]
