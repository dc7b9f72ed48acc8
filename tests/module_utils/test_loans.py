# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a lab finds on a machine is written down before its first change, and is there again afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from failover.host_loan import Lender, Wanted
from failover.shapes import LabError


class Machine:
    """A service manager of one unit, and the packages of a machine."""

    def __init__(self, tmp_path: Path, *, enabled: str = "enabled", active: str = "active") -> None:
        self.enabled, self.active, self.below = enabled, active, "enabled"
        self.packages = {"mysql-server"}
        self.failing: set[str] = set()
        self.done: list[str] = []
        self.folder = tmp_path / "loans"
        (tmp_path / "proc/net").mkdir(parents=True)
        self.proc = tmp_path / "proc"
        self.lender = Lender(self.folder, self.run, self.proc)

    def run(self, command: Sequence[str], _timeout_s: float) -> tuple[int, str, str]:
        program, verb, *rest = command
        if program == "dpkg-query":
            return (0, "installed", "") if rest[-1] in self.packages else (1, "", "no package")
        if verb == "show":
            load = "loaded" if self.enabled else "not-found"
            return 0, f"LoadState={load}\nUnitFileState={self.enabled}\nActiveState={self.active}\n", ""
        self.done.append(" ".join([verb, *rest]))
        if verb in self.failing:
            return 1, "", f"Job for {rest[-1]} failed.\n"
        if verb in ("start", "stop"):
            self.active = "active" if verb == "start" else "inactive"
        elif verb in ("enable", "disable"):
            self.enabled = f"{verb}d"
        elif verb == "unmask":
            self.enabled = self.below
        elif verb == "mask":
            self.enabled = "masked"
        return 0, "", ""

    def used_by_the_lab(self, wanted: Wanted) -> None:
        """Do what a role does."""
        for file in map(Path, wanted.files):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("lab\n")
        self.enabled, self.active = "disabled", "active"
        self.done.clear()


@pytest.fixture
def wanted(tmp_path: Path) -> Wanted:
    (tmp_path / "etc").mkdir()
    files = (str(tmp_path / "etc/mysql.service.d/lab.conf"), str(tmp_path / "etc/zz-lab.cnf"))
    return Wanted(
        name="mysql",
        lab="machines",
        unit="mysql.service",
        packages=("mysql-server", "python3-pymysql"),
        files=files,
        data_dir=str(tmp_path / "data"),
        address="10.0.2.21",
        ports=(3306,),
    )


@pytest.mark.parametrize(
    ("enabled", "active"),
    [("enabled", "active"), ("enabled", "inactive"), ("disabled", "active"), ("disabled", "inactive")],
)
def test_the_unit_is_given_back_as_it_was_found(tmp_path: Path, wanted: Wanted, enabled: str, active: str) -> None:
    machine = Machine(tmp_path, enabled=enabled, active=active)
    machine.lender.borrow(wanted)
    machine.used_by_the_lab(wanted)
    outcome = machine.lender.give_back("mysql", "machines", 9)
    assert (machine.enabled, machine.active) == (enabled, active)
    assert outcome.loan is not None
    assert outcome.loan.packages == ["python3-pymysql"]
    # The lab's files, and the folder that only they needed.
    assert sorted(path.name for path in (tmp_path / "etc").rglob("*")) == []
    assert not machine.folder.exists()


def test_a_mask_is_taken_off_and_put_on_again(tmp_path: Path, wanted: Wanted) -> None:
    machine = Machine(tmp_path, enabled="masked", active="inactive")
    outcome = machine.lender.borrow(wanted)
    assert outcome.actions == ["write down how mysql was found", "unmask mysql.service"]
    machine.used_by_the_lab(wanted)
    machine.lender.give_back("mysql", "machines", 9)
    assert machine.enabled == "masked"
    # What the mask hides is as before, too.
    assert machine.done[-2:] == ["enable mysql.service", "mask mysql.service"]


def test_a_machine_without_the_unit_is_left_with_it_stopped(tmp_path: Path, wanted: Wanted) -> None:
    machine = Machine(tmp_path, enabled="", active="inactive")
    machine.lender.borrow(wanted)
    machine.used_by_the_lab(wanted)
    machine.lender.give_back("mysql", "machines", 9)
    assert (machine.enabled, machine.active) == ("disabled", "inactive")


def test_only_the_first_time_is_written_down(tmp_path: Path, wanted: Wanted) -> None:
    machine = Machine(tmp_path)
    first = machine.lender.borrow(wanted).loan
    machine.used_by_the_lab(wanted)
    again = machine.lender.borrow(wanted)
    assert (again.changed, again.loan) == (False, first)


def test_somebody_elses_file_keeps_its_folder(tmp_path: Path, wanted: Wanted) -> None:
    machine = Machine(tmp_path)
    machine.lender.borrow(wanted)
    machine.used_by_the_lab(wanted)
    (tmp_path / "etc/mysql.service.d/limits.conf").write_text("[Service]\n")
    machine.lender.give_back("mysql", "machines", 9)
    assert [path.name for path in (tmp_path / "etc").rglob("*.*")] == ["mysql.service.d", "limits.conf"]


