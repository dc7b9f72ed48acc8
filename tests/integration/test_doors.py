# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Knocking at every door of a real lab, from a container that is none of its own, and looking for its secrets."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from failover.agent.wire import seal
from real_lab import ANSIBLE_PLAYBOOK, ETCD, MACHINES, MEMBERS, ROOT, RealLab, podman
from stranger import key

STRANGER = Path(__file__).with_name("stranger.py")
NETWORK = "10.89.96"
SSH, ETCD_CLIENTS, ETCD_PEERS, MYSQL, AGENT = 22, 2379, 2380, 3306, 7470
# What may listen, by host; the load generator's port for others is open while a workload begins only.
EXPECTED = {
    **{host: {SSH, ETCD_CLIENTS, ETCD_PEERS, AGENT} for host in ETCD},
    "mysql1": {SSH, MYSQL, AGENT},
    "client1": {SSH},
}
# Generated once per lab, and told to whoever asks: part of a path, a name, salts.
NOT_SECRET = {"etcd_cluster_token", "mysql_group_name", "mysql_password_salt", "mysql_group_password_salt"}

Knock = tuple[str, str, dict[str, Any], str]


def at(host: str) -> str:
    return f"{NETWORK}.{MACHINES[host]}"


def credential(lab: RealLab, name: str) -> str:
    return (lab.state_dir / "credentials" / name).read_text().strip()


@pytest.fixture(scope="module")
def locked(doors_lab: RealLab) -> RealLab:
    """The lab, where its last experiment was one of etcd: the workload's account may touch that one's keys."""
    ended = doors_lab.front("run", iterations=300, seed=1, experiments=["E1-etcd"])
    assert ended.status == 0, ended.output
    return doors_lab


def test_nothing_listens_that_is_not_expected(locked: RealLab) -> None:
    for host, ports in EXPECTED.items():
        lines = locked.on(host, "ss", "--listening", "--tcp", "--numeric", "--no-header").splitlines()
        assert {int(line.split()[3].rpartition(":")[2]) for line in lines} == ports, host


def doors_of_etcd(lab: RealLab) -> Iterator[Knock]:
    """What is tried at each member of etcd: name, function of the stranger's, its arguments, what has to come back."""
    everything = {"key": "AA==", "range_end": "AA=="}
    workload = {"user": "lab", "password": credential(lab, "etcd_password")}
    other = {"key": key("E2-"), "value": key("x")}
    denied, unheard = "permission denied", "HTTP request to|^$|Reset"
    for host in ETCD:
        there = {"address": at(host), "port": ETCD_CLIENTS}

        def ask(path: str, body: dict[str, Any], there: dict[str, Any] = there, **who: str) -> dict[str, Any]:
            return {**there, "path": f"/v3/{path}", "body": body, **who}

        yield f"{host}: without TLS", "plain", {**there, "said": "GET /v3/kv/range HTTP/1.1\r\n\r\n"}, unheard
        for path in ("range", "deleterange"):
            yield f"{host}: {path} as nobody", "asked", ask(f"kv/{path}", everything), "user name is empty"
            yield f"{host}: {path} of all", "asked", ask(f"kv/{path}", everything, **workload), denied
        yield f"{host}: put as nobody", "asked", ask("kv/put", other), "user name is empty"
        yield f"{host}: put elsewhere", "asked", ask("kv/put", other, **workload), denied
        for path in ("auth/user/list", "maintenance/snapshot", "maintenance/hash", "auth/disable"):
            yield f"{host}: {path}", "asked", ask(path, {}, **workload), denied
        wrong = ask("kv/range", everything, user="root", password="wrong")
        yield f"{host}: root with a wrong password", "asked", wrong, "authentication failed"
        peers = {"address": at(host), "port": ETCD_PEERS, "said": "GET /members HTTP/1.1\r\nHost: x\r\n\r\n"}
        yield f"{host}: peers without TLS", "plain", peers, unheard
        yield f"{host}: peers without a certificate", "shaken", peers, "SSL|certificate|Reset"
        stranger = {**peers, "certificate": "/stranger/another.pem"}
        yield f"{host}: peers with another authority's", "shaken", stranger, "SSL|unknown.ca|bad certificate|Reset"


def doors_of_agents(lab: RealLab) -> Iterator[Knock]:
    fault_key = credential(lab, "fault_agent_key").encode()
    fire = {"verb": "fire", "session": "recorded", "seq": 1, "token": "t", "fault": "F1", "action": "kill"}
    recorded, forged = (seal(fire, each).decode().strip() for each in (fault_key, b"a key of somebody else's"))
    for host in MEMBERS:
        there = {"address": at(host), "port": AGENT}
        yield f"{host}: agent without TLS", "plain", {**there, "said": recorded + "\n"}, "^$|Reset|^\x15|\ufffd"
        yield f"{host}: agent with what was recorded", "sealed", {**there, "line": recorded}, '"refused": "replayed"'
        yield f"{host}: agent with a wrong key", "sealed", {**there, "line": forged}, "wrong authentication code"
        yield f"{host}: agent with too much", "over_long", there, "^$|not a sealed message|Reset|EOF|SSL|BrokenPipe"
        yield f"{host}: agent with half a request", "sealed", {**there, "line": recorded, "cut": 80}, "^$"


