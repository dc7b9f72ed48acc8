# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Borrows a service of a machine for a lab, and gives it back in the state in which it was found.

What was found is written down on the machine itself, before the first change: the controller's folder may be lost, and
whoever clears the machine must still know. A loan is one file, ``LOANS/NAME.json`` (:class:`Loan`).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from .listeners import Listener, listeners
from .shapes import SCHEMA_VERSION, LabError

LOANS = Path("/var/lib/failover-lab-loans")
# How long systemctl and dpkg-query may take where they only ask, in s.
QUERY_TIMEOUT_S = 10.0
# States of ActiveState in which a unit runs, or is about to (systemctl(1)).
RUNNING = ("active", "activating", "reloading")

# Runs a command to its end within a time in s, and returns its exit status and what it said.
Runner = Callable[[Sequence[str], float], "tuple[int, str, str]"]


@dataclass(frozen=True)
class Wanted:
    """What a lab is about to use on this machine, and to write there."""

    name: str  # of the loan: etcd, mysql, ...
    lab: str
    unit: str = ""  # systemd unit that the lab takes over; empty for none
    packages: tuple[str, ...] = ()  # Debian packages that the lab installs where they are missing
    files: tuple[str, ...] = ()  # that the lab writes, all its own
    data_dir: str = ""  # of the unit's server
    address: str = ""  # on which the lab's server will listen
    ports: tuple[int, ...] = ()
    refuse_running: bool = False  # the unit may not be stopped for the lab


@dataclass(frozen=True)
class Loan:
    """What was found on the machine before the lab's first change."""

    name: str
    lab: str
    since: str  # UTC
    unit: str
    enabled: str  # UnitFileState of systemctl(1) below a mask; empty where there was no such unit
    masked: str  # masked, masked-runtime, or empty
    active: bool
    had_data: bool  # whether the data directory had anything in it
    packages: list[str]  # those that were missing
    files: list[str]
    folders: list[str]  # those of the files that were missing, innermost first
    schema_version: int = SCHEMA_VERSION


@dataclass
class Outcome:
    """What became of it; in check mode, what would."""

    loan: Loan | None
    actions: list[str] = field(default_factory=list)  # in words, for people

    @property
    def changed(self) -> bool:
        """Whether anything was, or would be, done."""
        return bool(self.actions)


def run_command(command: Sequence[str], timeout_s: float) -> tuple[int, str, str]:
    """Run a command; LabError where it is missing or does not end in time."""
    try:
        done = subprocess.run(list(command), capture_output=True, text=True, timeout=timeout_s, check=False)
    except FileNotFoundError:
        raise LabError(f"{command[0]} is not on this host. The lab needs Debian or Ubuntu with systemd.") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(command)} did not end within {timeout_s:g} s.") from None
    return done.returncode, done.stdout, done.stderr


