# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A machine whose MySQL is somebody's: after a run and ``down`` it is what it was before. And a role without a lab."""

from __future__ import annotations

import base64
import json
import re
import urllib.request
from pathlib import Path

import pytest
import yaml
from installed import NAME, install
from real_lab import MACHINES, RECAP, RealLab, by_ssh

# As a package's installation leaves it, with what somebody then made.
MAKE_OWN_SERVER = r"""
set -e
cat >/var/lib/mysql-files/own.sql <<'SQL'
INSTALL PLUGIN auth_socket SONAME 'auth_socket.so';
ALTER USER 'root'@'localhost' IDENTIFIED WITH 'auth_socket';
SQL
chown mysql: /var/lib/mysql-files/own.sql
mysqld --initialize-insecure --user=mysql --init-file=/var/lib/mysql-files/own.sql
rm /var/lib/mysql-files/own.sql
systemctl enable --now mysql
mysql <<'SQL'
CREATE DATABASE test_database;
CREATE TABLE test_database.orders (id INT PRIMARY KEY, what TEXT);
INSERT INTO test_database.orders VALUES (1, 'not the lab''s');
CREATE DATABASE `shop-2`;
CREATE TABLE `shop-2`.ips (id INT PRIMARY KEY);
CREATE USER 'app'@'%' IDENTIFIED BY 'secret';
GRANT ALL ON test_database.* TO 'app'@'%';
SQL
"""
# Everything of the machine that a lab could touch and people would miss; one line a fact. Not Ansible's own folder for
# temporary files, which it makes on every host.
LOOK = r"""
cd /
find etc opt root usr/local -type f -not -path '*/.ansible/*' -print0 | sort -z | xargs -0 sha256sum
find etc opt root usr/local -not -path '*/.ansible*' -printf '%y %m %u %p %l\n' | sort
ls -A var/lib var/lib/mysql-files run/lock
systemctl list-unit-files --no-legend --no-pager --type=service | awk '{print "unit", $1, $2}' | sort
systemctl list-units --no-legend --no-pager --plain --type=service --state=running | awk '{print "runs", $1}' | sort
nft list ruleset
ss -Hltn | awk '{print "listens", $4}' | sort
dpkg-query --show
sysctl net.ipv4 vm.overcommit_memory 2>/dev/null | grep -v 'tw_\|random\|route\|neigh\|_mem\|inet_peer\|uuid' | sort
mysql --batch --execute "
  SELECT user, host, plugin, HEX(authentication_string) FROM mysql.user ORDER BY 1, 2;
  SELECT schema_name FROM information_schema.schemata ORDER BY 1;
  SELECT * FROM test_database.orders;
  SHOW GRANTS FOR 'app'@'%';
  SELECT @@bind_address, @@binlog_expire_logs_seconds, @@log_bin, @@gtid_mode, @@server_id, @@skip_name_resolve"
"""
GROUPS = {"mysql": ("mysql1",), "load_generators": ("client1",)}
ONLY = {"experiments": ["E1-mysql"], "iterations": 300}


@pytest.fixture(scope="module")
def owned(somebodys: RealLab) -> RealLab:
    """The machines, one of which has a MySQL of its own that runs."""
    somebodys.on("mysql1", "sh", "-c", MAKE_OWN_SERVER)
    return somebodys


@pytest.fixture
def guest(owned: RealLab, tmp_path: Path) -> RealLab:
    """A lab on these machines."""
    return by_ssh(owned, tmp_path, "guest", GROUPS)


def looked(machines: RealLab) -> list[str]:
    return machines.on("mysql1", "sh", "-c", LOOK).splitlines()


@pytest.mark.long
def test_a_run_and_down_leave_a_machine_as_it_was(guest: RealLab) -> None:
    before = looked(guest)
    assert any("test_database" in line for line in before)
    ended = guest.play("up", **ONLY)
    assert ended.status == 0, ended.output
    again = guest.play("up", callback="default", **ONLY)
    assert set(again.changed().values()) == {0}, again.output
    assert looked(guest) != before
    ended = guest.play("run", **ONLY)
    assert ended.status == 0, ended.output
    assert guest.verdict() == "valid"
    told = guest.play("down", "--check", **ONLY)
    assert told.status == 0, told.output
    for words in ("stop mysql.service", "enable mysql.service", "start mysql.service", "failover_lab"):
        assert words in told.output
    ended = guest.play("down", **ONLY)
    assert ended.status == 0, ended.output
    assert looked(guest) == before
    assert guest.on("client1", "ls", "-A", "/opt", "/etc/failover-lab", "/var/lib/failover-lab", check=False) == "/opt:"
    assert not guest.state_dir.exists()
    # Nothing of the lab is there any more.
    again = guest.play("down", callback="default", **ONLY)
    assert again.status == 0, again.output
    assert set(again.changed().values()) == {0}
    assert looked(guest) == before


