# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""etcd's answers, and gRPC's for it, that come before a request is proposed.

Sources are paths in etcd's repository (release 3.5), and gRPC's core for what the client's own library says. Not in the
table on purpose, though their codes sound like refusals:

- "etcdserver: mvcc: database space exceeded": the applier writes the key and then reports that there is no space
  (server/etcdserver/apply.go, quotaApplierV3; issue 16659 of etcd-io/etcd).
- "Received message larger than max": the client's library says it of an answer; the server has done the work.
- "etcdserver: request timed out", "leader changed", "server stopped", "corrupt cluster": proposed, or possibly so.
"""

from __future__ import annotations

from ..refusals import NOT_SENT, Refusal

_INTERCEPTOR = "server/etcdserver/api/v3rpc/interceptor.go, newUnaryInterceptor: before the handler"
_RAFT_REQUEST = "server/etcdserver/v3_server.go, processInternalRaftRequestOnce: before it is proposed"
_KEY_CHECKS = "server/etcdserver/api/v3rpc/key.go: the request is checked before it is handed on"
_AUTH_APPLIER = "server/etcdserver/apply_auth.go: permission is checked before the write is applied"
_GRPC_SERVER = "grpc-go, server.go, handleStream: there is no handler for it"
_HTTP2 = "RFC 9113, 6.8 and 8.7: streams above a GOAWAY's last one, and refused ones, were not processed"
_TRANSPORT = "transport/: nothing of the request had been handed to the kernel"
_GRPC_CORE = "gRPC core: the request found no connection to leave on"

# Begins the details of a request that the member's HTTP/2 says it did not look at.
NOT_PROCESSED = "not processed: "

# Complete details of an answer, whatever its code: a server of another version may give another one.
ANSWERS: dict[str, Refusal] = {
    "etcdserver: no leader": Refusal(False, _INTERCEPTOR),
    "etcdserver: not capable": Refusal(False, _INTERCEPTOR),
    "etcdserver: rpc not supported for learner": Refusal(False, _INTERCEPTOR),
    "etcdserver: not leader": Refusal(False, "server/etcdserver/server.go: asked of the leader alone, not proposed"),
    "etcdserver: too many requests": Refusal(False, _RAFT_REQUEST),
    "etcdserver: request is too large": Refusal(True, _RAFT_REQUEST),
    "etcdserver: invalid auth token": Refusal(True, _RAFT_REQUEST),
    "raft proposal dropped": Refusal(False, "raft/raft.go, ErrProposalDropped: raft did not take the proposal"),
    "etcdserver: key is not provided": Refusal(True, _KEY_CHECKS),
    "etcdserver: value is provided": Refusal(True, _KEY_CHECKS),
    "etcdserver: lease is provided": Refusal(True, _KEY_CHECKS),
    "etcdserver: too many operations in txn request": Refusal(True, _KEY_CHECKS),
    "etcdserver: duplicate key given in txn request": Refusal(True, _KEY_CHECKS),
    "etcdserver: user name is empty": Refusal(True, _AUTH_APPLIER),
    "etcdserver: permission denied": Refusal(True, _AUTH_APPLIER),
    "etcdserver: revision of auth store is old": Refusal(False, _AUTH_APPLIER),
    "etcdserver: authentication is not enabled": Refusal(False, "server/auth/store.go: no token without users"),
}
# Beginnings of longer texts.
BEGINNINGS: dict[str, Refusal] = {
    NOT_SENT: Refusal(False, _TRANSPORT),
    NOT_PROCESSED: Refusal(False, _HTTP2),
    "failed to connect to all addresses": Refusal(False, _GRPC_CORE),
    "errors resolving ": Refusal(False, _GRPC_CORE),
    "DNS resolution failed": Refusal(False, _GRPC_CORE),
    "unknown service ": Refusal(True, _GRPC_SERVER),
    "unknown method ": Refusal(True, _GRPC_SERVER),
}

# Ambiguous, and yet no retry is answered otherwise until someone makes room.
NO_SPACE = "etcdserver: mvcc: database space exceeded"


def refusal_of(details: str) -> Refusal | None:
    """Return what is known of an answer by its details; None where it does not prove that nothing was done."""
    found = ANSWERS.get(details)
    if found is not None:
        return found
    return next((refusal for beginning, refusal in BEGINNINGS.items() if details.startswith(beginning)), None)


def refused(error: str) -> bool:
    """Say whether an error as the client writes it ("CODE: details") proves that its attempt had no effect."""
    return refusal_of(error.partition(": ")[2]) is not None
