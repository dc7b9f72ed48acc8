# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A lab of real containers for the integration tests, driven as a user drives it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from failover.machines.network import Bridge

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE_PLAYBOOK = str(Path(sys.executable).parent / "ansible-playbook")
FRONT = [sys.executable, str(ROOT / "scripts/_front.py")]
MEMBERS = ("etcd1", "etcd2", "etcd3", "mysql1")
ETCD = MEMBERS[:3]
# A playbook that takes longer has hung, in s.
PLAYBOOK_TIMEOUT_S = 1200
RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)
WORKLOAD = "AnsiballZ_workload_run"


def podman(*arguments: str, check: bool = True) -> str:
    """Run podman and return what it prints."""
    done = subprocess.run(["podman", *arguments], capture_output=True, text=True, check=False, timeout=180)
    if check and done.returncode != 0:
        raise AssertionError(f"podman {' '.join(arguments)}: {done.stderr}")
    return done.stdout.strip()


def wait_until(what: str, condition: Callable[[], bool], timeout_s: float) -> None:
    """Wait for a condition, or fail with the name of what did not come."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(0.3)


@dataclass
class Ended:
    """A program that came to its end."""

    status: int
    output: str  # standard output and standard error
    record: dict[str, Any] = field(default_factory=dict)  # as plugins/callback/lab_progress.py keeps it

    @property
    def failures(self) -> list[dict[str, str]]:
        """What failed on which host."""
        return list(self.record.get("failures", []))

    def changed(self) -> dict[str, int]:
        """Return the number of changes by host, out of the recap of Ansible's own callback."""
        return {host: int(changed) for host, changed, *_ in RECAP.findall(self.output)}

    def one_line(self) -> str:
        """Return the only failure as ``HOST: MESSAGE``; more of them, or more lines, are too many."""
        assert self.status != 0, self.output
        assert "Traceback" not in self.output
        said = {f"{failure['host']}: {failure['message']}" for failure in self.failures}
        assert len(said) == 1, self.output
        (line,) = said
        assert "\n" not in line, line
        return line


@dataclass
class RealLab:
    """One lab: its name, its variables, and where its results go."""

    name: str
    results: Path
    variables: dict[str, Any] = field(default_factory=dict)
    inventory: Path = ROOT / "inventory/containers"
    ssh_dir: Path | None = None  # where key and known hosts are, of machines that exist already

    @property
    def state_dir(self) -> Path:
        """Folder of the lab's secrets."""
        return Path(self.variables.get("lab_state_dir") or ROOT / ".lab" / self.name)

    def options(self, **variables: Any) -> list[str]:
        """Return ansible-playbook's options for this lab."""
        given = {"results_dir": str(self.results), **self.variables, **variables}
        return ["-i", str(self.inventory), "-e", json.dumps(given)]

    @contextmanager
    def begun(
        self, command: list[str], *, callback: str = "lab_progress"
    ) -> Iterator[tuple[subprocess.Popen[str], Path]]:
        """Start a program in a session of its own, as a terminal does; yields it and the file of its phases."""
        with tempfile.TemporaryDirectory(prefix="failover-lab-test-") as folder:
            phases, output = Path(folder) / "phases.json", Path(folder) / "output"
            environment = {
                **os.environ,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_STDOUT_CALLBACK": callback,
                "ANSIBLE_NOCOLOR": "1",
                "LAB_PHASES_FILE": str(phases),
                "LC_ALL": "C.UTF-8",
            }
            with output.open("w") as stream:
                process = subprocess.Popen(
                    command, cwd=ROOT, env=environment, stdout=stream, stderr=stream, text=True, start_new_session=True
                )
                try:
                    yield process, Path(folder)
                finally:
                    if process.poll() is None:
                        os.killpg(process.pid, 9)
                        process.wait()

    def ended(self, process: subprocess.Popen[str], folder: Path) -> Ended:
        """Wait for a program and return how it ended."""
        status = process.wait(timeout=PLAYBOOK_TIMEOUT_S)
        phases = folder / "phases.json"
        record = json.loads(phases.read_text()) if phases.exists() else {}
        return Ended(status, (folder / "output").read_text(), record)

    def play(self, name: str, *options: str, callback: str = "lab_progress", **variables: Any) -> Ended:
        """Run a playbook to its end."""
        command = [ANSIBLE_PLAYBOOK, str(ROOT / f"playbooks/{name}.yml"), *self.options(**variables), *options]
        with self.begun(command, callback=callback) as (process, folder):
            return self.ended(process, folder)

    def front(self, verb: str, **variables: Any) -> Ended:
        """Run a verb of the front door to its end (the part of it that comes after the installation)."""
        with self.begun([*FRONT, verb, *self.options(**variables)]) as (process, folder):
            return self.ended(process, folder)

    # ---- what there is

    def on(self, host: str, *command: str, check: bool = True) -> str:
        """Run a command on a host, past ssh, and return what it prints."""
        return podman("exec", f"{self.name}-{host}", *command, check=check)

    def unit_state(self, member: str) -> str:
        """Return the state of a member's service, as systemd says it."""
        unit = "etcd" if member in ETCD else "mysql"
        return self.on(member, "systemctl", "is-active", unit, check=False)

    def members_down(self) -> list[str]:
        """Return the members whose service is not active."""
        return [member for member in MEMBERS if self.unit_state(member) != "active"]

    def workload_runs(self) -> bool:
        """Tell whether a workload is at work on the load generator."""
        return bool(self.on("client1", "pgrep", "--full", WORKLOAD, check=False))

    def containers(self) -> list[str]:
        """Return the names of the lab's containers, whatever their state."""
        listed = podman("ps", "--all", "--filter", f"label=failover-lab.name={self.name}", "--format", "{{.Names}}")
        return sorted(listed.split())

    def newest_run(self) -> Path:
        """Return the folder of the newest run."""
        return (self.results / "latest").resolve()

    def verdict(self) -> str:
        """Return the verdict of the newest run."""
        return str(json.loads((self.newest_run() / "verdict.json").read_text())["verdict"])

    def take_down(self) -> None:
        """Remove the lab and make sure that nothing of it is left."""
        ended = self.play("down")
        assert ended.status == 0, ended.output
        assert self.containers() == []
        assert self.name not in podman("network", "ls", "--format", "{{.Name}}").split()
        assert not self.state_dir.exists()
        assert not Path("/var/lib/failover-lab", self.name).exists()