class Lender:
    """The loans of this machine."""

    def __init__(self, folder: Path = LOANS, run: Runner = run_command, proc: Path = Path("/proc")) -> None:
        """Name the folder of the loans; the others are for tests."""
        self._folder = folder
        self._run = run
        self._proc = proc

    def read(self, name: str) -> Loan | None:
        """Return a loan, None where there is none; LabError where its file cannot be understood."""
        path = self._folder / f"{name}.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return Loan(**{one.name: found[one.name] for one in fields(Loan)})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LabError(
                f"{path} says how {name} was found on this host, and cannot be read ({error}). Look at it; without it "
                "the lab changes nothing here."
            ) from None

    def borrow(self, wanted: Wanted, *, take_over: bool = False, pretend: bool = False) -> Outcome:
        """Write down what is found, and unmask the unit; nothing happens where the lab has the loan.

        :param take_over: take the loan of another lab, with what that one found
        :param pretend: say what would be done
        """
        held = self.read(wanted.name)
        if held is not None and held.lab == wanted.lab:
            return Outcome(held)
        if held is not None and not take_over:
            raise LabError(
                f"{wanted.name} on this host is in use by the lab {held.lab} since {held.since}. Take that lab down "
                f"first (./scripts/lab down -e lab_name={held.lab}), or use another host."
            )
        if held is not None:
            loan = replace(held, lab=wanted.lab)
            actions = [f"take {wanted.name} over from the lab {held.lab}"]
        else:
            self._refuse_listeners(wanted)
            loan = self._find(wanted)
            if loan.active and wanted.refuse_running:
                raise LabError(
                    f"{wanted.unit} is running on this host, and this lab did not start it. Stop it if nobody needs it "
                    f"(systemctl stop {wanted.unit}), or use another host. Nothing was changed."
                )
            actions = [f"write down how {wanted.name} was found"]
        if not pretend:
            self._write(loan)
        if loan.masked and held is None:
            actions.append(f"unmask {wanted.unit}")
            if not pretend:
                runtime = ["--runtime"] if loan.masked == "masked-runtime" else []
                self._systemctl("unmask", *runtime, wanted.unit)
                # What the mask hid.
                loan = replace(loan, enabled=self._unit_state(wanted.unit)["UnitFileState"])
                self._write(loan)
        return Outcome(loan, actions)

    def give_back(self, name: str, lab: str, timeout_s: float, *, pretend: bool = False) -> Outcome:
        """Remove the lab's files and put the unit into the state in which it was found.

        Nothing happens where there is no loan, or another lab has it. LabError where the unit does not come back: the
        loan stays, and another try does the rest.
        """
        loan = self.read(name)
        if loan is None or loan.lab != lab:
            return Outcome(loan)
        outcome = Outcome(loan)
        unit = loan.unit

        def act(words: str, *command: str, wait_s: float = QUERY_TIMEOUT_S) -> None:
            outcome.actions.append(words)
            if not pretend:
                self._systemctl(*command, timeout_s=wait_s)

        installed = bool(unit) and self._unit_state(unit)["LoadState"] != "not-found"
        if installed and self._unit_state(unit)["ActiveState"] in (*RUNNING, "deactivating"):
            act(f"stop {unit}", "stop", unit, wait_s=timeout_s)
        self._remove(loan, outcome, pretend=pretend)
        if installed:
            if not pretend:
                self._systemctl("daemon-reload", timeout_s=timeout_s)
                self._systemctl("reset-failed", unit, may_fail=True)
            if self._unit_state(unit)["UnitFileState"] != loan.enabled and loan.enabled in ("enabled", "disabled"):
                verb = loan.enabled.removesuffix("d")
                act(f"{verb} {unit}", verb, unit, wait_s=timeout_s)
            if loan.active:
                act(f"start {unit}", "start", unit, wait_s=timeout_s)
            if loan.masked:
                runtime = ["--runtime"] if loan.masked == "masked-runtime" else []
                act(f"mask {unit}", "mask", *runtime, unit)
        if not pretend:
            (self._folder / f"{name}.json").unlink()
            _remove_if_empty(self._folder)
        return outcome

    # ---------------------------------------------------------------- looking

    def _find(self, wanted: Wanted) -> Loan:
        state = self._unit_state(wanted.unit) if wanted.unit else {"UnitFileState": "", "ActiveState": "inactive"}
        enabled, active = state["UnitFileState"], state["ActiveState"] in RUNNING
        if any(map(os.path.lexists, wanted.files)):
            # The files of a lab that wrote nothing down yet (version 1.0): it stopped and disabled the unit.
            enabled, active = "disabled" if enabled else "", False
        masked = enabled if enabled.startswith("masked") else ""
        parents = {parent for file in wanted.files for parent in Path(file).parents if not parent.exists()}
        return Loan(
            name=wanted.name,
            lab=wanted.lab,
            since=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            unit=wanted.unit,
            enabled="" if masked else enabled,
            masked=masked,
            active=active,
            had_data=bool(wanted.data_dir) and _has_data(Path(wanted.data_dir)),
            packages=[package for package in wanted.packages if not self._is_installed(package)],
            files=list(wanted.files),
            folders=[str(path) for path in sorted(parents, key=lambda path: (-len(path.parts), path))],
        )

    def _refuse_listeners(self, wanted: Wanted) -> None:
        """Refuse a port on which something listens that is not the unit that is borrowed."""
        taken = [
            one
            for one in listeners(wanted.ports, self._proc)
            if one.takes(wanted.address) and wanted.unit not in one.units
        ]
        if taken:
            raise LabError(
                f"{_told(taken)} on this host, where {wanted.name} of the lab has to listen. Stop it, or choose "
                "another port for the lab (the README's variables that end in _port). Nothing was changed."
            )

    def _unit_state(self, unit: str) -> dict[str, str]:
        names = "LoadState,UnitFileState,ActiveState"
        status, said, error = self._run(["systemctl", "show", f"--property={names}", unit], QUERY_TIMEOUT_S)
        if status != 0:
            raise LabError(f"The state of {unit} cannot be read: {error.strip()}. Try systemctl status {unit}.")
        return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)

    def _is_installed(self, package: str) -> bool:
        command = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
        status, said, _ = self._run(command, QUERY_TIMEOUT_S)
        return status == 0 and said == "installed"

    # ---------------------------------------------------------------- acting

    def _remove(self, loan: Loan, outcome: Outcome, *, pretend: bool) -> None:
        for file in loan.files:
            if os.path.lexists(file):
                outcome.actions.append(f"remove {file}")
                if not pretend:
                    os.unlink(file)
        for folder in loan.folders:
            if not pretend:
                # Somebody may have put something into it meanwhile.
                _remove_if_empty(Path(folder))

    def _systemctl(self, *command: str, timeout_s: float = QUERY_TIMEOUT_S, may_fail: bool = False) -> None:
        status, _, error = self._run(["systemctl", *command], timeout_s)
        if status != 0 and not may_fail:
            said = error.strip().splitlines()
            raise LabError(
                f"systemctl {' '.join(command)} failed: {said[0] if said else f'exit status {status}'} Look with "
                f"systemctl status {command[-1]} and run the playbook again; how the unit was found is kept in "
                f"{self._folder}."
            )

    def _write(self, loan: Loan) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{loan.name}.json"
        new = path.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            json.dump(asdict(loan), file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)


def _has_data(folder: Path) -> bool:
    try:
        return any(entry.name != "lost+found" for entry in folder.iterdir())
    except OSError:
        return False


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return


def _told(taken: Sequence[Listener]) -> str:
    words = [
        f"{one.program or 'a program'} (process {one.pid or 'unknown'}) listens on {one.address} port {one.port}"
        for one in taken
    ]
    return " and ".join(words)
