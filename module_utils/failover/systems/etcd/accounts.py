# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""etcd's accounts: root for the lab, one for the workload, and what that one may touch."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from ...shapes import LabError
from .access import ROOT
from .http import EtcdHttp, EtcdUnreachableError
from .keys import range_end

# The role of the workload's account.
ROLE = "failover-lab-workload"
# How long one step may take, in s: each goes through raft.
GRANT_TIMEOUT_S = 5.0

_OFF = "etcdserver: authentication is not enabled"
_WRONG = "etcdserver: authentication failed, invalid user ID or password"
# What an interrupted attempt has done already.
_THERE = frozenset({"etcdserver: user name already exists", "etcdserver: role name already exists"})


def are_on(member: EtcdHttp) -> bool:
    """Say whether accounts are on and know root by its password; LabError where they know another password."""
    try:
        member.log_in()
    except EtcdUnreachableError as error:
        if error.said == _OFF:
            return False
        if error.said == _WRONG:
            raise LabError(
                f"etcd at {member.url} has accounts, and root's password there is another one. Start all members "
                "empty with -e etcd_reset=true."
            ) from None
        raise
    return True


def switch_on(member: EtcdHttp, root_password: str, user: str, password: str) -> None:
    """Make the accounts and switch them on; what an interrupted attempt has done is done again.

    :param member: without a token, as nobody has an account yet
    """
    for name, its_password, role in ((ROOT, root_password, ROOT), (user, password, ROLE)):
        _do(member, "role/add", {"name": role})
        if not _do(member, "user/add", {"name": name, "password": its_password}):
            _do(member, "user/changepw", {"name": name, "password": its_password})
        _do(member, "user/grant", {"user": name, "role": role})
    _do(member, "enable", {})


def grant_only(member: EtcdHttp, prefixes: Sequence[str]) -> None:
    """Let the workload's account read and write the keys under these prefixes, and no others.

    Nothing is changed where that is so already: each change makes all tokens old.
    """
    wanted = [(_b64(prefix.encode()), _b64(range_end(prefix.encode()))) for prefix in prefixes]
    try:
        found = member.request("/v3/auth/role/get", {"role": ROLE}).get("perm", [])
        given = [(each.get("key", ""), each.get("range_end", "")) for each in found]
        for key, end in given:
            if (key, end) not in wanted:
                member.request("/v3/auth/role/revoke", {"role": ROLE, "key": key, "range_end": end})
        for key, end in wanted:
            if (key, end) not in given:
                permission = {"permType": "READWRITE", "key": key, "range_end": end}
                member.request("/v3/auth/role/grant", {"name": ROLE, "perm": permission})
    except EtcdUnreachableError as error:
        raise LabError(
            f"etcd at {member.url} does not give the workload's account its rights: {error}; provision it with "
            "playbooks/up.yml"
        ) from None


def _do(member: EtcdHttp, step: str, asked: dict[str, Any]) -> bool:
    """Do one step; say whether it was still to be done."""
    try:
        member.request(f"/v3/auth/{step}", asked)
    except EtcdUnreachableError as error:
        if error.said in _THERE:
            return False
        raise
    return True


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
