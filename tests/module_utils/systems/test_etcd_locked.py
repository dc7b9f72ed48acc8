# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Members of etcd that are locked: both transports over TLS, the token of an account, and what it may touch."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import etcd3.etcdrpc as rpc
import grpc
import pytest
from certificates import Authority
from failover.shapes import LabError, Target
from failover.systems.etcd.access import OPEN, Access, client_url, of_lab, of_workload
from failover.systems.etcd.accounts import are_on, grant_only, switch_on
from failover.systems.etcd.driver import EtcdMember, Login, channel_to
from failover.systems.etcd.http import EtcdHttp, EtcdUnreachableError
from failover.systems.etcd.keys import FENCES, range_end
from failover.systems.etcd.refusals import refused
from failover.systems.loop import AttemptFailedError, FailoverPolicy
from http2_doubles import CHANNELS, OK_END, Peer, echo, echoing, frames, grpc_server, message, opened, serving
from locked_gateway import LockedGateway, serve_locked

BOTH = pytest.mark.parametrize("kind", CHANNELS)
POLICY = FailoverPolicy(attempt_timeout_ms=30_000, connect_timeout_ms=30_000)
LAB = Target("etcd", {}, ca="/ca.pem", user="lab", password="of the lab", root_password="of root")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


# ---- transports


def same(request: bytes, _context: Any) -> bytes:
    return request


@BOTH
def test_calls_go_over_tls_to_whom_the_authority_has_signed(kind: str, authority: Authority, tmp_path: Path) -> None:
    with grpc_server(same, signed=authority.sign()) as endpoint:
        with opened(kind, endpoint, ca=authority.ca) as channel:
            long = "v" * 300_000
            assert [echo(channel, value) for value in ("a", long, "b")] == ["a", long, "b"]
        for ca in (Authority(tmp_path, "another").ca, ""):
            with opened(kind, endpoint, ca=ca) as channel, pytest.raises(Exception, match="UNAVAILABLE") as raised:
                echo(channel, "v")
            assert refused(str(raised.value)), "nothing of the request was sent"


@BOTH
def test_a_member_with_the_name_of_another_is_not_asked(kind: str, authority: Authority) -> None:
    with (
        grpc_server(same, signed=authority.sign("IP:127.0.0.2")) as endpoint,
        opened(kind, endpoint, ca=authority.ca) as channel,
        pytest.raises(Exception, match="UNAVAILABLE") as raised,
    ):
        echo(channel, "v")
    assert refused(str(raised.value))


def test_what_comes_in_pieces_is_put_together_and_what_comes_at_once_is_taken_apart(authority: Authority) -> None:
    """A record is no frame: both may end in the middle of the other."""

    def piece_by_piece(peer: Peer) -> None:
        peer.greet()
        stream, value, _ = peer.request()
        for byte in peer.good(stream, value):
            peer.send(bytes([byte]))
        stream, value, _ = peer.request()
        pings = frames.frame(frames.PING, 0, 0, b"\0" * 8) * 5000  # more than one record, and than one read takes
        peer.send(pings, peer.good(stream, value))
        peer.echo_on()

    with serving(piece_by_piece, signed=authority.sign()) as server:
        with opened("lean", server.endpoint, ca=authority.ca) as channel:
            assert [echo(channel, value) for value in ("a", "b", "c")] == ["a", "b", "c"]
        assert len(server.peers) == 1


def test_a_connection_that_was_closed_while_nobody_waited_is_replaced(authority: Authority) -> None:
    closed = threading.Event()

    def once(peer: Peer) -> None:
        peer.greet()
        stream, value, _ = peer.request()
        peer.send(peer.good(stream, value))
        closed.wait(60)

    with serving(once, echoing, signed=authority.sign()) as server:
        with opened("lean", server.endpoint, ca=authority.ca) as channel:
            assert echo(channel, "a") == "a"
            closed.set()
            server.peers[0].ended.wait(60)
            assert echo(channel, "b") == "b"
        assert len(server.peers) == 2


# ---- tokens


class Members:
    """Members that know one account, whose tokens are numbers; one of them at a time is good."""

    def __init__(self) -> None:
        self.good = 0
        self.logins: list[tuple[str, str]] = []
        self.asked: list[str] = []
        self.says = "etcdserver: invalid auth token"

    def behave(self, request: bytes, context: Any) -> bytes:
        fields = dict(context.invocation_metadata())
        path = context._rpc_event.call_details.method.decode().rpartition("/")[2]
        if path == "Authenticate":
            given = rpc.AuthenticateRequest.FromString(request)
            self.logins.append((given.name, given.password))
            if given.password != "right":
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "etcdserver: authentication failed, invalid user")
            return rpc.AuthenticateResponse(token=str(self.good)).SerializeToString()
        self.asked.append(path)
        if path != "Status" and fields.get("token") != str(self.good):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, self.says)
        return rpc.PutResponse(header=rpc.ResponseHeader(revision=9, raft_term=4)).SerializeToString()


def member_at(endpoint: str, kind: Any, ca: str, password: str = "right") -> EtcdMember:
    host, _, port = endpoint.rpartition(":")
    return EtcdMember(host, int(port), POLICY, transport=kind, login=Login(Access(ca, "lab", password)))


@BOTH
@pytest.mark.parametrize("says", ["etcdserver: invalid auth token", "etcdserver: revision of auth store is old"])
def test_a_token_is_fetched_once_and_again_when_it_is_over(kind: str, authority: Authority, says: str) -> None:
    members = Members()
    members.says = says
    with (
        grpc_server(members.behave, signed=authority.sign()) as endpoint,
        closing(member_at(endpoint, kind, authority.ca)) as member,
    ):
        assert [member.put("k", "v"), member.put("k", "w")] == [9, 9]
        assert members.logins == [("lab", "right")]
        members.good = 1  # as after a restart, or a change of rights
        assert member.put("k", "x") == 9
        assert (len(members.logins), members.asked) == (2, ["Put"] * 4)


