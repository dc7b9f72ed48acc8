# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All machines of one lab: made, started where they died, and removed with all that belongs to them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core_files import needed_files, write_files
from ..host.service import MainProcess
from ..shapes import LabError
from . import keeper
from .machine import HOST_KEY, Machine, MachineError, MachineSpec, networks, process_of
from .network import Bridge

# How long the keeper may take until it listens, and to end, in s.
KEEPER_START_S, KEEPER_END_S = 20.0, 10.0
KEEPER_INTERVAL_S = 0.05
PACKAGE = __name__.removesuffix(".machines.lab")
PROGRAM = keeper.__name__.removeprefix(f"{PACKAGE}.")


@dataclass(frozen=True)
class Keys:
    """What the machines are reached by, and prove themselves with."""

    authorized: str  # public key of who may log in
    host: str  # private key of every machine's sshd


@dataclass(frozen=True)
class Wanted:
    """The machines that a lab is to have."""

    machines: Sequence[MachineSpec]
    # A member with an empty disk cannot come back into its old cluster: those of one group are made anew together.
    groups: Mapping[str, Sequence[str]]
    keys: Keys
    # What the keeper is told (keeper.serve), without ``folder``.
    keeper: Mapping[str, Any]


@dataclass
class Done:
    """What was done, by the names of machines and interfaces."""

    made: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    keeper: bool = False  # it was started, or ended

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return bool(self.made or self.started or self.removed or self.links or self.keeper)


class MachineLab:
    """The machines of one lab, in one folder."""

    def __init__(self, folder: Path, bridge: Bridge) -> None:
        self.folder = folder
        self._bridge = bridge

    def machines(self) -> dict[str, Machine]:
        """Return the machines that there are, running or not, by name."""
        if not self.folder.is_dir():
            return {}
        found = (Machine(path) for path in sorted(self.folder.iterdir()) if path.is_dir())
        return {machine.name: machine for machine in found if machine.told()}

    def to_make(self, wanted: Wanted) -> list[str]:
        """Return the machines that are missing or of another definition, with those that have to be made with them."""
        there = self.machines()
        broken = {spec.name for spec in wanted.machines if spec.name not in there or not there[spec.name].is_of(spec)}
        together = {name for names in wanted.groups.values() if broken & set(names) for name in names}
        return [spec.name for spec in wanted.machines if spec.name in broken | together]

    def bring_up(self, wanted: Wanted, *, pretend: bool = False) -> Done:
        """Make what is missing, start what does not run, and have a keeper for all."""
        there = self.machines()
        done = Done(made=self.to_make(wanted))
        done.started = [
            spec.name for spec in wanted.machines if spec.name not in done.made and not there[spec.name].runs()
        ]
        done.links = self._bridge.make([spec.address for spec in wanted.machines], pretend=pretend)
        if pretend:
            return done
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        hosts = "".join(f"{spec.address} {spec.name}\n" for spec in wanted.machines)
        for spec in wanted.machines:
            machine = Machine(self.folder / spec.name)
            if spec.name in done.made:
                machine.make(spec, self._credentials(spec, wanted.keys, hosts))
            machine.start()
        done.keeper = self._have_keeper(wanted.keeper)
        return done

    def start_dead(self, *, pretend: bool = False) -> Done:
        """Start what was made and does not run, machines, keeper and network, and nothing else."""
        there = self.machines()
        if not there:
            return Done()
        done = Done(started=[name for name, machine in there.items() if not machine.runs()])
        done.links = self._bridge.make([one.told()["definition"]["address"] for one in there.values()], pretend=pretend)
        done.keeper = (self.folder / "keeper.json").exists() and self._keeper() is None
        if not pretend:
            for name in done.started:
                there[name].start()
            if done.keeper:
                self._start_keeper()
        return done

    def remove(self, *, pretend: bool = False) -> Done:
        """End and remove all machines, the keeper and the network."""
        running = self._keeper()
        done = Done(removed=list(self.machines()), keeper=running is not None)
        if running is not None and not pretend:
            self._end(running)
        for name in [] if pretend else done.removed:
            Machine(self.folder / name).remove()
        done.links = self._bridge.remove(pretend=pretend)
        return done

    @staticmethod
    def _credentials(spec: MachineSpec, keys: Keys, hosts: str) -> dict[str, str]:
        """Return what systemd and sshd in the machine are told, by the name of the credential."""
        return {
            "system.hostname": spec.name,
            "ssh.authorized_keys.root": keys.authorized,
            HOST_KEY: keys.host,
            "failover-lab.hosts": f"127.0.0.1 localhost\n{hosts}",
            **{f"network.network.{name}": unit for name, unit in networks(spec).items()},
        }

    # ------------------------------------------------------------ the keeper

    def _keeper(self) -> MainProcess | None:
        """Take hold of the keeper; None where none runs."""
        return process_of(self.folder / "keeper.pid", self.folder / "keeper.json")

    def _have_keeper(self, told: Mapping[str, Any]) -> bool:
        """Have a keeper of this configuration and of this code; return whether it had to be started."""
        code = needed_files(PROGRAM, PACKAGE)
        digest = hashlib.sha256(json.dumps(code).encode()).hexdigest()
        content = json.dumps({**told, "folder": str(self.folder), "code": digest}, indent=1)
        config = self.folder / "keeper.json"
        running = self._keeper()
        if running is not None:
            if config.read_text(encoding="utf-8") == content:
                running.close()
                return False
            self._end(running)
        write_files(code, self.folder / "core" / "failover")
        config.write_text(content, encoding="utf-8")
        self._start_keeper()
        return True

    def _start_keeper(self) -> None:
        """Start the keeper, and wait until it listens for each member; LabError with its last line where it fails."""
        config, log = self.folder / "keeper.json", self.folder / "keeper.log"
        with log.open("w", encoding="utf-8") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", f"failover.{PROGRAM}", "--config", str(config)],
                env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(self.folder / "core")},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        (self.folder / "keeper.pid").write_text(str(process.pid), encoding="ascii")
        told = json.loads(config.read_text(encoding="utf-8"))
        end = time.monotonic() + KEEPER_START_S
        waiting = [(told["listen"], int(row["port"])) for row in told["members"].values()]
        while waiting:
            with contextlib.suppress(OSError), socket.create_connection(waiting[0], timeout=1):
                waiting.pop(0)
                continue
            if process.poll() is not None or time.monotonic() > end:
                lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                raise LabError(
                    f"The keeper of the machines does not start: {lines[-1] if lines else 'it says nothing'}"
                )
            time.sleep(KEEPER_INTERVAL_S)

    @staticmethod
    def _end(process: MainProcess) -> None:
        with contextlib.closing(process):
            with contextlib.suppress(ProcessLookupError):
                process.send(signal.SIGTERM)
            if process.wait_gone(KEEPER_END_S) is None:
                with contextlib.suppress(ProcessLookupError):
                    process.send(signal.SIGKILL)
                if process.wait_gone(KEEPER_END_S) is None:
                    raise MachineError(f"The keeper of the machines (process {process.pid}) does not end.")
