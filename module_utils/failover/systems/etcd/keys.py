# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The keys of etcd under one prefix: counted, read from one member, removed."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from ...shapes import LabError
from ..dump_file import EMPTYING_TIMEOUT_S, PAGE_TIMEOUT_S, Row, header, unavailable, write_dump
from .access import OPEN, Access, client_url
from .http import EtcdHttp, EtcdUnreachableError

RANGE_PATH = "/v3/kv/range"
DELETE_RANGE_PATH = "/v3/kv/deleterange"

# In front of the keys of the clients' fences, which are no data: no experiment's prefix may cover them.
FENCES = "failover-lab/fence/"

# Keys asked for at once: an answer of a few hundred kB, and few round trips for 100,000 keys.
PAGE_SIZE = 2000


class EtcdKeys(EtcdHttp):
    """The keys under one prefix, as one member has them."""

    def __init__(self, url: str, prefix: str, timeout_s: float = PAGE_TIMEOUT_S, access: Access = OPEN) -> None:
        super().__init__(url, timeout_s, access)
        self._start = prefix.encode() or b"\0"
        self._end = range_end(prefix.encode())

    def count(self, *, serializable: bool) -> tuple[int, int]:
        """Return how many keys there are, and the revision that says so.

        ``serializable``: as this member has them, even without a leader; else as the cluster has agreed on.
        """
        answer = self.request(
            RANGE_PATH,
            {"key": _b64(self._start), "range_end": _b64(self._end), "count_only": True, "serializable": serializable},
        )
        return int(answer.get("count", 0)), int(answer["header"]["revision"])

    def rows(self, revision: int) -> Iterator[Row]:
        """Yield ``(key with its prefix, value, version, mod_revision)`` of this member's data at one revision."""
        start, more = self._start, True
        while more:
            answer = self.request(
                RANGE_PATH,
                {
                    "key": _b64(start),
                    "range_end": _b64(self._end),
                    "revision": str(revision),
                    "limit": str(PAGE_SIZE),
                    "serializable": True,
                },
            )
            found = answer.get("kvs", [])
            for entry in found:
                # Fields that are zero or empty are left out of the answer.
                yield (
                    text_of(base64.b64decode(entry["key"])),
                    text_of(base64.b64decode(entry.get("value", ""))),
                    int(entry.get("version", 0)),
                    int(entry.get("mod_revision", 0)),
                )
            more = bool(answer.get("more")) and bool(found)
            if more:
                start = base64.b64decode(found[-1]["key"]) + b"\0"

    def delete_all(self) -> int:
        """Remove all keys under the prefix; return how many there were."""
        answer = self.request(DELETE_RANGE_PATH, {"key": _b64(self._start), "range_end": _b64(self._end)})
        return int(answer.get("deleted", 0))


def text_of(raw: bytes) -> str:
    """Return what a key or a value says; what is no UTF-8 stays readable, and is found to be wrong by the checks."""
    return raw.decode("utf-8", "backslashreplace")


def range_end(prefix: bytes) -> bytes:
    """Return the first key after all that begin with ``prefix``; etcd reads a single zero byte as "no end"."""
    for position in range(len(prefix) - 1, -1, -1):
        if prefix[position] < 0xFF:
            return prefix[:position] + bytes([prefix[position] + 1])
    return b"\0"


def dump(
    member: str, url: str, key_prefix: str, dest: Path, *, write: bool = True, access: Access = OPEN
) -> dict[str, Any]:
    """Write the keys that one etcd member has under a prefix, asking no other member.

    All pages are of one revision, so that writes meanwhile cannot tear the picture.

    :param write: False counts only
    :returns: ``member``, ``available``, ``reason`` (else null), ``count``, ``revision``, ``sha256`` of the file,
        ``dest``, ``changed`` (whether the file is written, or an old one removed)
    """
    try:
        keys = EtcdKeys(url, key_prefix, access=access)
    except ValueError as error:
        raise LabError(f"client_url of {member}: {error}") from error
    with closing(keys):
        try:
            count, revision = keys.count(serializable=True)
            first = header(member, "etcd", key_prefix, count, revision)
            rows = ((key.removeprefix(key_prefix), *rest) for key, *rest in keys.rows(revision))
            return write_dump(dest, first, rows, write=write)
        except EtcdUnreachableError as error:
            return unavailable(member, dest, str(error), write=write)


def empty(endpoints: Sequence[str], key_prefix: str, *, dry_run: bool = False, access: Access = OPEN) -> dict[str, Any]:
    """Remove all keys under a prefix, through the first member that answers.

    :param endpoints: "host:port"
    :param dry_run: only count them
    :returns: ``removed`` (keys), ``created`` (False: etcd needs no table), ``endpoint``
    """
    if not key_prefix:
        raise LabError("key_prefix is empty: that would remove every key of the cluster; give a prefix like EXP1-")
    if FENCES.startswith(key_prefix):
        raise LabError(f"key_prefix {key_prefix} covers the clients' fences ({FENCES}); give a prefix like EXP1-")
    reasons = []
    for endpoint in endpoints:
        with closing(EtcdKeys(client_url(endpoint, access), key_prefix, EMPTYING_TIMEOUT_S, access)) as keys:
            try:
                removed = keys.count(serializable=False)[0] if dry_run else keys.delete_all()
            except EtcdUnreachableError as error:
                # The next may do it; removing twice removes no more.
                reasons.append(f"{endpoint}: {error}")
                continue
        return {"removed": removed, "created": False, "endpoint": endpoint}
    raise LabError(
        f"no etcd member could empty {key_prefix} ({'; '.join(reasons)}); check the cluster with playbooks/up.yml"
    )


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