def test_data_that_was_there_is_noted(tmp_path: Path, wanted: Wanted) -> None:
    data = tmp_path / "data"
    (data / "lost+found").mkdir(parents=True)
    machine = Machine(tmp_path)
    loan = machine.lender.borrow(wanted, pretend=True).loan
    assert loan is not None
    assert not loan.had_data
    (data / "shop").mkdir()
    loan = machine.lender.borrow(wanted).loan
    assert loan is not None
    assert loan.had_data


def test_check_mode_says_what_would_be_done_and_does_nothing(tmp_path: Path, wanted: Wanted) -> None:
    machine = Machine(tmp_path)
    assert machine.lender.borrow(wanted, pretend=True).changed
    assert not machine.folder.exists()
    machine.lender.borrow(wanted)
    machine.used_by_the_lab(wanted)
    outcome = machine.lender.give_back("mysql", "machines", 9, pretend=True)
    assert outcome.actions == [
        "stop mysql.service",
        *(f"remove {file}" for file in wanted.files),
        "enable mysql.service",
        "start mysql.service",
    ]
    assert machine.done == []
    assert all(Path(file).exists() for file in wanted.files)
    assert machine.lender.read("mysql") is not None


def test_another_lab_is_refused_unless_it_takes_over(tmp_path: Path, wanted: Wanted) -> None:
    machine = Machine(tmp_path)
    first = machine.lender.borrow(wanted).loan
    assert first is not None
    other = Wanted(name="mysql", lab="second", unit="mysql.service")
    with pytest.raises(LabError, match=r"in use by the lab machines since .* down -e lab_name=machines"):
        machine.lender.borrow(other)
    assert not machine.lender.give_back("mysql", "second", 9).changed
    taken = machine.lender.borrow(other, take_over=True).loan
    assert taken is not None
    assert (taken.lab, taken.enabled, taken.since) == ("second", first.enabled, first.since)


def test_a_service_of_somebody_else_on_the_port_is_refused(tmp_path: Path, wanted: Wanted) -> None:
    machine = Machine(tmp_path)
    process = machine.proc / "99"
    (process / "fd").mkdir(parents=True)
    (process / "fd/3").symlink_to("socket:[5]")
    (process / "comm").write_text("mariadbd\n")
    (process / "cgroup").write_text("0::/system.slice/mariadb.service\n")
    line = "   0: 00000000:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   0   0 5 1 0 100 0 0 10 0\n"
    (machine.proc / "net/tcp").write_text("header\n" + line)
    with pytest.raises(LabError, match=r"mariadbd \(process 99\) listens on 0.0.0.0 port 3306 .*Nothing was changed"):
        machine.lender.borrow(wanted)
    assert not machine.folder.exists()
    # The unit itself is stopped for the lab, and started again.
    (process / "cgroup").write_text("0::/system.slice/mysql.service\n")
    assert machine.lender.borrow(wanted).loan is not None


def test_a_running_unit_that_others_need_is_refused(tmp_path: Path, wanted: Wanted) -> None:
    wanted = replace(wanted, refuse_running=True)
    machine = Machine(tmp_path)
    with pytest.raises(
        LabError, match=r"^mysql.service is running on this host, .*systemctl stop .*Nothing was changed"
    ):
        machine.lender.borrow(wanted)
    assert machine.done == []
    assert not machine.folder.exists()
    machine.active = "inactive"
    machine.lender.borrow(wanted)
    machine.used_by_the_lab(wanted)
    # From now on it is the lab that started it.
    assert not machine.lender.borrow(wanted).changed
    assert machine.lender.borrow(replace(wanted, lab="second"), take_over=True).changed


def test_a_unit_that_does_not_come_back_keeps_the_note(tmp_path: Path, wanted: Wanted) -> None:
    machine = Machine(tmp_path)
    machine.lender.borrow(wanted)
    machine.used_by_the_lab(wanted)
    machine.failing = {"start"}
    with pytest.raises(LabError, match=r"systemctl start mysql.service failed: Job for mysql.service failed"):
        machine.lender.give_back("mysql", "machines", 9)
    machine.failing = set()
    machine.lender.give_back("mysql", "machines", 9)
    assert (machine.enabled, machine.active) == ("enabled", "active")


def test_files_of_a_lab_that_wrote_nothing_down_count_as_a_unit_found_stopped(tmp_path: Path, wanted: Wanted) -> None:
    machine = Machine(tmp_path)
    machine.used_by_the_lab(wanted)
    loan = machine.lender.borrow(wanted).loan
    assert loan is not None
    assert (loan.enabled, loan.active) == ("disabled", False)


def test_a_note_that_cannot_be_read_stops_the_lab(tmp_path: Path, wanted: Wanted) -> None:
    machine = Machine(tmp_path)
    machine.folder.mkdir()
    (machine.folder / "mysql.json").write_text('{"name": "mysql"')
    with pytest.raises(LabError, match="cannot be read"):
        machine.lender.borrow(wanted)
