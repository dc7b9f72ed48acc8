# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The etcd client against small servers that speak etcd's own protocol and fail on demand."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import etcd3.etcdrpc as rpc
import grpc
import pytest
from failover.run.settling import Settling
from failover.shapes import LabError, ReadConsistency, RetryPolicy, RunSettings, Target
from failover.systems.base import ClientIdentity
from failover.systems.etcd.client import ClientWithFailover
from failover.systems.etcd.driver import EtcdMember, failure_of
from failover.systems.etcd.transport.base import Channel, Transport
from failover.systems.etcd.transport.grpcio import GrpcioChannel
from failover.systems.etcd.transport.lean import LeanChannel
from failover.systems.loop import AttemptFailedError, FailoverPolicy

# What these tests are about is the same with and without a fence, which has tests of its own below.
blind = partial(FailoverPolicy, retry_policy=RetryPolicy.BLIND)
# An attempt long enough for a busy machine, a budget that a test can wait for.
POLICY = blind(attempt_timeout_ms=400, connect_timeout_ms=300, operation_budget_ms=1500)
PATIENT = blind(attempt_timeout_ms=1000, connect_timeout_ms=1000, operation_budget_ms=20_000)

CORE = Path(__file__).resolve().parents[3] / "module_utils"

# A server's way to answer a write: called with the function that applies it and the call's context.
Behaviour = Callable[[Callable[[], Any], Any], Any]


def well(apply: Callable[[], Any], _context: Any) -> Any:
    return apply()


def refuse_with(code: grpc.StatusCode, details: str) -> Behaviour:
    def behave(_apply: Callable[[], Any], context: Any) -> Any:
        context.abort(code, details)

    return behave


def apply_and_drop(apply: Callable[[], Any], context: Any) -> Any:
    """Do what was asked and tell nobody: the answer is lost."""
    apply()
    context.abort(grpc.StatusCode.UNAVAILABLE, "etcdserver: leader changed")


leader_changed = refuse_with(grpc.StatusCode.UNAVAILABLE, "etcdserver: leader changed")


@dataclass
class Store:
    """What the servers of one cluster share: keys, and how often each was written."""

    data: dict[bytes, bytes] = field(default_factory=dict)
    writes: list[bytes] = field(default_factory=list)
    revision: int = 1