class OfMachines(RealLab):
    """A lab on virtual machines of its own."""

    def take_down(self) -> None:
        """Remove the lab and make sure that no process and no interface of it is left."""
        bridge = Bridge(self.name, str(self.variables["lab_subnet"]))
        ended = self.play("down")
        assert ended.status == 0, ended.output
        assert bridge.links() == {}
        left = subprocess.run(["pgrep", "--full", str(self.state_dir)], capture_output=True, text=True, check=False)
        assert left.stdout == ""
        assert not self.state_dir.exists()


# The last part of each container's address.
MACHINES = {"etcd1": 11, "etcd2": 12, "etcd3": 13, "mysql1": 21, "client1": 31}


def by_ssh(machines: RealLab, folder: Path, lab_name: str, groups: Mapping[str, Sequence[str]]) -> RealLab:
    """Return a lab on machines that exist already and are reached by ssh alone, as a user who may use sudo.

    :param groups: hosts by group of the inventory; a host that is none of MACHINES does not answer
    """
    ssh = machines.state_dir / "ssh"
    network = str(machines.variables["lab_subnet"]).rpartition(".")[0]

    def group(names: Sequence[str]) -> dict[str, object]:
        return {"hosts": {name: {"ansible_host": f"{network}.{MACHINES.get(name, 250)}"} for name in names}}

    inventory = {
        "all": {"vars": {"lab_name": lab_name, "lab_state_dir": str(folder / "state")}},
        "ungrouped": {
            "hosts": {
                "localhost": {
                    "ansible_connection": "local",
                    "ansible_python_interpreter": "{{ ansible_playbook_python }}",
                }
            }
        },
        "lab_hosts": {
            "vars": {
                "ansible_user": "labadmin",
                "ansible_ssh_private_key_file": str(ssh / "id_ed25519"),
                "ansible_ssh_common_args": f"-o UserKnownHostsFile={ssh / 'known_hosts'} -o IdentitiesOnly=yes",
            },
            "children": {name: group(hosts) for name, hosts in groups.items()},
        },
    }
    # JSON is YAML, too.
    (folder / "hosts.yml").write_text(json.dumps(inventory, indent=1))
    variables = {"lab_state_dir": str(folder / "state")}
    return RealLab(machines.name, folder / "results", variables, inventory=folder / "hosts.yml", ssh_dir=ssh)