def test_a_database_of_that_name_is_refused_before_anything_is_changed(guest: RealLab) -> None:
    before = looked(guest)
    said = guest.play("up", mysql_database="test_database", **ONLY).one_line()
    assert said == (
        "mysql1: mysql1 has a database test_database that this lab did not make. Choose another name with "
        "-e mysql_database=NAME, or use another host."
    )
    assert looked(guest) == before


def test_an_etcd_that_runs_is_refused_before_anything_is_changed(owned: RealLab, tmp_path: Path) -> None:
    unit = "[Service]\nExecStart=/usr/bin/sleep infinity\n"
    path = "/etc/systemd/system/etcd.service"
    owned.on("mysql1", "sh", "-c", f"printf '%s' '{unit}' >{path} && systemctl start etcd")
    lab = by_ssh(owned, tmp_path, "guest", {"etcd": ("mysql1",), "load_generators": ("client1",)})
    try:
        before = looked(owned)
        said = lab.play("up", experiments=["E1-etcd"], iterations=300).one_line()
        assert said == (
            "mysql1: etcd.service is running on this host, and this lab did not start it. Stop it if nobody needs it "
            "(systemctl stop etcd.service), or use another host. Nothing was changed."
        )
        assert looked(owned) == before
    finally:
        owned.on("mysql1", "sh", "-c", f"systemctl stop etcd && rm {path} && systemctl daemon-reload")


def test_a_host_that_does_not_answer_keeps_the_labs_folder(owned: RealLab, tmp_path: Path) -> None:
    lab = by_ssh(owned, tmp_path, "guest", {"etcd": ("etcd9",), **GROUPS})
    (lab.state_dir / "systems/etcd").mkdir(parents=True)
    said = lab.front("down", **ONLY)
    assert said.status == 3
    lines = [line for line in said.output.splitlines() if line.startswith("lab: ")]
    assert len(lines) == 1
    assert "Not cleared: etcd9 (cannot be reached: " in lines[0]
    assert lab.state_dir.exists()
    # Its system was never brought up: it is left alone.
    (lab.state_dir / "systems/etcd").rename(lab.state_dir / "systems/mysql")
    ended = lab.front("down", **ONLY)
    assert ended.status == 0, ended.output
    assert not lab.state_dir.exists()


# ---- a part of the lab, on a machine without one


def etcd_says(url: str, question: str, **fields: str) -> dict[str, object]:
    """Ask etcd by its gateway, which takes keys and values in Base64."""
    body = {name: base64.b64encode(value.encode()).decode() for name, value in fields.items()}
    request = urllib.request.Request(f"{url}/v3/kv/{question}", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30) as answer:
        said: dict[str, object] = json.load(answer)
    return said


def test_etcd_is_applied_alone_as_its_readme_says(somebodys: RealLab, tmp_path: Path) -> None:
    installed = install(tmp_path)
    role = installed.root / "roles/etcd"
    examples = re.findall(r"^```yaml\n(.*?)^```$", (role / "README.md").read_text(), re.M | re.S)
    apply, remove = [text for text in examples if yaml.safe_load(text)[0].get("hosts") == "etcd"]
    (play,) = yaml.safe_load(apply)
    assert play["roles"] == [f"{NAME}.etcd"]
    documented = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    assert play["vars"].keys() <= documented.keys()
    (tmp_path / "apply.yml").write_text(apply)
    (tmp_path / "remove.yml").write_text(remove)

    # No lab's inventory: a group, and how its host is reached.
    ssh = somebodys.state_dir / "ssh"
    address = f"{somebodys.variables['lab_subnet'].rpartition('.')[0]}.{MACHINES['client1']}"
    reached = {
        "ansible_host": address,
        "ansible_user": "labadmin",
        "ansible_ssh_private_key_file": str(ssh / "id_ed25519"),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={ssh / 'known_hosts'} -o IdentitiesOnly=yes",
    }
    (tmp_path / "hosts.yml").write_text(json.dumps({"etcd": {"hosts": {"store1": reached}}}))

    def changes(playbook: str) -> int:
        ((host, changed, *_),) = RECAP.findall(installed.run("ansible-playbook", "-i", "hosts.yml", playbook))
        assert host == "store1"
        return int(changed)

    assert changes("apply.yml") > 0
    url = f"http://{address}:{documented['etcd_client_port']['default']}"
    etcd_says(url, "put", key="who", value="alone")
    (found,) = etcd_says(url, "range", key="who")["kvs"]  # type: ignore[misc]
    assert base64.b64decode(found["value"]) == b"alone"
    assert changes("apply.yml") == 0
    assert etcd_says(url, "range", key="who")["kvs"] == [found]

    assert changes("remove.yml") > 0
    assert somebodys.on("client1", "ls", "-A", "/var/lib/etcd") == ""
    assert somebodys.on("client1", "ls", "-A", "/var/lib/failover-lab-loans", check=False) == ""
    assert changes("remove.yml") == 0