@BOTH
def test_who_is_not_let_in_has_sent_nothing(kind: str, authority: Authority) -> None:
    members = Members()
    with (
        grpc_server(members.behave, signed=authority.sign()) as endpoint,
        closing(member_at(endpoint, kind, authority.ca, "wrong")) as member,
    ):
        with pytest.raises(AttemptFailedError) as raised:
            member.put("k", "v")
        assert (raised.value.ambiguous, members.asked) == (False, [])
        assert "wrong" not in raised.value.reason
        assert member.leader_id(30) == 0, "whom it follows it tells everybody"


def test_a_token_goes_along_in_a_field_of_its_own_that_no_table_keeps(authority: Authority) -> None:
    seen: list[dict[str, str]] = []

    def note(peer: Peer) -> None:
        peer.greet()
        stream, _, fields = peer.request()
        seen.append(fields)
        peer.send(peer.head(stream, [(":status", "200"), ("content-type", "application/grpc")]))
        peer.send(frames.frame(frames.DATA, 0, stream, message("")), peer.head(stream, OK_END, end=True))

    with serving(note, signed=authority.sign()) as server:
        channel = channel_to(server.endpoint, 30_000, "lean", Access(authority.ca))
        with closing(channel):
            channel.call("/x", rpc.PutRequest(), rpc.PutRequest, 30, require_leader=False, token="t1")
    assert (seen[0]["token"], seen[0][":scheme"]) == ("t1", "https")


# ---- the gateway


@pytest.fixture
def gateway(authority: Authority) -> Iterator[LockedGateway]:
    with serve_locked(authority) as made:
        yield made


def at(gateway: LockedGateway, authority: Authority, user: str = "root", password: str = "of root") -> EtcdHttp:
    return EtcdHttp(gateway.url, 30, Access(authority.ca, user, password))


def test_accounts_are_switched_on_once(gateway: LockedGateway, authority: Authority) -> None:
    with closing(at(gateway, authority)) as member:
        assert not are_on(member)
        switch_on(member, "of root", "lab", "of lab")
        assert gateway.users == {"root": "of root", "lab": "of lab"}
        assert gateway.steps[-1] == "enable"
        assert are_on(member)
    with closing(at(gateway, authority, password="another")) as member, pytest.raises(LabError, match="another one"):
        are_on(member)


def test_what_an_interrupted_attempt_has_made_is_taken_over(gateway: LockedGateway, authority: Authority) -> None:
    gateway.users, gateway.roles = {"root": "old"}, {"root": []}
    with closing(at(gateway, authority)) as member:
        switch_on(member, "of root", "lab", "of lab")
    assert gateway.users == {"root": "of root", "lab": "of lab"}


def test_the_workloads_account_gets_the_experiments_keys_and_no_others(
    gateway: LockedGateway, authority: Authority
) -> None:
    with closing(at(gateway, authority)) as member:
        switch_on(member, "of root", "lab", "of lab")
        grant_only(member, ["EXP1-", FENCES])
        gateway.steps.clear()
        grant_only(member, ["EXP2-", FENCES])
        assert gateway.steps == ["role/get", "role/revoke", "role/grant"], "what stays is not touched"
        (given,) = [found for role, found in gateway.roles.items() if role != "root"]
        assert {tuple(base64.b64decode(each[name]) for name in ("key", "range_end")) for each in given} == {
            (b"EXP2-", b"EXP2."),
            (FENCES.encode(), range_end(FENCES.encode())),
        }


def test_a_member_is_asked_without_an_account_until_it_wants_one(gateway: LockedGateway, authority: Authority) -> None:
    gateway.on, gateway.users = True, {"root": "of root"}
    with closing(at(gateway, authority)) as member:
        assert member.status().term == 2
        assert member._token == ""
        member.request("/v3/kv/range", {"key": "AA==", "range_end": "AA=="})
        gateway.token = "t2"  # as after a change of rights
        member.request("/v3/kv/range", {"key": "AA==", "range_end": "AA=="})
        assert member._token == "t2"
    with closing(at(gateway, authority, "")) as nobody, pytest.raises(EtcdUnreachableError, match="user name is empty"):
        nobody.request("/v3/kv/range", {"key": "AA==", "range_end": "AA=="})


def test_a_member_of_another_authority_is_not_told_the_password(gateway: LockedGateway, tmp_path: Path) -> None:
    access = Access(Authority(tmp_path, "another").ca, "root", "of root")
    refused_it = pytest.raises(EtcdUnreachableError, match="its certificate is not accepted")
    with closing(EtcdHttp(gateway.url, 30, access)) as member, refused_it:
        member.log_in()
    assert gateway.requests == []
    with pytest.raises(ValueError, match="needs a certificate authority"):
        EtcdHttp(gateway.url, 30, OPEN)


def test_the_lab_comes_as_root_and_the_workload_as_itself() -> None:
    assert of_lab(LAB) == Access("/ca.pem", "root", "of root")
    assert of_workload(LAB) == Access("/ca.pem", "lab", "of the lab")
    assert of_lab(Target("etcd", {})) == of_workload(Target("etcd", {})) == OPEN
    assert "of root" not in repr(of_lab(LAB)) + repr(LAB) + json.dumps({})
    assert [client_url("h:1", access) for access in (OPEN, of_lab(LAB))] == ["http://h:1", "https://h:1"]