class FakeMember(rpc.KVServicer, rpc.ClusterServicer, rpc.MaintenanceServicer):  # type: ignore[misc]
    """One member; ``behave`` decides what becomes of its requests."""

    def __init__(self, cluster: FakeCluster, number: int) -> None:
        self.cluster = cluster
        self.number = number
        self.name = f"etcd{number}"
        self.port = 0
        self.behave: Behaviour = well
        self.released = threading.Event()
        self.requests = 0
        self.mute = False  # says nothing when asked for its leader
        self.answered = 0
        self.asked = 0  # for its leader
        self.serializable: bool | None = None  # how the last read was asked for
        self.metadata: dict[str, str] = {}  # of the last write or read
        self._server: grpc.Server | None = None
        self.start()

    def start(self) -> None:
        server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        rpc.add_KVServicer_to_server(self, server)
        rpc.add_ClusterServicer_to_server(self, server)
        rpc.add_MaintenanceServicer_to_server(self, server)
        self.port = server.add_insecure_port(f"127.0.0.1:{self.port}")
        server.start()
        self._server = server

    def stop(self) -> None:
        self.released.set()
        if self._server is not None:
            self._server.stop(0).wait(5)
            self._server = None

    def hang(self, apply: Callable[[], Any], _context: Any) -> Any:
        """Answer only when the test lets go."""
        self.released.wait(10)
        return apply()

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def MemberList(self, _request: Any, _context: Any) -> Any:  # noqa: N802  the name of the RPC
        answer = rpc.MemberListResponse()
        answer.header.member_id = self.number
        for member in self.cluster.members:
            answer.members.add(ID=member.number, name=member.name, clientURLs=self.cluster.urls_of(member))
        answer.members.add(ID=99)  # added, never started: it has no name and no URL
        return answer

    def Status(self, _request: Any, _context: Any) -> Any:  # noqa: N802  the name of the RPC
        self.asked += 1
        if self.mute:
            self.released.wait(10)
        answer = rpc.StatusResponse(leader=self.cluster.leader)
        answer.header.member_id = self.number
        answer.header.raft_term = self.cluster.term
        return answer

    def Put(self, request: Any, context: Any) -> Any:  # noqa: N802  the name of the RPC
        def apply() -> Any:
            self.cluster.store.data[request.key] = request.value
            self.cluster.store.writes.append(request.key)
            return rpc.PutResponse()

        return self._answer(apply, context)

    def Range(self, request: Any, context: Any) -> Any:  # noqa: N802  the name of the RPC
        self.serializable = request.serializable

        def apply() -> Any:
            answer = rpc.RangeResponse()
            if request.range_end:
                there = sorted(key for key in self.cluster.store.data if request.key <= key < request.range_end)
                for key in there[: request.limit]:
                    answer.kvs.add(key=key, value=self.cluster.store.data[key])
            elif request.key in self.cluster.store.data:
                answer.kvs.add(key=request.key, value=self.cluster.store.data[request.key])
            return answer

        return self._answer(apply, context)

    def DeleteRange(self, request: Any, context: Any) -> Any:  # noqa: N802  the name of the RPC
        def apply() -> Any:
            gone = self.cluster.store.data.pop(request.key, None)
            return rpc.DeleteRangeResponse(deleted=int(gone is not None))

        return self._answer(apply, context)

    def Txn(self, request: Any, context: Any) -> Any:  # noqa: N802  the name of the RPC
        """Move a fence: one comparison, of a value or with a version of 0."""
        store = self.cluster.store

        def apply() -> Any:
            (compare,) = request.compare
            found = store.data.get(compare.key)
            if compare.target == rpc.Compare.VALUE:
                holds = found == compare.value
            else:
                assert compare.version == 0
                holds = found is None
            answer = rpc.TxnResponse(succeeded=holds)
            for operation in request.success if holds else request.failure:
                self._operate(operation, answer)
            if holds:
                store.revision += 1
            answer.header.revision = store.revision
            return answer

        return self._answer(apply, context)

    def _operate(self, operation: Any, answer: Any) -> None:
        """Do one operation of a transaction."""
        store, response = self.cluster.store, answer.responses.add()
        if operation.HasField("request_put"):
            store.data[operation.request_put.key] = operation.request_put.value
            store.writes.append(operation.request_put.key)
            response.response_put.SetInParent()
        elif operation.HasField("request_delete_range"):
            gone = store.data.pop(operation.request_delete_range.key, None)
            response.response_delete_range.deleted = int(gone is not None)
        else:
            key = operation.request_range.key
            response.response_range.SetInParent()
            if key in store.data:
                response.response_range.kvs.add(key=key, value=store.data[key], mod_revision=store.revision)

    def _answer(self, apply: Callable[[], Any], context: Any) -> Any:
        self.requests += 1
        self.metadata = dict(context.invocation_metadata())
        answer = self.behave(apply, context)
        answer.header.raft_term = self.cluster.term
        self.answered += 1
        return answer


class FakeCluster:
    def __init__(self) -> None:
        self.store = Store()
        self.members: list[FakeMember] = []
        self.leader = 1  # whom all members follow, in their own words
        self.term = 5
        self.advertise = "http://127.0.0.1:{port}"
        for number in (3, 1, 2):  # as in etcd, the order is not that of the names
            self.members.append(FakeMember(self, number))

    def urls_of(self, member: FakeMember) -> list[str]:
        return [url.format(port=member.port) for url in self.advertise.split()]

    def __getitem__(self, name: str) -> FakeMember:
        return next(member for member in self.members if member.name == name)


Events = list[tuple[str, dict[str, Any]]]
Connect = Callable[..., tuple[ClientWithFailover, Events]]


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    made = FakeCluster()
    yield made
    for member in made.members:
        member.stop()


@pytest.fixture
def connect(cluster: FakeCluster) -> Iterator[Connect]:
    made: list[ClientWithFailover] = []

    def make(name: str = "etcd1", policy: FailoverPolicy = POLICY, **more: Any) -> tuple[ClientWithFailover, Events]:
        events: Events = []
        client = ClientWithFailover(
            "127.0.0.1",
            cluster[name].port,
            policy=policy,
            emit=lambda event, data: events.append((event, data)),
            **more,
        )
        made.append(client)
        return client, events

    yield make
    for client in made:
        client.close()


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_members_are_discovered_from_one(cluster: FakeCluster, connect: Connect) -> None:
    client, events = connect("etcd2")
    expected = {name: cluster[name].endpoint for name in ("etcd1", "etcd2", "etcd3")}
    assert client.members == expected
    assert client.endpoint == cluster["etcd2"].endpoint
    assert events == [
        ("client.members_discovered", {"endpoint": cluster["etcd2"].endpoint, "members": expected}),
        ("client.connected", {"endpoint": cluster["etcd2"].endpoint, "member": "etcd2"}),
    ]


