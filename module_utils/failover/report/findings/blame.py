# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose doing a finding is, what proves it, and what to do: the words of each card.

A server is blamed only for what no request of the client explains; the client (which is the lab's own) for what its
retries may have done; the lab where what it recorded is not whole, or somebody else wrote to the same place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...checks.model import (
    FORKED,
    LATE_DUPLICATE,
    LOST,
    NO_ORDER,
    PHANTOM,
    REORDERED,
    RESURRECTED,
    STALE,
    TWICE_LISTED,
    WRONG_VALUE,
)
from ...sentences import listing, plural
from ..system_facts import VERSION_ONE
from .timeline import NO_ANSWER

DIFFER = "members differ"
TWICE = "applied twice"
SERVER, CLIENT, LAB, SETTING = "server", "client", "lab", "setting"

# What happened to so many keys, after their number.
TITLES = {
    LATE_DUPLICATE: ("deleted key came back", "deleted keys came back"),
    RESURRECTED: ("deleted key is back", "deleted keys are back"),
    LOST: ("acknowledged write is lost", "acknowledged writes are lost"),
    PHANTOM: ("key exists that nothing wrote", "keys exist that nothing wrote"),
    WRONG_VALUE: ("key has a value that nothing wrote", "keys have values that nothing wrote"),
    STALE: ("key was read as it had been before", "keys were read as they had been before"),
    FORKED: ("list was seen in two forms", "lists were seen in two forms"),
    TWICE_LISTED: ("list has an element twice", "lists have an element twice"),
    REORDERED: ("list is in another order than its appends", "lists are in another order than their appends"),
    NO_ORDER: ("key has answers that no order explains", "keys have answers that no order explains"),
    DIFFER: ("key differs between the members", "keys differ between the members"),
    TWICE: ("key was written more often than sent", "keys were written more often than sent"),
}
ORDER = (
    LOST,
    RESURRECTED,
    PHANTOM,
    WRONG_VALUE,
    FORKED,
    TWICE_LISTED,
    REORDERED,
    NO_ORDER,
    STALE,
    DIFFER,
    TWICE,
    LATE_DUPLICATE,
)

# What a store does to keys that went back to an earlier state.
BY_POWER = (LOST, RESURRECTED, WRONG_VALUE, NO_ORDER, STALE, DIFFER, TWICE)

# What the answers show, wherever the data stand in the end.
BY_ANSWERS = (NO_ORDER, REORDERED, FORKED)

_REPORT = (
    "Keep this folder. Run the same command with the same seed again; if it recurs, and is none of the known bugs of "
    "this version (threats to validity), report it to the server's developers with the history, the events and the "
    "logs of this experiment."
)
_TODO = {
    LATE_DUPLICATE: "Do not count this against the server. A client that sends a write again has to make it harmless "
    "to arrive late, as the retry policy safe does: each write moves a fence of its client in its own transaction.",
    DIFFER: "Look at the heal first: members that are still catching up differ. If they had long caught up, their data "
    "have diverged: keep this folder and report it.",
    STALE: "Check that reads go to the leader or are linearizable, and that the server's clock and leases are sound. "
    + _REPORT,
}
_WHOSE = {
    LATE_DUPLICATE: "The client's: it sent the write again while its first attempt could still arrive. The server did "
    "each request that reached it, once.",
    RESURRECTED: "The server's: the DELETE was acknowledged, and no request that could have put the key back was under "
    "way after it.",
    LOST: "The server's: it acknowledged the write, and no later request explains that it is gone.",
    PHANTOM: "The server's: the only writes that could have put it there were refused, by answers that come before "
    "anything is done.",
    WRONG_VALUE: "The server's: no request of the stream carried this value for this key.",
    STALE: "The server's: a later write to the key had been acknowledged before the read began, and it is not in it.",
    FORKED: "The server's: two readers saw lists of which neither is the beginning of the other.",
    TWICE_LISTED: "The server's: the element was sent once, or behind a fence that lets one attempt take effect.",
    REORDERED: "The server's: an append that was over before another began stands behind it.",
    NO_ORDER: "The server's: whatever order its operations took effect in, one of them should have been answered "
    "otherwise.",
    DIFFER: "The servers': the same requests reached all of them as one stream, and they do not hold the same data.",
    TWICE: "The server's: it counts more writes of the key than the client sent.",
}


def judge(card: Mapping[str, Any], history_whole: bool, lax: Sequence[str] = ()) -> dict[str, Any]:
    """Return ``owner``, ``whose``, ``proof`` and ``todo`` of a card.

    :param card: ``class``, and its ``keys`` as :mod:`.cards` tells them
    :param history_whole: whether the check of the history is valid
    :param lax: settings with which the loss of power that struck takes what was acknowledged; none where there was none
    """
    kind, keys = card["class"], card["keys"]
    # Of what contradicts itself the card has the operations: what stands there in the end proves nothing more.
    proof = [] if all("contradiction" in key for key in keys) else _proof(kind, keys)
    if not history_whole:
        whose = "The lab's, until shown otherwise: the history is incomplete, so a request may be missing from it."
        return {"owner": LAB, "whose": whose, "proof": proof, "todo": "Run the experiment again."}
    if keys and not any(key["operations"] for key in keys):
        whose = "The lab's: no operation of the stream touched these keys, so somebody else wrote to the same place."
        todo = "Find out who else uses the key prefix or the table, and keep the lab's to itself; then run again."
        return {"owner": LAB, "whose": whose, "proof": proof, "todo": todo}
    if lax and kind in BY_POWER:
        whose = (
            f"The setting's: with {listing(lax)} the server acknowledges what it has not synced, and the power was cut."
        )
        todo = (
            "Nothing is wrong with the server: it promised no more. Set it up as the lab does by default and run "
            "again; what is lost then is the server's doing."
        )
        return {"owner": SETTING, "whose": whose, "proof": proof, "todo": todo}
    owner = CLIENT if kind == LATE_DUPLICATE else SERVER
    return {"owner": owner, "whose": _WHOSE[kind], "proof": proof, "todo": _TODO.get(kind, _REPORT)}


def _proof(kind: str, keys: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what of the told keys proves it, one sentence each."""
    proof = []
    number = len(keys)

    def tell(count: int, one: str, many: str) -> None:
        """Add a sentence about so many of the keys."""
        if number == 1:
            proof.append(f"It {one}.")
        else:
            who = f"{count:,} of {number:,}" if count < number else f"All {number:,}" if number > 2 else "Both"
            proof.append(f"{who} {one if count == 1 else many}.")

    unanswered = {
        key["key"]: [a["member"] for o in key["operations"] for a in o["attempts"] if a["ended"] == NO_ANSWER]
        for key in keys
    }
    resent = [key for key, members in unanswered.items() if members]
    if resent:
        members = ", ".join(sorted({member for key in resent for member in unanswered[key]}))
        had = f"had an attempt at {members} that got no answer, and was sent again"
        tell(len(resent), had, had.replace("was sent", "were sent"))
    elif kind in (LOST, RESURRECTED):
        proof.append(
            "No attempt went without an answer: each write was sent once, or refused before it was sent again."
        )
    deleted = [key for key in keys if key["deleted_ms"] is not None]
    if deleted and kind in (LATE_DUPLICATE, RESURRECTED):
        tell(len(deleted), "was deleted, and the DELETE was acknowledged", "were deleted, by acknowledged DELETEs")
        anew = sum(key["version"] == 1 for key in deleted)
        if anew:
            tell(anew, f"has {VERSION_ONE}", f"have {VERSION_ONE}")
    placed = sum(bool(key["stray"]) and key["stray"]["idle_repeat"] is not None for key in keys)
    given = "a revision assigned during the heal, while no client sent anything: the write had been sent before"
    if placed:
        tell(placed, f"has {given}", f"have {given}")
    apart = sum(bool(key["stray"]) and key["stray"]["idle_repeat"] is None and key["stray"]["own"] == 0 for key in keys)
    sent = "a revision assigned when no request for its key was under way: the write had been sent before"
    if apart and kind in (LATE_DUPLICATE, RESURRECTED):
        tell(apart, f"has {sent}", f"have {sent}")
    members_told = len(keys[0]["members"]) if keys else 0
    alike = all(len({str(entry) for entry in key["members"].values()}) == 1 for key in keys)
    if members_told > 1 and alike and kind not in (DIFFER, *BY_ANSWERS):
        proof.append(f"The {plural(members_told, 'member')} hold the same: the write went through their log.")
    return proof
