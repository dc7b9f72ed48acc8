# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whom a fault's target means now, asked of all agents at once."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor, Future, as_completed
from concurrent.futures import TimeoutError as FuturesTimeoutError
from typing import Any

from ..agent.wire import AgentError
from ..fault_names import rank_of, role_of
from ..shapes import FaultSpec
from .links import Link
from .quorum import Statuses, is_settled, leader_of

# How long one attempt waits for the members' roles at least; a member that hangs must not delay a fault longer, in s.
ROLES_TIMEOUT_S = 0.25


def choose_target(target: str, statuses: Statuses) -> str | None:
    """Return the member that a fault's target means now, or None where there is none.

    Followers are counted by name, so that the same state gives the same choice.
    """
    role = role_of(target)
    if role == "leader":
        return leader_of(statuses)
    if role == "follower":
        followers = sorted(member for member, status in statuses.items() if status["role"] == "follower")
        number = rank_of(target)
        return followers[number - 1] if number <= len(followers) else None
    return target


def ask_roles(
    spec: FaultSpec, links: Mapping[str, Link], pool: Executor, timeout_s: float = ROLES_TIMEOUT_S
) -> dict[str, dict[str, Any]]:
    """Ask all agents at once for their member's role; return as soon as the answers decide."""
    asked: dict[Future[dict[str, Any]], str] = {
        pool.submit(link.main.request, "status", timeout_s=timeout_s): member for member, link in links.items()
    }
    statuses: dict[str, dict[str, Any]] = {}
    try:
        for answered in as_completed(asked, timeout=timeout_s):
            try:
                status = answered.result()
            except AgentError:
                continue
            if status["ok"]:
                statuses[asked[answered]] = status
            if not spec.keep_majority and is_settled(statuses, len(links), spec.target, role_of(spec.target)):
                break
    except FuturesTimeoutError:
        # Who has not answered by now has no say in this attempt.
        pass
    return statuses