def test_write_read_delete(connect: Connect) -> None:
    client, _ = connect()
    endpoint = client.endpoint
    assert client.get_with_retry("k")[:6] == ("ok", 1, endpoint, None, None, None)
    assert client.put_with_retry("k", "10.0.0.1")[:6] == ("ok", 1, endpoint, None, None, None)
    assert client.get_with_retry("k")[:6] == ("ok", 1, endpoint, "10.0.0.1", None, None)
    assert client.delete_with_retry("k")[:6] == ("ok", 1, endpoint, None, 1, None)
    assert client.delete_with_retry("k")[:6] == ("ok", 1, endpoint, None, 0, None)


def test_a_scan_stays_below_its_prefix_and_says_what_it_found(connect: Connect) -> None:
    client, _ = connect()
    for key in ("EXP1-a", "EXP1-b", "EXP1-c", "EXP2-a"):
        client.put_with_retry(key, "v")
    endpoint = client.endpoint
    assert client.scan_with_retry("EXP1-", "EXP1-b", 10)[:6] == ("ok", 1, endpoint, "c", 2, None)
    assert client.scan_with_retry("EXP1-", "EXP1-a", 2)[:6] == ("ok", 1, endpoint, "b", 2, None)
    assert client.scan_with_retry("EXP1-", "EXP1-d", 2)[:6] == ("ok", 1, endpoint, None, 0, None)


@pytest.mark.parametrize(("transport", "channel"), [("lean", LeanChannel), ("grpcio", GrpcioChannel)])
def test_either_transport_carries_the_requests(connect: Connect, transport: Transport, channel: type[Channel]) -> None:
    client, _ = connect(transport=transport)
    assert client.put_with_retry("k", "v").outcome == "ok"
    assert {type(member._channel) for member in client._connections.values()} == {channel}


def test_seeds_are_asked_where_the_given_member_is_down(cluster: FakeCluster, closed_port: int) -> None:
    seeds = [f"127.0.0.1:{closed_port}", cluster["etcd3"].endpoint]
    client = ClientWithFailover("127.0.0.1", closed_port, seeds=seeds, policy=POLICY)
    assert client.endpoint == cluster["etcd3"].endpoint
    assert client.put_with_retry("k", "v").outcome == "ok"
    client.close()


def test_no_member_at_all_is_one_line(closed_port: int) -> None:
    with pytest.raises(LabError, match=rf"no etcd member answers: 127.0.0.1:{closed_port} .*refused") as raised:
        ClientWithFailover("127.0.0.1", closed_port, policy=POLICY)
    assert "\n" not in str(raised.value)


def test_urls_that_need_tls_are_refused(cluster: FakeCluster, connect: Connect) -> None:
    cluster.advertise = "https://127.0.0.1:{port}"
    with pytest.raises(LabError, match="advertises only https://"):
        connect()


def test_the_first_usable_url_is_taken(cluster: FakeCluster, connect: Connect) -> None:
    cluster.advertise = "https://127.0.0.1:1 http://127.0.0.1:{port}"
    client, _ = connect()
    assert client.put_with_retry("k", "v").outcome == "ok"


def test_a_stopped_member_is_left_at_once_and_certainly_did_nothing(cluster: FakeCluster, connect: Connect) -> None:
    cluster.leader = 2
    client, events = connect()
    client.put_with_retry("before", "v")
    cluster["etcd1"].stop()
    result = client.put_with_retry("k", "v")
    assert (result.outcome, result.endpoint) == ("ok", cluster["etcd2"].endpoint)
    assert client.endpoint == cluster["etcd2"].endpoint
    assert cluster.store.writes.count(b"k") == 1
    names = [name for name, _ in events[2:]]
    assert names == ["client.attempt_failed", "client.failover_started", "client.failover_completed"]
    completed = events[-1][1]
    assert (completed["from"], completed["to"]) == (cluster["etcd1"].endpoint, cluster["etcd2"].endpoint)


def test_followers_of_a_dead_leader_are_not_asked_to_write(cluster: FakeCluster, connect: Connect) -> None:
    client, events = connect(policy=PATIENT)
    client.put_with_retry("before", "v")
    cluster["etcd1"].stop()
    lost = [cluster["etcd2"], cluster["etcd3"]]

    def elect() -> None:
        while "client.member_passed_over" not in [name for name, _ in events]:
            time.sleep(0.02)
        time.sleep(0.3)  # the client goes on asking
        requests.extend(member.requests for member in lost)
        cluster.leader = 3

    requests: list[int] = []
    election = threading.Thread(target=elect, daemon=True)
    election.start()
    result = client.put_with_retry("k", "v")
    election.join(10)
    assert requests == [0, 0]  # nothing was sent while it would have been lost
    assert (result.outcome, result.attempts) == ("ok", 2)
    assert cluster.store.writes.count(b"k") == 1
    (told,) = [data for name, data in events if name == "client.member_passed_over"]
    assert told["reason"] == f"it still follows {cluster['etcd1'].endpoint}, where nothing listens"


