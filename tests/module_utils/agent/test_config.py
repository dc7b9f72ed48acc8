# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from pathlib import Path

import pytest
from failover.agent.config import AgentConfig
from failover.shapes import LabError

GOOD = {
    "member": "etcd1",
    "unit": "etcd.service",
    "system": "etcd",
    "address": "http://10.0.0.11:2379",
    "listen": "10.0.0.11",
    "port": 7470,
    "key_file": "/etc/failover-lab/agent.key",
    "state_dir": "/var/lib/failover-lab-agent",
    "hold_ttl_s": 60,
}


def test_a_configuration_is_read(tmp_path: Path) -> None:
    path = tmp_path / "agent.json"
    path.write_text(json.dumps(GOOD))
    config = AgentConfig.load(str(path))
    assert (config.member, config.port, config.hold_ttl_s, config.use_dbus) == ("etcd1", 7470, 60, True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: no such file or directory"),
        ("{", "is not JSON"),
        ("[]", "must be one JSON object"),
        (json.dumps({**GOOD, "color": "red"}), "unknown setting: color"),
        (json.dumps({key: value for key, value in GOOD.items() if key != "port"}), "missing setting: port"),
        (json.dumps({**GOOD, "port": "7470"}), "port must be of type int, it is '7470'"),
        (json.dumps({**GOOD, "port": True}), "port must be of type int, it is True"),
        (json.dumps({**GOOD, "hold_ttl_s": 0}), "hold_ttl_s must be more than 0"),
        (json.dumps({**GOOD, "system": "oracle"}), "system must be one of etcd, mysql, mysql_cluster"),
    ],
)
def test_a_configuration_that_is_wrong_is_named(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "agent.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(LabError, match=message) as raised:
        AgentConfig.load(str(path))
    assert str(path) in str(raised.value)
