# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One etcd member over etcd's JSON gateway, with nothing but the standard library.

Ids are hexadecimal, as etcdctl and etcd's logs print them.
"""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.parse
from dataclasses import dataclass
from typing import Any

from ...tls import client_context, why_not_secured
from .access import OPEN, RENEWED_AFTER, Access

STATUS_PATH = "/v3/maintenance/status"
MEMBER_LIST_PATH = "/v3/cluster/member/list"
# Older releases serve HashKV under the path of Hash; its answer is told apart by its compact_revision.
HASH_KV_PATHS = ("/v3/maintenance/hashkv", "/v3/maintenance/hash")
AUTHENTICATE_PATH = "/v3/auth/authenticate"

HTTP_OK = 200
HTTP_NOT_FOUND = 404


class EtcdUnreachableError(Exception):
    """A member gave no usable answer; the text says why in a few words.

    :param said: the member's own words, where it refused
    """

    def __init__(self, reason: str, said: str = "") -> None:
        super().__init__(reason)
        self.said = said


@dataclass(frozen=True)
class MemberStatus:
    """A member's own view: who it is, whom it follows, how far it is."""

    member_id: str
    cluster_id: str
    leader_id: str | None  # None where it knows none
    term: int
    raft_index: int  # newest entry of its log
    applied_index: int  # newest entry that its data contains
    revision: int
    db_size_bytes: int
    version: str
    errors: tuple[str, ...]  # e.g. "etcdserver: no leader", alarms
    is_learner: bool = False  # has the data and no vote

    @property
    def is_leader(self) -> bool:
        """Whether the member says that it leads."""
        return self.leader_id is not None and self.leader_id == self.member_id


@dataclass(frozen=True)
class HashKV:
    """Hash over all keys and values of a member up to a revision, from its last compaction on."""

    hash: int
    compact_revision: int


class EtcdHttp:
    """One member's client URL, over one connection that is kept. Not for use by several threads at once.

    Where there are accounts, it logs in as soon as a request is refused for want of it: what a member tells everybody
    needs no majority then.
    """

    def __init__(self, url: str, timeout_s: float = 1.0, access: Access = OPEN) -> None:
        """``url`` like https://10.0.0.11:2379; ``timeout_s`` bounds each request and each connect."""
        self.url = url
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.hostname is None:
            raise ValueError(f"{url!r} is not an etcd client URL. It should look like https://10.0.0.11:2379.")
        self._access = access
        self._token = ""
        address, port = parts.hostname, parts.port or 2379
        if parts.scheme == "http":
            self._connection = http.client.HTTPConnection(address, port, timeout=timeout_s)
        elif access.ca:
            self._connection = http.client.HTTPSConnection(
                address, port, timeout=timeout_s, context=client_context(access.ca)
            )
        else:
            raise ValueError(f"{url!r} needs a certificate authority by which the member is verified.")

    def status(self) -> MemberStatus:
        """Ask the member for its status; it answers without a leader, too."""
        answer = self.request(STATUS_PATH, {})
        header = answer.get("header", {})
        return MemberStatus(
            member_id=hex_id(header.get("member_id", 0)),
            cluster_id=hex_id(header.get("cluster_id", 0)),
            leader_id=hex_id(answer["leader"]) if int(answer.get("leader", 0)) else None,
            term=int(answer.get("raftTerm", 0)),
            raft_index=int(answer.get("raftIndex", 0)),
            applied_index=int(answer.get("raftAppliedIndex", 0)),
            revision=int(header.get("revision", 0)),
            db_size_bytes=int(answer.get("dbSize", 0)),
            version=str(answer.get("version", "")),
            errors=tuple(str(error) for error in answer.get("errors", [])),
            is_learner=bool(answer.get("isLearner", False)),
        )

    def member_list(self) -> dict[str, dict[str, Any]]:
        """Return the members as this one knows them, by id: ``{"name": ..., "client_urls": [...]}``."""
        return {
            hex_id(member["ID"]): {"name": member.get("name", ""), "client_urls": member.get("clientURLs", [])}
            for member in self.request(MEMBER_LIST_PATH, {}).get("members", [])
        }

    def hash_kv(self, revision: int = 0) -> HashKV:
        """Hash all data up to ``revision``; 0 means the newest one."""
        for path in HASH_KV_PATHS:
            try:
                answer = self.request(path, {"revision": str(revision)})
            except _NotFoundError:
                continue
            if "compact_revision" in answer:
                return HashKV(int(answer.get("hash", 0)), int(answer["compact_revision"]))
        raise EtcdUnreachableError("this release offers no HashKV over HTTP")

    def log_in(self) -> None:
        """Fetch a token, which goes along with all later requests."""
        asked = {"name": self._access.user, "password": self._access.password}
        self._token = ""
        self._token = str(self._ask(AUTHENTICATE_PATH, asked)["token"])

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        self._connection.close()

    def request(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the answer of a method of etcd's API, as its gateway maps it to JSON; EtcdUnreachableError."""
        try:
            return self._ask(path, body)
        except EtcdUnreachableError as error:
            if not self._access.user or error.said not in RENEWED_AFTER:
                raise
        self.log_in()
        return self._ask(path, body)

    def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        # A kept connection may have been closed by a restart of the member: then, and only then, ask once more.
        kept = self._connection.sock is not None
        try:
            return self._post_once(path, body)
        except (ConnectionError, http.client.HTTPException, ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            self.close()
            if not kept:
                raise EtcdUnreachableError(_reason(error)) from None
        except OSError as error:
            self.close()
            raise EtcdUnreachableError(_reason(error)) from None
        try:
            return self._post_once(path, body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise EtcdUnreachableError(_reason(error)) from None

    def _post_once(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"} | ({"Authorization": self._token} if self._token else {})
        self._connection.request("POST", path, json.dumps(body), headers)
        response = self._connection.getresponse()
        content = response.read()
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if response.status == HTTP_NOT_FOUND:
            raise _NotFoundError(f"HTTP 404 for {path}")
        if response.status != HTTP_OK or not isinstance(answer, dict):
            said = answer.get("message") if isinstance(answer, dict) else None
            raise EtcdUnreachableError(f"HTTP {response.status}: {said or 'not an answer of etcd'}", str(said or ""))
        return answer


class _NotFoundError(EtcdUnreachableError):
    """The gateway does not know the path."""


def hex_id(number: str | int) -> str:
    """Return an id, decimal in the gateway's answers, as etcdctl prints it."""
    return f"{int(number):x}"


def _reason(error: Exception) -> str:
    """Say in a few words why a request failed."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, OSError) and error.strerror:
        return why_not_secured(error)
    return str(error) or type(error).__name__
