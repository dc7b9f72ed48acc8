# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from failover.agent.wire import AgentClient, AgentError, FrameError, load_key, seal, split_address, unseal
from failover.shapes import LabError
from fault_doubles import KEY, AgentProcess, FakeManager


def test_what_is_sealed_comes_out_again() -> None:
    body = {"verb": "fire", "seq": 3, "text": "Grüße\n", "list": [1, None, True]}
    assert unseal(seal(body, KEY), KEY) == body
    assert seal(body, KEY).count(b"\n") == 1


def test_the_key_is_not_in_the_line() -> None:
    assert KEY not in seal({"verb": "ping"}, KEY)


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame | {"body": frame["body"].replace("ping", "fire")},
        lambda frame: frame | {"mac": "0" * 64},
        lambda frame: frame | {"mac": "é"},
        lambda frame: frame | {"mac": None},
        lambda frame: {"body": frame["body"]},
        lambda frame: [frame],
        lambda frame: "ping",
        lambda frame: frame | {"body": 3},
    ],
)
def test_whatever_was_changed_is_refused(change: Callable[[Any], Any]) -> None:
    frame = json.loads(seal({"verb": "ping"}, KEY))
    with pytest.raises(FrameError):
        unseal(json.dumps(change(frame)).encode(), KEY)


@pytest.mark.parametrize("line", [b"", b"\n", b"\xff\xfe", b"[" * 100_000, seal({"verb": "ping"}, b"another key!!!!!")])
def test_whatever_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(FrameError):
        unseal(line, KEY)


def test_a_key_is_read_without_its_newline(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(KEY + b"\n")
    path.chmod(0o600)
    assert load_key(str(path)) == KEY


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        (KEY, 0o640, "has mode 0640: others may read it"),
        (b"short", 0o600, "has 5 characters, at least 16 are needed"),
        (b"", 0o600, "has 0 characters"),
        (None, 0, "cannot be read: no such file or directory"),
    ],
)
def test_a_key_that_is_none_is_named(tmp_path: Path, content: bytes | None, mode: int, message: str) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(LabError, match=message) as raised:
        load_key(str(path))
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_addresses() -> None:
    assert split_address("10.0.0.1:99") == ("10.0.0.1", 99)
    assert split_address("10.0.0.1") == ("10.0.0.1", 7470)
    for wrong in ("10.0.0.1:x", ":99", "10.0.0.1:"):
        with pytest.raises(LabError, match="is not an address of a fault agent"):
            split_address(wrong)


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], str]]:
    """Serve every connection the same bytes and then keep it open; returns the address."""
    listeners: list[socket.socket] = []
    accepted: list[socket.socket] = []

    def start(content: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                accepted.append(connection)
                connection.sendall(content)

        threading.Thread(target=accept, daemon=True).start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for connection in accepted:
        connection.close()


HELLO = b'{"hello": "failover-lab-agent", "protocol": 1, "session": "s"}\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no answer in time"),
        (b"SSH-2.0-OpenSSH_10.0\r\n", "this is not a fault agent"),
        (b'{"hello": "somebody"}\n', "this is not a fault agent"),
        (b"[]\n", "this is not a fault agent"),
        (HELLO.replace(b"1", b"9"), "it speaks protocol 9, not 1: provision the hosts again"),
        (HELLO, "no answer in time"),
        (HELLO + b"nonsense\n", "not a sealed message"),
        (HELLO + b'{"refused": "wrong authentication code"}\n', "it has another key than this client"),
        (HELLO + seal({"reply_to": 2, "session": "s", "ok": True}, KEY), "its answer belongs to another request"),
        (HELLO + seal({"reply_to": 1, "session": "t", "ok": True}, KEY), "its answer belongs to another request"),
        (b"x" * 300_000, "its answer is too long"),
    ],
)
def test_whoever_is_no_agent_is_named(serve: Callable[[bytes], str], content: bytes, message: str) -> None:
    client = AgentClient("etcd2", serve(content), KEY, timeout_s=0.3)
    with pytest.raises(AgentError) as raised:
        client.request("ping")
    assert message in str(raised.value)
    assert "The fault agent of etcd2 (127.0.0.1:" in str(raised.value)
    assert "\n" not in str(raised.value)
    client.close()


def test_an_agent_that_is_not_there_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(
        AgentError, match=r"cannot be used: connection refused\. See systemctl status failover-lab-agent"
    ):
        AgentClient("etcd1", f"127.0.0.1:{port}", KEY).request("ping")


def test_a_client_survives_its_agents_restart_and_reads_its_clock(tmp_path: Path) -> None:
    manager = FakeManager(tmp_path)
    agent = AgentProcess(tmp_path, manager, "etcd1")
    agent.await_ready()
    client = AgentClient("etcd1", agent.address, KEY)
    try:
        clock, identity = client.measure_clock()
        # One machine, one clock: the offset may not be more than its own uncertainty.
        assert abs(clock.offset_ns) <= clock.uncertainty_ns
        assert clock.uncertainty_ns < 50_000_000
        assert (identity["member"], identity["unit"], identity["system"]) == ("etcd1", "etcd1.service", "etcd")
        agent.stop()
        with pytest.raises(AgentError):
            client.request("ping")
        agent.start()
        assert client.request("ping")["ok"]
    finally:
        client.close()
        agent.close()
        manager.close()