def test_a_member_that_says_nothing_is_passed_over_while_others_answer(cluster: FakeCluster, connect: Connect) -> None:
    client, events = connect(policy=PATIENT)
    client.put_with_retry("before", "v")
    cluster.leader = 0  # an election is under way
    silent = cluster["etcd1"]
    silent.behave = silent.hang
    silent.mute = True

    def elect() -> None:
        wait_until(lambda: "client.member_passed_over" in [name for name, _ in events])
        before = silent.asked
        time.sleep(1)
        asked.append(silent.asked - before)
        cluster.leader = 3

    asked: list[int] = []
    election = threading.Thread(target=elect, daemon=True)
    election.start()
    result = client.put_with_retry("k", "v")
    election.join(10)
    assert (result.outcome, result.attempts) == ("ok", 2)
    assert silent.requests == 2  # before, and the one that it kept
    assert asked[0] <= 3  # twice a second, and not in each of the rounds, which are shorter than an answer's time limit


def test_others_are_asked_before_a_silent_member_gets_a_request(cluster: FakeCluster, connect: Connect) -> None:
    # Longer than for which an answer counts as one that was given just now.
    client, events = connect(policy=blind(attempt_timeout_ms=700, operation_budget_ms=20_000))
    client.put_with_retry("before", "v")
    first, second, silent = cluster["etcd1"], cluster["etcd2"], cluster["etcd3"]
    for member in (first, second, silent):
        member.behave = member.hang
    silent.mute = True
    asked = silent.asked

    def come_back() -> None:
        wait_until(lambda: silent.asked > asked)  # and says nothing for as long as it is waited for
        first.behave = well

    thread = threading.Thread(target=come_back, daemon=True)
    thread.start()
    result = client.put_with_retry("k", "v")
    thread.join(30)
    assert (result.outcome, result.attempts, result.endpoint) == ("ok", 3, first.endpoint)
    assert silent.requests == 0
    assert "client.member_passed_over" in [name for name, _ in events]


def test_a_silent_leader_may_be_alive(cluster: FakeCluster, connect: Connect) -> None:
    client, events = connect(policy=PATIENT)
    client.put_with_retry("before", "v")
    cluster["etcd1"].behave = cluster["etcd1"].hang  # answers no request, but listens
    result = client.put_with_retry("k", "v")
    assert (result.outcome, result.attempts, result.endpoint) == ("ok", 2, cluster["etcd2"].endpoint)
    assert "client.member_passed_over" not in [name for name, _ in events]


# So long that a test which waits for the end of an attempt fails.
ENDLESS = blind(attempt_timeout_ms=60_000, connect_timeout_ms=1000, operation_budget_ms=60_000)


def wait_until(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.01)


def held_until(happened: Callable[[], bool]) -> Behaviour:
    def behave(apply: Callable[[], Any], _context: Any) -> Any:
        wait_until(happened)
        return apply()

    return behave


@pytest.mark.parametrize(
    "run",
    [
        lambda client: client.put_with_retry("k", "v"),
        lambda client: client.get_with_retry("k"),
        lambda client: client.delete_with_retry("k"),
    ],
)
def test_an_answer_of_a_leader_that_is_gone_is_not_waited_for(
    cluster: FakeCluster, connect: Connect, run: Callable[[ClientWithFailover], Any]
) -> None:
    cluster.leader = 3
    client, events = connect(policy=ENDLESS)
    client.put_with_retry("before", "v")
    lost = cluster["etcd1"]

    def lose(apply: Callable[[], Any], _context: Any) -> Any:
        # The leader goes away with the request, and the members elect another one.
        cluster.term, cluster.leader = 6, 2
        lost.released.wait(30)
        return apply()

    lost.behave = lose
    result = run(client)
    assert (result.outcome, result.attempts, result.endpoint) == ("ok", 2, cluster["etcd2"].endpoint)
    assert result.error == "no answer; its leader of term 5 is gone, it is term 6 now"
    (failed,) = [data for name, data in events if name == "client.attempt_failed"]
    assert failed["ambiguous"] is True
    # The member itself is well, and is used again when its turn comes.
    lost.behave = well
    cluster["etcd2"].stop()
    cluster["etcd3"].stop()
    assert client.put_with_retry("after", "v").endpoint == lost.endpoint


