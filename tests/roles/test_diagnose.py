# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The message of a failed provisioning, and the causes that it finds in real log lines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROOT = Path(__file__).resolve().parents[2]

IN_USE = (
    '{"level":"fatal","caller":"etcdmain/etcd.go:204","msg":"discovery failed","error":"listen tcp 10.0.0.12:2379: '
    'bind: address already in use","stacktrace":"go.etcd.io/etcd/server/etcdmain.startEtcdOrProxyV2"}'
)
PORTS = 'LISTEN 0 5 0.0.0.0:2379 0.0.0.0:* users:(("python3",pid=795,fd=3))'


def causes_of(role: str) -> list[dict[str, str]]:
    own: list[dict[str, str]] = yaml.safe_load((ROOT / "roles" / role / "vars/main.yml").read_text())[f"{role}_causes"]
    return own


def common_causes() -> list[dict[str, str]]:
    found: list[dict[str, str]] = yaml.safe_load((ROOT / "roles/diagnose/vars/main.yml").read_text())[
        "diagnose_common_causes"
    ]
    return found


def first_cause(role: str, text: str) -> str:
    return next(entry["cause"] for entry in causes_of(role) + common_causes() if re.search(entry["pattern"], text))


def host(state: str, logs: str = "", ports: str = "", **failed: str) -> dict[str, Any]:
    """What the play knows of a host: the answers of the probe in roles/diagnose, and its own error if it had one."""
    unit = f"LoadState=loaded\nActiveState={state}\nSubState=x\nResult=exit-code\nExecMainStatus=1\n"
    known: dict[str, Any] = {
        "diagnose_evidence": {"stdout": "\f\n".join([unit, logs, ports, "Mounted Avail\n/ 76000\n"])}
    }
    if failed:
        known |= {"ansible_failed_result": failed, "ansible_failed_task": {"name": "Start all members at once"}}
    return known


def message(hosts: dict[str, dict[str, Any]]) -> str:
    variables = {
        "hostvars": hosts,
        "ansible_play_hosts_all": list(hosts),
        "diagnose_hosts": list(hosts),
        "diagnose_subject": "etcd",
        "diagnose_unit": "etcd.service",
        "diagnose_causes": causes_of("etcd"),
        "diagnose_common_causes": common_causes(),
        "diagnose_log_line_length": 300,
    }
    template = (ROOT / "roles/diagnose/templates/failure.txt.j2").read_text()
    return str(Templar(DataLoader(), variables=variables).template(trust_as_template(template)))


@pytest.mark.parametrize(
    ("role", "text", "cause"),
    [
        ("etcd", IN_USE, "another program listens"),
        ("etcd", 'error":"listen tcp 10.0.0.12:22: bind: permission denied"', "below 1024"),
        ("etcd", "listen tcp 10.9.9.9:2380: bind: cannot assign requested address", "not an address of this host"),
        ("etcd", 'msg":"request sent was ignored due to cluster ID mismatch"', "different clusters"),
        ("etcd", 'error":"member 9f91ff9e6788a19b has already been bootstrapped"', "lost its data"),
        ("etcd", 'error":"error parsing CompactionRetention: time: invalid duration', "configuration"),
        ("etcd", "walpb: crc mismatch; wal: crc mismatch", "damaged"),
        (
            "etcd",
            'msg":"prober detected unhealthy status","error":"dial tcp: i/o timeout"',
            "does not reach the others",
        ),
        ("etcd", "write /var/lib/etcd/x/member/wal/0.tmp: no space left on device", "disk"),
        ("etcd", "cannot access data directory: open /var/lib/etcd/x: permission denied", "may not read or write"),
        ("etcd", "No package matching 'etcd-server' is available", "no etcd-server"),
        ("mysql", "No package matching 'mysql-server' is available", "MariaDB only"),
        ("mysql", "[ERROR] [MY-000067] [Server] unknown variable 'foo=1'.", "does not accept its configuration"),
        (
            "mysql",
            "[ERROR] [MY-010262] [Server] Can't start server: Bind on TCP/IP port: Address already in use",
            "another program listens",
        ),
        (
            "mysql",
            "[ERROR] [MY-010262] [Server] Can't start server: Bind on TCP/IP port: Cannot assign requested address",
            "not an address of this host",
        ),
        (
            "mysql",
            'mysql1 runs 9.7.4 with {"sync_binlog": "0"} where the lab wants {"sync_binlog": "1"}.',
            "overrides the lab's configuration file",
        ),
        ("mysql", "[ERROR] [MY-012126] [InnoDB] Cannot allocate memory for the buffer pool", "too little memory"),
        ("mysql", "Failed to fetch http://mirror.example/debian/x.deb", "package mirrors"),
    ],
)
def test_cause_is_found_in_what_the_server_says(role: str, text: str, cause: str) -> None:
    assert cause in first_cause(role, text)


@pytest.mark.parametrize("role", ["etcd", "mysql"])
def test_every_cause_has_an_advice(role: str) -> None:
    for entry in causes_of(role) + common_causes():
        assert set(entry) == {"pattern", "cause", "advice"}
        assert not entry["advice"].endswith("."), "the message ends the sentence"


def test_message_names_host_state_log_ports_and_cause() -> None:
    text = message(
        {
            "etcd1": host("active"),
            "etcd2": host("failed", IN_USE, PORTS, msg="non-zero return code"),
            "etcd3": host("active"),
        }
    )
    first, second, *rest = text.splitlines()
    assert first == "etcd could not be provisioned on etcd2."
    assert second.startswith("Likely cause: another program listens on etcd's client or peer port (etcd2). Try: ")
    body = "\n".join(rest)
    assert "etcd2: etcd.service is failed (x, result exit-code, exit status 1)" in body
    assert "failed at: Start all members at once" in body
    assert "bind: address already in use" in body
    assert "stacktrace" not in body
    assert '0.0.0.0:2379 users:(("python3",pid=795,fd=3))' in body
    assert "non-zero return code" not in body
    assert "etcd1" not in text


def test_message_does_not_blame_the_log_of_a_unit_that_runs() -> None:
    text = message({"etcd1": host("active", IN_USE, msg="no health within 60 s")})
    assert "Likely cause: unknown." in text
    assert "error: no health within 60 s" in text


def test_message_copes_with_a_host_that_does_not_answer() -> None:
    text = message({"etcd1": host("active"), "etcd2": {}})
    assert "etcd could not be provisioned on etcd2." in text
    assert "etcd2: etcd.service is unknown (the host does not answer)" in text


def test_message_shows_all_hosts_when_each_looks_well() -> None:
    text = message({"etcd1": host("active"), "etcd2": host("active")})
    assert "etcd could not be provisioned on etcd1, etcd2." in text


def test_long_lines_are_cut() -> None:
    text = message({"etcd1": host("failed", "x" * 5000)})
    assert max(map(len, text.splitlines())) < 320
