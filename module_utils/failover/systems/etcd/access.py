# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How somebody is let in by the members of etcd: whom they trust, and as whom they come.

The workload's clients come with the workload's account, which may touch the experiment's keys and nothing else; the lab
itself comes as root, as hashing a member's data and giving rights need that.

Tokens are signed (JWT): each member takes one that another has given out, also after it was started again. etcd's other
kind is known to members only in memory, and each forgets a token that it has not seen for 5 minutes, so that whoever
fails over would first have to log in again, through the very majority that is being elected.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ...shapes import Target
from ..endpoints import split_endpoint

ROOT = "root"
# Answers after which a new token is asked for. Each comes before anything is done (see refusals), so that the request
# may be sent again: the token is over, the rights have changed since it was given out, or there was none.
RENEWED_AFTER = frozenset(
    {
        "etcdserver: invalid auth token",
        "etcdserver: revision of auth store is old",
        "etcdserver: user name is empty",
        # The same as methods of maintenance say them (server/auth/store.go).
        "auth: invalid auth token",
        "auth: revision in header is old",
        "auth: user name is empty",
    }
)


@dataclass(frozen=True)
class Access:
    """How to be let in."""

    ca: str = ""  # file with the certificate of the authority that signs the members'; empty: they speak no TLS
    user: str = ""  # empty: they have no accounts
    password: str = field(default="", repr=False)


# To members without locks.
OPEN = Access()


def client_url(endpoint: str, access: Access) -> str:
    """Return the client URL of "host:port"; LabError where it is none."""
    split_endpoint(endpoint)
    return f"{'https' if access.ca else 'http'}://{endpoint}"


def of_workload(target: Target) -> Access:
    """Return how the clients of the workload are let in."""
    return Access(target.ca, target.user or "", target.password or "")


def of_lab(target: Target) -> Access:
    """Return how the lab itself is let in."""
    return Access(target.ca, ROOT if target.root_password else "", target.root_password or "")