@pytest.mark.parametrize("change", [(5, 1), (6, 0)])
def test_a_slow_answer_is_waited_for(cluster: FakeCluster, connect: Connect, change: tuple[int, int]) -> None:
    client, events = connect(policy=ENDLESS)
    client.put_with_retry("before", "v")
    # The same leader is slow, or there is none yet.
    cluster.term, cluster.leader = change
    member = cluster["etcd1"]
    before = member.asked
    member.behave = held_until(lambda: member.asked >= before + 3)
    assert client.put_with_retry("k", "v")[:2] == ("ok", 1)
    assert "client.attempt_failed" not in [name for name, _ in events]


def test_all_clients_that_wait_for_the_former_leader_go_on(cluster: FakeCluster, connect: Connect) -> None:
    clients = [connect(policy=ENDLESS)[0] for _ in range(4)]
    for client in clients:
        client.put_with_retry("before", "v")
    member = cluster["etcd1"]
    member.behave = member.hang
    writers = [threading.Thread(target=client.put_with_retry, args=("k", "v")) for client in clients[:3]]
    for writer in writers:
        writer.start()
    wait_until(lambda: member.requests >= 4 + 3)
    cluster.term, cluster.leader = 6, 2
    for writer in writers:
        writer.join(20)
        assert not writer.is_alive()
    assert cluster["etcd2"].requests == 3


