# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from certificates import Authority
from failover.agent.wire import AgentClient, AgentError, seal
from fault_doubles import KEY, ROOT, AgentProcess, FakeManager

MakeAgent = Callable[..., AgentClient]
UNIT = "etcd2.service"


def connect(agent: AgentProcess) -> tuple[socket.socket, str]:
    """Connect by hand; return the socket and its session."""
    connection = socket.create_connection(("127.0.0.1", int(str(agent.config["port"]))), timeout=5)
    hello = connection.makefile("rb").readline()
    return connection, json.loads(hello)["session"]


def answer(connection: socket.socket) -> bytes:
    return connection.makefile("rb").readline()


def test_garbage_closes_its_own_connection_only(start: MakeAgent, agents: list[AgentProcess]) -> None:
    client = start()
    garbage = [b"\0" * 1000 + b"\n", b"GET / HTTP/1.1\r\n\r\n", b"{}\n", b"[]\n", b"[" * 50_000 + b"\n", b"x" * 400_000]
    garbage += [random.Random(seed).randbytes(3000) + b"\n" for seed in range(10)]
    for content in garbage:
        connection, _ = connect(agents[0])
        try:
            connection.sendall(content)
            assert answer(connection) in (b'{"refused": "not a sealed message"}\n', b"")
        except ConnectionError:
            # The rest of what was sent was of no interest any more.
            pass
        connection.close()
    assert client.request("ping")["ok"]


def test_half_a_request_and_then_nothing_does_no_harm(start: MakeAgent, agents: list[AgentProcess]) -> None:
    client = start()
    connection, session = connect(agents[0])
    line = seal({"verb": "fire", "session": session, "seq": 1, "token": "t", "fault": "F1", "action": "kill"}, KEY)
    connection.sendall(line[:-1])
    connection.close()
    assert client.request("status")["holding"] == []


def test_another_key_is_refused(start: MakeAgent, agents: list[AgentProcess], manager: FakeManager) -> None:
    start()
    connection, session = connect(agents[0])
    request = {"verb": "fire", "session": session, "seq": 1, "token": "t", "fault": "F1", "action": "kill"}
    connection.sendall(seal(request, b"another key of 32 characters...."))
    assert json.loads(answer(connection)) == {"refused": "wrong authentication code"}
    assert manager.pid(UNIT) != 0


def test_a_recorded_request_is_worth_nothing(start: MakeAgent, agents: list[AgentProcess]) -> None:
    start()
    connection, session = connect(agents[0])
    line = seal({"verb": "ping", "session": session, "seq": 1}, KEY)
    connection.sendall(line)
    assert b"reply_to" in answer(connection)
    connection.sendall(line)
    assert json.loads(answer(connection)) == {"refused": "replayed"}
    other, _ = connect(agents[0])
    other.sendall(line)
    assert json.loads(answer(other)) == {"refused": "replayed"}


def test_many_silent_connections_do_not_end_the_agent(start: MakeAgent, agents: list[AgentProcess]) -> None:
    client = start()
    assert client.request("ping")["ok"]
    silent = [socket.create_connection(("127.0.0.1", int(str(agents[0].config["port"])))) for _ in range(100)]
    assert client.request("ping")["ok"]
    for connection in silent:
        connection.close()


# ---------------------------------------------------------------- start and end


def test_sigterm_ends_it_cleanly_in_the_middle_of_a_conversation(start: MakeAgent, agents: list[AgentProcess]) -> None:
    client = start()
    assert client.request("ping")["ok"]
    assert agents[0].stop() == 0
    assert (agents[0].folder / "stderr").read_text() == ""


def test_a_port_that_is_taken_is_one_line_and_status_1(
    tmp_path: Path, start: MakeAgent, agents: list[AgentProcess]
) -> None:
    start()
    path = agents[0].folder / "agent.json"
    path.write_text(json.dumps(agents[0].config))
    done = subprocess.run(
        [sys.executable, "-m", "failover.agent.server", "--config", str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "module_utils")},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 1
    port = agents[0].config["port"]
    assert done.stderr == f"The fault agent cannot listen on 127.0.0.1:{port}: address already in use.\n"


def test_who_is_refused_is_logged(start: MakeAgent, agents: list[AgentProcess]) -> None:
    start()
    connection, session = connect(agents[0])
    line = seal({"verb": "ping", "session": session, "seq": 1}, KEY)
    for sent, said in ((line, "ok"), (line, "replayed")):
        connection.sendall(sent)
        assert said in answer(connection).decode()
    another, session = connect(agents[0])
    another.sendall(seal({"verb": "ping", "session": session, "seq": 1}, b"another key!!!!!"))
    assert answer(another) == b'{"refused": "wrong authentication code"}\n'
    told = (agents[0].folder / "stderr").read_text()
    assert told == "Refused 127.0.0.1: replayed\nRefused 127.0.0.1: wrong authentication code\n"


def test_with_a_certificate_it_is_talked_to_over_tls_and_otherwise_not(
    start: MakeAgent, agents: list[AgentProcess], tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    signed = authority.sign()
    start(certificate=signed.certificate, certificate_key=signed.key)
    address = agents[0].address
    with closing(AgentClient("etcd2", address, KEY, ca=authority.ca, timeout_s=20)) as client:
        assert client.request("ping")["member"] == "etcd2"
    with closing(AgentClient("etcd2", address, KEY, timeout_s=20)) as plain, pytest.raises(AgentError):
        plain.request("ping")
    not_accepted = pytest.raises(AgentError, match="its certificate is not accepted")
    with (
        closing(AgentClient("etcd2", address, KEY, ca=Authority(tmp_path, "b").ca, timeout_s=20)) as other,
        not_accepted,
    ):
        other.request("ping")
    # A recorded request says nothing in another session, and a silent one keeps nobody from being answered.
    silent = socket.create_connection(("127.0.0.1", int(str(agents[0].config["port"]))), timeout=20)
    with silent, closing(AgentClient("etcd2", address, KEY, ca=authority.ca, timeout_s=20)) as client:
        assert client.request("ping")["ok"]
