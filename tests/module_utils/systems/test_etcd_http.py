# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import socket
import threading

import pytest
from failover.systems.etcd.http import EtcdHttp, EtcdUnreachableError, HashKV
from failover.systems.etcd.observe import assess, await_cluster, compare_data, observe_cluster
from fault_doubles import FakeCluster

NAMES = ["etcd1", "etcd2", "etcd3"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_status_of_leader_and_follower(cluster: FakeCluster) -> None:
    leader = EtcdHttp(cluster.members["etcd2"].url).status()
    follower = EtcdHttp(cluster.members["etcd1"].url).status()
    assert (leader.member_id, leader.cluster_id) == (f"{1192475934745898075:x}", "29228f8f15e8f848")
    assert (leader.is_leader, follower.is_leader) == (True, False)
    assert leader.leader_id == follower.leader_id == leader.member_id
    assert (leader.term, leader.revision, leader.applied_index, leader.raft_index) == (4, 1, 8, 8)
    assert (leader.db_size_bytes, leader.version, leader.errors) == (20480, "3.5.16", ())


def test_status_without_a_leader(cluster: FakeCluster) -> None:
    cluster.elect(None)
    status = EtcdHttp(cluster.members["etcd1"].url).status()
    assert (status.leader_id, status.is_leader) == (None, False)


def test_members_are_known_by_id(cluster: FakeCluster) -> None:
    found = EtcdHttp(cluster.members["etcd1"].url).member_list()
    assert found == {
        member.hex_id: {"name": name, "client_urls": [member.url]} for name, member in cluster.members.items()
    }


def test_hash_of_all_data(cluster: FakeCluster) -> None:
    member = cluster.members["etcd1"]
    assert EtcdHttp(member.url).hash_kv() == HashKV(4711, -1)
    with pytest.raises(EtcdUnreachableError, match="HTTP 400: mvcc: required revision is a future revision"):
        EtcdHttp(member.url).hash_kv(2)


def test_the_hash_of_the_backend_file_is_not_taken_for_it(cluster: FakeCluster) -> None:
    member = cluster.members["etcd1"]
    member.missing.add("/v3/maintenance/hashkv")
    with pytest.raises(EtcdUnreachableError, match="this release offers no HashKV over HTTP"):
        EtcdHttp(member.url).hash_kv()
    assert member.asked == ["/v3/maintenance/hashkv", "/v3/maintenance/hash"]


def test_a_connection_is_kept_and_survives_a_restart_of_the_member(cluster: FakeCluster) -> None:
    member = cluster.members["etcd1"]
    client = EtcdHttp(member.url)
    client.status()
    member.stop()
    with pytest.raises(EtcdUnreachableError, match="connection refused"):
        client.status()
    member.start()
    assert client.status().revision == 1
    member.stop()
    member.start()
    # The kept connection is dead and nobody has noticed yet.
    assert client.status().revision == 1


def test_a_member_that_hangs_is_given_up_in_time(cluster: FakeCluster) -> None:
    cluster.members["etcd1"].delay_s = 2
    with pytest.raises(EtcdUnreachableError, match="no answer in time"):
        EtcdHttp(cluster.members["etcd1"].url, timeout_s=0.2).status()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP 200: not an answer of etcd"),
        (b'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 20\r\n\r\n{"message":"no way"}', "HTTP 503: no way"),
        (b"SSH-2.0-OpenSSH_10.0\r\n", "SSH-2.0-OpenSSH_10.0"),
        (b"", "Remote end closed connection without response"),
    ],
)
def test_whoever_is_no_etcd_is_not_believed(content: bytes, reason: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            connection.recv(65_536)
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            # A request comes in pieces; closed with one unread, the kernel would send a reset instead of an end.
            while connection.recv(65_536):
                pass
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(EtcdUnreachableError) as raised:
            EtcdHttp(f"http://127.0.0.1:{listener.getsockname()[1]}").status()
    assert reason in str(raised.value)


@pytest.mark.parametrize("url", ["10.0.0.1:2379", "ftp://10.0.0.1:2379", "http://", "etcd1"])
def test_what_is_no_client_url_is_named(url: str) -> None:
    with pytest.raises(ValueError, match="is not an etcd client URL"):
        EtcdHttp(url)


# ---------------------------------------------------------------- the cluster


def test_a_whole_cluster_is_healthy(cluster: FakeCluster) -> None:
    found = observe_cluster(cluster.urls, NAMES)
    assert assess(found, NAMES) == (True, [])
    assert (found["leader"], found["leader_id"], found["term"]) == ("etcd2", cluster.members["etcd2"].hex_id, 4)
    assert list(found["members"]) == NAMES
    member = found["members"]["etcd3"]
    assert (member["reachable"], member["is_leader"], member["knows"]) == (True, False, NAMES)
    assert member["url"] == cluster.members["etcd3"].url
    assert 0 < member["latency_ms"] < 1000


def test_a_member_that_is_down_is_data_and_has_its_name_from_the_others(cluster: FakeCluster) -> None:
    cluster.members["etcd3"].stop()
    found = observe_cluster(cluster.urls)
    assert found["members"]["etcd3"]["error"] == "connection refused"
    healthy, reasons = assess(found, NAMES)
    assert not healthy
    assert reasons == [f"etcd3 ({cluster.members['etcd3'].url}) does not answer: connection refused"]


def test_a_cluster_that_is_down_is_named_by_the_order_of_its_urls(cluster: FakeCluster) -> None:
    cluster.close()
    found = observe_cluster(cluster.urls, NAMES)
    assert (found["leader"], found["term"]) == (None, None)
    healthy, reasons = assess(found, NAMES)
    assert not healthy
    assert [reason.split(" ")[0] for reason in reasons] == NAMES


def test_an_address_without_a_name_is_its_own(cluster: FakeCluster) -> None:
    port = free_port()
    found = observe_cluster([f"http://127.0.0.1:{port}"])
    assert list(found["members"]) == [f"127.0.0.1:{port}"]
    assert assess(found, ["etcd1"])[1] == [f"etcd1 is not among the members asked (127.0.0.1:{port})"]


def test_two_leaders_are_named(cluster: FakeCluster) -> None:
    cluster.members["etcd1"].leader = "etcd1"
    healthy, reasons = assess(observe_cluster(cluster.urls, NAMES), NAMES)
    assert not healthy
    assert reasons == [
        "the members follow different leaders: "
        + ", ".join(
            f"{name} {cluster.members[leader].hex_id}"
            for name, leader in zip(NAMES, ["etcd1", "etcd2", "etcd2"], strict=True)
        )
    ]


def test_what_else_is_wrong_is_named(cluster: FakeCluster) -> None:
    cluster.members["etcd1"].cluster_id = 7
    cluster.members["etcd2"].members = ["etcd1", "etcd2"]
    cluster.members["etcd3"].errors = ["NOSPACE alarm"]
    _, reasons = assess(observe_cluster(cluster.urls, NAMES), NAMES)
    assert "etcd2 does not know etcd3 as a member" in reasons
    assert "etcd3 reports: NOSPACE alarm" in reasons
    assert (
        "the members belong to different clusters: etcd1 7, etcd2 29228f8f15e8f848, etcd3 29228f8f15e8f848" in reasons
    )


def test_alarms_are_told_with_their_raiser(cluster: FakeCluster) -> None:
    assert observe_cluster(cluster.urls, NAMES)["alarms"] == []
    raiser = observe_cluster(cluster.urls, NAMES)["members"]["etcd2"]["id"]
    for member in cluster.members.values():
        member.errors = [f"memberID:{int(raiser, 16)} alarm:NOSPACE ", "memberID:7 alarm:CORRUPT "]
    assert observe_cluster(cluster.urls, NAMES)["alarms"] == [
        {"alarm": "CORRUPT", "member": "7"},
        {"alarm": "NOSPACE", "member": "etcd2"},
    ]


def test_a_member_too_many_is_named(cluster: FakeCluster) -> None:
    _, reasons = assess(observe_cluster(cluster.urls[:2]), NAMES[:2])
    assert reasons == [f"{name} knows a member that is not expected: etcd3" for name in NAMES[:2]]


def test_no_leader_is_named(cluster: FakeCluster) -> None:
    cluster.elect(None)
    assert assess(observe_cluster(cluster.urls, NAMES), NAMES)[1] == ["no leader is known to etcd1, etcd2, etcd3"]


def test_a_leader_that_does_not_answer_is_named(cluster: FakeCluster) -> None:
    cluster.members["etcd2"].stop()
    _, reasons = assess(observe_cluster(cluster.urls, NAMES), NAMES)
    assert reasons[-1] == f"no member says that it leads; the others follow {cluster.members['etcd2'].hex_id}"


# ---------------------------------------------------------------- waiting and comparing


def test_looking_once_fails_nothing(cluster: FakeCluster) -> None:
    cluster.members["etcd1"].stop()
    found = await_cluster(cluster.urls, NAMES, "none", 5)
    assert (found["reached"], found["healthy"], found["converged"]) == (True, False, None)
    assert found["elapsed_s"] < 3


def test_waiting_ends_when_the_cluster_is_whole(cluster: FakeCluster) -> None:
    cluster.members["etcd1"].stop()
    threading.Timer(0.4, cluster.members["etcd1"].start).start()
    found = await_cluster(cluster.urls, NAMES, "healthy", 10)
    assert (found["reached"], found["reasons"]) == (True, [])
    assert 0.3 < found["elapsed_s"] < 5


def test_waiting_ends_when_the_time_is_over(cluster: FakeCluster) -> None:
    cluster.members["etcd1"].stop()
    found = await_cluster(cluster.urls, NAMES, "healthy", 0.4)
    assert not found["reached"]
    assert found["reasons"][0].startswith("etcd1 (http://127.0.0.1:")
    assert 0.4 <= found["elapsed_s"] < 3


def test_converged_means_equal_data(cluster: FakeCluster) -> None:
    assert await_cluster(cluster.urls, NAMES, "converged", 1)["converged"]
    cluster.members["etcd3"].revision = 2
    found = await_cluster(cluster.urls, NAMES, "converged", 0.1)
    assert (found["healthy"], found["converged"]) == (True, False)
    assert found["reasons"] == ["the members are at different revisions: etcd1 1, etcd2 1, etcd3 2"]
    cluster.members["etcd3"].revision, cluster.members["etcd3"].hash = 1, 12
    found = await_cluster(cluster.urls, NAMES, "converged", 0.1)
    assert found["reasons"] == ["the members' data differ at revision 1: etcd1 4711, etcd2 4711, etcd3 12"]


def test_a_cluster_that_is_not_whole_has_not_converged(cluster: FakeCluster) -> None:
    cluster.elect(None)
    found = await_cluster(cluster.urls, NAMES, "converged", 0.1)
    assert (found["reached"], found["converged"]) == (False, False)


def test_data_are_equal_only_with_the_same_compaction(cluster: FakeCluster) -> None:
    clients = {name: EtcdHttp(member.url) for name, member in cluster.members.items()}
    assert compare_data(clients, 1)["equal"]
    cluster.members["etcd2"].compact_revision = 1
    assert not compare_data(clients, 1)["equal"]
    cluster.members["etcd2"].stop()
    found = compare_data(clients, 1)
    assert (found["equal"], found["errors"]) == (False, {"etcd2": "connection refused"})
    assert found["hashes"] == {"etcd1": 4711, "etcd2": None, "etcd3": 4711}