def test_a_question_that_cannot_be_asked_does_not_end_the_watch(
    cluster: FakeCluster, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = connect(policy=ENDLESS)
    client.put_with_retry("before", "v")
    ask, asked = EtcdMember.leader_id, []

    def break_once(member: EtcdMember, timeout_s: float) -> int:
        asked.append(member)
        if len(asked) == 1:
            raise RuntimeError("can't start new thread")
        return ask(member, timeout_s)

    monkeypatch.setattr(EtcdMember, "leader_id", break_once)
    cluster["etcd1"].behave = cluster["etcd1"].hang
    writer = threading.Thread(target=client.put_with_retry, args=("k", "v"))
    writer.start()
    wait_until(lambda: len(asked) >= 2)
    cluster.term, cluster.leader = 6, 2
    writer.join(20)
    assert not writer.is_alive()


def test_nobody_is_watched_when_all_clients_are_closed(cluster: FakeCluster, connect: Connect) -> None:
    client, _ = connect()
    threads = [thread for thread in threading.enumerate() if thread.name == "etcd-silence"]
    assert len(threads) == 1
    client.close()
    threads[0].join(20)
    assert not threads[0].is_alive()


def test_a_member_without_a_leader_is_to_say_so_at_once(cluster: FakeCluster, connect: Connect) -> None:
    client, events = connect()
    for run in (lambda: client.put_with_retry("k", "v"), lambda: client.get_with_retry("k")):
        assert run().outcome == "ok"
        assert cluster["etcd1"].metadata["hasleader"] == "true"
    for member in cluster.members:
        member.behave = refuse_with(grpc.StatusCode.UNAVAILABLE, "etcdserver: no leader")
    outcome = client.put_with_retry("k", "v").outcome
    attempts = [data for name, data in events if name == "client.attempt_failed"]
    refused = [attempt for attempt in attempts if "no leader" in attempt["error"]]
    assert refused
    assert not any(attempt["ambiguous"] for attempt in refused)
    # The last attempt has what is left of the budget, and may end with that instead of an answer.
    assert outcome == ("fail" if attempts == refused else "unknown")
    assert attempts[:-1] == refused[: len(attempts) - 1]


def test_a_refused_connection_is_definite(connect: Connect, cluster: FakeCluster) -> None:
    client, events = connect()
    for member in cluster.members:
        member.stop()
    client.put_with_retry("settle", "v")  # notices that the connections are gone
    events.clear()
    result = client.put_with_retry("k", "v")
    assert (result.outcome, result.attempts) == ("fail", 1)
    assert "failed to connect" in str(result.error)
    assert not any(data["ambiguous"] for name, data in events if name == "client.attempt_failed")


def test_a_member_that_takes_connections_but_says_nothing_is_definite() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        member = EtcdMember("127.0.0.1", silent.getsockname()[1], POLICY)
        with pytest.raises(AttemptFailedError) as raised:
            member.put("k", "v", 5.0)
        member.close()
    assert raised.value.ambiguous is False


def test_no_answer_in_time_is_ambiguous(cluster: FakeCluster, connect: Connect) -> None:
    client, events = connect()
    for member in cluster.members:
        member.behave = member.hang
    started = time.monotonic()
    result = client.put_with_retry("k", "v")
    assert result.outcome == "unknown"
    assert "DEADLINE_EXCEEDED" in str(result.error)
    # It tried on as long as it may, and did not hang.
    assert POLICY.operation_budget_ms * 0.9 < (time.monotonic() - started) * 1000 < POLICY.operation_budget_ms * 20
    failed = [data for name, data in events if name == "client.attempt_failed"]
    assert {data["endpoint"] for data in failed} == {member.endpoint for member in cluster.members}
    assert all(data["ambiguous"] for data in failed)


def test_a_read_without_an_answer_fails(cluster: FakeCluster, connect: Connect) -> None:
    client, _ = connect()
    for member in cluster.members:
        member.behave = leader_changed
    result = client.get_with_retry("k")
    assert (result.outcome, result.read) == ("fail", None)
    assert result.error == "UNAVAILABLE: etcdserver: leader changed"


def test_a_write_that_lost_its_answer_is_retried_and_acknowledged(cluster: FakeCluster, connect: Connect) -> None:
    client, events = connect(policy=PATIENT)
    cluster["etcd1"].behave = apply_and_drop
    result = client.put_with_retry("k", "v")
    assert (result.outcome, result.attempts) == ("ok", 2)
    assert result.error == "UNAVAILABLE: etcdserver: leader changed"
    # The price of the retry, which the key's version shows to the checkers.
    assert cluster.store.writes.count(b"k") == 2
    assert next(data for name, data in events if name == "client.attempt_failed")["ambiguous"] is True


def test_a_delete_that_lost_its_answer_does_not_say_what_it_removed(cluster: FakeCluster, connect: Connect) -> None:
    client, _ = connect()
    client.put_with_retry("k", "v")
    cluster["etcd1"].behave = apply_and_drop
    result = client.delete_with_retry("k")
    assert (result.outcome, result.attempts, result.affected) == ("ok", 2, None)
    assert cluster.store.data == {}


def test_a_connection_that_breaks_under_a_write_is_ambiguous(cluster: FakeCluster, connect: Connect) -> None:
    client, events = connect(policy=PATIENT)
    member = cluster["etcd1"]
    arrived = threading.Event()

    def hold(_apply: Callable[[], Any], context: Any) -> Any:
        arrived.set()
        member.released.wait(10)
        context.abort(grpc.StatusCode.INTERNAL, "never reaches the client")

    member.behave = hold

    def stop_once_it_is_there() -> None:
        arrived.wait(10)
        member.stop()

    stopper = threading.Thread(target=stop_once_it_is_there)
    stopper.start()
    result = client.put_with_retry("k", "v")
    stopper.join()
    assert result.outcome == "ok"
    assert result.endpoint != member.endpoint
    first = next(data for name, data in events if name == "client.attempt_failed")
    assert (first["endpoint"], first["ambiguous"]) == (member.endpoint, True)


def test_an_error_of_the_request_goes_to_one_member_only(cluster: FakeCluster, connect: Connect) -> None:
    client, _ = connect()
    for member in cluster.members:
        member.behave = refuse_with(grpc.StatusCode.INVALID_ARGUMENT, "etcdserver: key is not provided")
    result = client.put_with_retry("k", "v")
    assert (result.outcome, result.attempts) == ("fail", 1)
    assert sum(member.requests for member in cluster.members) == 1


def test_the_client_stays_with_the_member_it_went_to(cluster: FakeCluster, connect: Connect) -> None:
    client, _ = connect(policy=PATIENT)
    cluster["etcd1"].stop()
    client.put_with_retry("k", "v")
    where = client.endpoint
    cluster["etcd1"].start()
    assert client.get_with_retry("k").read == "v"
    assert client.endpoint == where


def test_a_cluster_that_comes_back_is_found_again(cluster: FakeCluster, connect: Connect) -> None:
    client, _ = connect(policy=PATIENT)
    for member in cluster.members:
        member.stop()
    back = threading.Timer(0.4, cluster["etcd3"].start)
    back.start()
    result = client.put_with_retry("k", "v")
    back.join()
    assert (result.outcome, result.endpoint) == ("ok", cluster["etcd3"].endpoint)


def test_members_that_know_no_leader_are_waited_for(cluster: FakeCluster, connect: Connect) -> None:
    client, events = connect(policy=PATIENT)
    cluster.leader = 0
    cluster["etcd1"].behave = refuse_with(grpc.StatusCode.UNAVAILABLE, "etcdserver: no leader")

    def elect() -> None:
        while "client.member_passed_over" not in [name for name, _ in events]:
            time.sleep(0.02)
        written.append(cluster.store.writes.count(b"k"))
        cluster.leader = 2

    written: list[int] = []  # before the election
    election = threading.Thread(target=elect, daemon=True)
    election.start()
    result = client.put_with_retry("k", "v")
    election.join(10)
    assert (result.outcome, written, cluster.store.writes.count(b"k")) == ("ok", [0], 1)
    (told,) = [data for name, data in events if name == "client.member_passed_over"]
    assert told["reason"] == "it knows no leader"


@pytest.mark.parametrize(
    ("code", "details", "ambiguous", "final"),
    [
        ("UNAVAILABLE", "failed to connect to all addresses; last error: Connection refused", False, False),
        ("UNAVAILABLE", "errors resolving etcd9:2379: Domain name not found", False, False),
        ("UNAVAILABLE", "etcdserver: no leader", False, False),
        ("UNKNOWN", "raft proposal dropped", False, False),
        ("UNAVAILABLE", "Socket closed", True, False),
        ("UNAVAILABLE", "etcdserver: leader changed", True, False),
        ("UNAVAILABLE", "etcdserver: request timed out, possibly due to connection lost", True, False),
        ("UNAVAILABLE", "recvmsg:Connection reset by peer", True, False),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", True, False),
        ("CANCELLED", "Cancelling all calls", True, False),
        ("INTERNAL", "stream terminated", True, False),
        ("UNKNOWN", "context canceled", True, False),
        ("A_CODE_OF_LATER_DAYS", "", True, False),
        ("RESOURCE_EXHAUSTED", "etcdserver: too many requests", False, False),
        # The applier has put the key before it says so; see refusals.py.
        ("RESOURCE_EXHAUSTED", "etcdserver: mvcc: database space exceeded", True, True),
        ("RESOURCE_EXHAUSTED", "Received message larger than max (10666130 vs. 4194304)", True, False),
        # A code alone proves nothing, whichever it is.
        ("RESOURCE_EXHAUSTED", "a proxy's own words", True, False),
        ("FAILED_PRECONDITION", "etcdserver: a precondition of later days", True, False),
        ("INVALID_ARGUMENT", "etcdserver: an argument of later days", True, False),
        ("UNIMPLEMENTED", "Received http2 header with status: 404", True, False),
        ("DATA_LOSS", "etcdserver: corrupt cluster", True, False),
        ("UNAVAILABLE", "etcdserver: server stopped", True, False),
        # Nor does it matter: an answer that etcd translates to no code of its own is UNKNOWN.
        ("UNKNOWN", "etcdserver: too many requests", False, False),
        ("FAILED_PRECONDITION", "etcdserver: not leader", False, False),
        ("UNAVAILABLE", "etcdserver: rpc not supported for learner", False, False),
        ("UNIMPLEMENTED", "unknown service etcdserverpb.KV", False, True),
        ("FAILED_PRECONDITION", "etcdserver: authentication is not enabled", False, False),
        ("INVALID_ARGUMENT", "etcdserver: request is too large", False, True),
        ("PERMISSION_DENIED", "etcdserver: permission denied", False, True),
    ],
)
def test_errors_are_classified(code: str, details: str, ambiguous: bool, final: bool) -> None:
    failed = failure_of(code, details)
    assert (failed.ambiguous, failed.final) == (ambiguous, final)
    assert failed.reason.startswith(code)


def test_a_loopback_url_of_another_host_is_named() -> None:
    member = EtcdMember("10.0.0.7", 2379, POLICY)
    try:
        with pytest.raises(LabError, match="advertise-client-urls"):
            member._usable("etcd1", ["http://localhost:2379"])
        assert member._usable("etcd1", ["http://localhost:2379", "http://10.0.0.7:2379"]) == "10.0.0.7:2379"
    finally:
        member.close()


@pytest.mark.parametrize(
    "break_it",
    [
        "sys.modules['etcd3'] = None",
        "sys.modules['hpack'] = None",
        # What protobuf 4 and newer raise at etcd3's generated code, with its many lines.
        "\n".join(
            (
                "class Finder:",
                "    def find_spec(self, name, path=None, target=None):",
                "        if name == 'etcd3': raise TypeError('Descriptors cannot be created directly.\\nIf this')",
                "sys.meta_path.insert(0, Finder())",
            )
        ),
    ],
)
def test_a_missing_or_broken_package_is_one_line(break_it: str) -> None:
    program = "\n".join(
        (
            "import sys",
            break_it,
            "from failover.systems.etcd.client import ClientWithFailover",
            "from failover.shapes import LabError",
            "try:",
            "    ClientWithFailover('127.0.0.1')",
            "except LabError as error:",
            "    print(error)",
        )
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(CORE)}
    )
    (line,) = done.stdout.splitlines()
    assert "a Python package of the client for etcd cannot be imported (" in line
    assert "protobuf==3.20.3" in line