def doors_of_mysql_and_ssh(lab: RealLab) -> Iterator[Knock]:
    account = {"user": "lab", "password": credential(lab, "mysql_password")}
    there = {"address": at("mysql1"), "port": MYSQL}
    yield "mysql1: from elsewhere", "logged_in", {**there, **account}, "is not allowed to connect|insecure transport"
    for host in EXPECTED:
        yield f"{host}: ssh", "over_ssh", {"address": at(host)}, "Permission denied"


@pytest.fixture(scope="module")
def answers(locked: RealLab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """By knock: what came back, and what had to."""
    folder = tmp_path_factory.mktemp("stranger")
    signed = Authority(folder, "another").sign(f"IP:{NETWORK}.99")
    (folder / "another.pem").write_text(Path(signed.certificate).read_text() + Path(signed.key).read_text())
    knocks = [knock for doors in (doors_of_etcd, doors_of_agents, doors_of_mysql_and_ssh) for knock in doors(locked)]
    image = podman("inspect", "--format", "{{.Image}}", f"{locked.name}-client1")
    done = subprocess.run(
        [
            *("podman", "run", "--rm", "--interactive", "--systemd=false", "--network", locked.name),
            *("--ip", f"{NETWORK}.99", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=512:512"),
            *("--volume", f"{folder}:/stranger:ro", "--volume", f"{STRANGER}:/stranger.py:ro"),
            *("--entrypoint", "/usr/bin/python3", image, "/stranger.py"),
        ],
        input=json.dumps([knock[:3] for knock in knocks]),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return {name: (found[name], wanted) for name, _, _, wanted in knocks}


def test_every_door_is_refused_to_a_stranger(answers: dict[str, tuple[str, str]]) -> None:
    opened = {name: (told, wanted) for name, (told, wanted) in answers.items() if not re.search(wanted, told)}
    assert opened == {}
    assert len(answers) > 60


def test_no_answer_to_a_stranger_has_a_secret(locked: RealLab, answers: dict[str, tuple[str, str]]) -> None:
    told = json.dumps([answer for answer, _ in answers.values()])
    assert [name for name, secret in secrets_of(locked).items() if secret in told] == []


def test_knocks_have_changed_nothing_and_are_logged(locked: RealLab, answers: dict[str, tuple[str, str]]) -> None:
    assert locked.members_down() == []
    for member in MEMBERS:
        log = locked.on(member, "journalctl", "--unit", "failover-lab-agent", "--output", "cat", "--no-pager")
        assert f"Refused {NETWORK}.99: replayed" in log
        assert f"Refused {NETWORK}.99: wrong authentication code" in log
    for member in ETCD:
        log = locked.on(member, "journalctl", "--unit", "etcd", "--output", "cat", "--no-pager")
        assert re.search(rf'rejected connection on peer endpoint.*"remote-addr":"{NETWORK}.99:', log)
        assert [name for name, secret in secrets_of(locked).items() if secret in log] == []


def secrets_of(lab: RealLab) -> dict[str, str]:
    """Return all that the lab keeps to itself: what it has generated, and the heart of each private key."""
    found = {
        path.name: path.read_text().strip()
        for path in (lab.state_dir / "credentials").iterdir()
        if path.name not in NOT_SECRET
    }
    for path in (lab.state_dir / "tls/ca.key", *(lab.state_dir / "ssh").glob("*")):
        if "PRIVATE KEY" in (text := path.read_text()):
            found[path.name] = text.splitlines()[1]
    folders = {"mysql1": "/etc/mysql"} | dict.fromkeys(ETCD, "/etc/etcd")
    for host, folder in folders.items():
        found[f"{host}'s key"] = lab.on(host, "cat", f"{folder}/failover-lab-tls/host.key").splitlines()[1]
    assert len(found) >= 10
    assert all(len(secret) >= 16 for secret in found.values())
    return found


def processes(over: Callable[[], bool]) -> set[str]:
    """Return the command lines of all processes of this machine, its containers' included, for a while."""
    seen = set()
    while not over():
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.add(path.read_bytes().decode("utf-8", "replace"))
            except OSError:  # it has ended
                continue
    return seen


def test_no_secret_is_in_results_logs_process_lists_or_what_ansible_prints(locked: RealLab) -> None:
    secrets = secrets_of(locked)
    seen: set[str] = set()
    command = [ANSIBLE_PLAYBOOK, str(ROOT / "playbooks/site.yml"), "-vvv"]
    options = locked.options(iterations=300, seed=2, experiments=["E2-etcd", "E1-mysql"])
    with locked.begun([*command, *options], callback="default") as (process, folder):
        watching = threading.Thread(target=lambda: seen.update(processes(lambda: process.poll() is not None)))
        watching.start()
        ended = locked.ended(process, folder)
        watching.join()
    assert ended.status == 0, ended.output[-5000:]
    assert any("workload_run" in line for line in seen), "the workload's process was seen"
    told = {"what Ansible prints": ended.output, "process lists": "\n".join(seen)}
    told |= {str(path): path.read_text("latin-1") for path in locked.newest_run().rglob("*") if path.is_file()}
    for host in EXPECTED:
        told[f"{host}'s journal"] = locked.on(host, "journalctl", "--no-pager", "--output", "cat")
    told["MySQL's log"] = locked.on("mysql1", "cat", "/var/log/mysql/error.log")
    leaked = {place: name for place, text in told.items() for name, secret in secrets.items() if secret in text}
    assert leaked == {}