SAFE = FailoverPolicy(attempt_timeout_ms=400, connect_timeout_ms=300, operation_budget_ms=1500)
FENCE = b"failover-lab/fence/client"


def test_a_fence_is_moved_with_every_write_and_is_no_data_of_the_experiment(
    cluster: FakeCluster, connect: Connect
) -> None:
    client, events = connect(policy=SAFE)
    stood_at = cluster.store.data[FENCE]
    assert client.put_with_retry("k", "10.0.0.1")[:7] == ("ok", 1, client.endpoint, None, None, None, 3)
    moved_to = cluster.store.data[FENCE]
    assert moved_to != stood_at
    assert client.get_with_retry("k").read == "10.0.0.1"
    assert cluster.store.data[FENCE] == moved_to
    assert client.delete_with_retry("k")[:7] == ("ok", 1, client.endpoint, None, 1, None, 4)
    assert client.delete_with_retry("k").affected == 0
    assert cluster.store.data.keys() == {FENCE}
    assert [name for name, _ in events] == ["client.members_discovered", "client.connected"]


def test_a_write_whose_answer_was_lost_is_done_once(cluster: FakeCluster, connect: Connect) -> None:
    client, _ = connect(policy=SAFE)
    cluster["etcd1"].behave = apply_and_drop
    result = client.put_with_retry("k", "v")
    assert (result.outcome, result.attempts) == ("ok", 2)
    assert cluster.store.writes.count(b"k") == 1
    assert client.doubt is None


def test_a_write_that_comes_late_finds_the_fence_moved(cluster: FakeCluster, connect: Connect) -> None:
    client, _ = connect(policy=SAFE)
    frozen = cluster["etcd1"]
    frozen.behave = frozen.hang
    assert client.put_with_retry("k", "v").outcome == "ok"
    assert client.delete_with_retry("k").affected == 1
    frozen.released.set()
    wait_until(lambda: frozen.answered > 1)
    assert b"k" not in cluster.store.data


def test_what_stays_in_doubt_is_settled_by_the_next_operation(cluster: FakeCluster, connect: Connect) -> None:
    client, events = connect(policy=SAFE)
    for member in cluster.members:
        member.behave = apply_and_drop
    assert client.put_with_retry("k", "v").outcome == "unknown"
    assert client.doubt is not None
    for member in cluster.members:
        member.behave = well
    assert client.get_with_retry("k").read == "v"
    (settled,) = [data for name, data in events if name == "client.write_settled"]
    assert (settled["applied"], settled["revision"]) == (True, 3)
    assert client.doubt is None


def test_another_client_settles_what_one_left_in_doubt(cluster: FakeCluster, connect: Connect) -> None:
    client, _ = connect(policy=SAFE)
    for member in cluster.members:
        member.behave = leader_changed  # says so and did nothing, which nobody can know
    assert client.put_with_retry("k", "v").outcome == "unknown"
    for member in cluster.members:
        member.behave = well
    heir, events = connect("etcd3", policy=SAFE, identity=ClientIdentity("client", doubt=client.doubt))
    assert heir.settle()
    assert [data["applied"] for name, data in events if name == "client.write_settled"] == [False]


def test_members_that_listen_late_settle_what_was_left_in_doubt(cluster: FakeCluster) -> None:
    cluster.store.data[b"failover-lab/fence/E1-etcd/1"] = b"aa-2"
    for member in cluster.members:
        member.stop()

    def listen(_seconds: float) -> None:
        for member in cluster.members:
            member.start()

    addresses = {member.name: {"client_url": f"http://{member.endpoint}"} for member in cluster.members}
    target = Target("etcd", addresses, [member.endpoint for member in cluster.members])
    settling = Settling(target, RunSettings(10, 1), source="client1", sleep=listen)
    doubt = {"index": 7, "client": 1, "fence": "E1-etcd/1", "kind": "CREATE", "at": "aa-1", "to": "aa-2"}
    assert settling.run([doubt], timeout_s=60) == {"settled": {"applied": 1, "not applied": 0}, "left": []}


@pytest.mark.parametrize("consistency", ReadConsistency)
def test_reads_are_as_consistent_as_they_are_asked_to_be(
    cluster: FakeCluster, connect: Connect, consistency: ReadConsistency
) -> None:
    client, _ = connect(policy=replace(SAFE, read_consistency=consistency))
    client.get_with_retry("k")
    assert cluster["etcd1"].serializable == (consistency is ReadConsistency.SERIALIZABLE)
