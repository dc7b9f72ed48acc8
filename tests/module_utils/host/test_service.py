# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from failover.host import service as service_module
from failover.host.service import (
    MainProcess,
    Service,
    ServiceError,
    control,
    family,
    likely_cause,
    parse_timestamp,
    process_state,
    shorten,
)
from fault_doubles import FakeManager, wait_until

UNIT = "failover-lab-test.service"


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeManager]:
    made = FakeManager(tmp_path)
    monkeypatch.setenv("PATH", made.path)
    yield made
    made.close()


@pytest.fixture
def service(manager: FakeManager) -> Service:
    manager.add(UNIT)
    return Service(UNIT, use_dbus=False)


def test_state_of_a_running_unit(service: Service, manager: FakeManager) -> None:
    state = service.state()
    assert (state.load, state.active, state.sub, state.result) == ("loaded", "active", "running", "success")
    assert (state.is_active, state.restart_policy, state.freezer) == (True, "no", "running")
    assert state.main_pid == manager.pid(UNIT)
    assert state.started_wall_ns is not None
    assert abs(time.time_ns() - state.started_wall_ns) < 60e9


def test_state_of_a_unit_that_is_not_there(manager: FakeManager) -> None:
    state = Service("nobody.service").state()
    assert (state.load, state.main_pid, state.started_wall_ns) == ("not-found", 0, None)


def test_a_host_without_a_service_manager_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServiceError, match="systemctl is not on this host"):
        Service(UNIT).state()
    assert Service(UNIT).log_tail(5) == []


def test_a_call_that_hangs_ends_in_time(service: Service, manager: FakeManager) -> None:
    service.stop(5)
    manager.set(UNIT, "start_delay", "5")
    with pytest.raises(ServiceError, match=f"systemctl start {UNIT} did not end within 0.3 s"):
        service.start(0.3)


def test_start_clears_the_start_limit_first(service: Service, manager: FakeManager) -> None:
    service.start(5)
    assert manager.calls()[-2:] == [f"reset-failed {UNIT}", f"start {UNIT}"]


def test_stop_soon_takes_systemctl_where_the_bus_does_not_know_the_unit(manager: FakeManager) -> None:
    # On a machine with systemd the bus refuses the unit, on one without there is no bus.
    manager.add(UNIT)
    service = Service(UNIT, use_dbus=True)
    assert service.stop_soon() == "systemctl"
    assert service.commands == [f"systemctl stop --no-block {UNIT}"]
    wait_until(lambda: manager.pid(UNIT) == 0)


def test_stop_soon_takes_the_bus_where_it_answers(manager: FakeManager, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(service_module, "ask_manager", lambda method, unit: asked.append((method, unit)))
    service = Service(UNIT)
    assert (service.stop_soon(), service.restart_soon()) == ("dbus", "dbus")
    assert asked == [("StopUnit", UNIT), ("RestartUnit", UNIT)]
    assert manager.calls() == []


def test_the_bus_says_why_it_refuses() -> None:
    with pytest.raises(OSError, match=r"no system bus|not loaded|not found|libsystemd"):
        service_module.ask_manager("StopUnit", UNIT)


def start_with_a_child(service: Service, manager: FakeManager) -> MainProcess:
    manager.run("stop", UNIT)
    manager.set(UNIT, "program", '["sh", "-c", "sleep 1000 & wait"]')
    manager.run("start", UNIT)
    process = service.main_process()
    assert process is not None
    wait_until(lambda: len(family(process.pid)) == 2)
    return process


def test_a_suspended_unit_stands_still_with_all_its_processes_until_it_is_resumed(
    service: Service, manager: FakeManager
) -> None:
    process = start_with_a_child(service, manager)
    members = family(process.pid)
    assert service.suspend(process) == 2
    assert {process_state(pid) for pid in members} == {"T"}
    service.resume()
    wait_until(lambda: "T" not in {process_state(pid) for pid in members})
    service.resume()
    assert manager.pid(UNIT) == process.pid
    process.close()


def test_all_processes_of_a_unit_are_killed_together(service: Service, manager: FakeManager) -> None:
    process = start_with_a_child(service, manager)
    members = family(process.pid)
    assert service.kill_all(process) == 2
    assert process.wait_gone(10) is not None
    wait_until(lambda: not {process_state(pid) for pid in members} - {None, "Z"})
    process.close()


def test_a_unit_without_a_process_has_nothing_to_resume(service: Service, manager: FakeManager) -> None:
    manager.run("stop", UNIT)
    service.resume()
    assert process_state(2**22) is None


def test_a_process_is_held_by_more_than_its_pid() -> None:
    child = subprocess.Popen(["sleep", "1000"])
    process = MainProcess(child.pid)
    assert process.is_alive()
    assert process.wait_gone(0.01) is None
    before = time.time_ns()
    process.send(signal.SIGKILL)
    gone = process.wait_gone(5)
    assert gone is not None
    assert before <= gone <= time.time_ns()
    assert not process.is_alive()
    child.wait()
    with pytest.raises(ProcessLookupError):
        process.send(signal.SIGKILL)
    process.close()
    with pytest.raises(ProcessLookupError):
        MainProcess(child.pid)


@pytest.mark.parametrize(
    ("state", "running", "changed", "after"),
    [
        ("started", True, False, "active"),
        ("started", False, True, "active"),
        ("stopped", True, True, "inactive"),
        ("stopped", False, False, "inactive"),
        ("killed", True, True, "failed"),
        ("killed", False, False, "inactive"),
        ("restarted", True, True, "active"),
        ("restarted", False, True, "active"),
    ],
)
@pytest.mark.parametrize("pretend", [False, True])
def test_control(manager: FakeManager, state: str, running: bool, changed: bool, after: str, pretend: bool) -> None:
    manager.add(UNIT, running=running)
    pid = manager.pid(UNIT)
    before = time.time_ns()
    done = control(Service(UNIT, use_dbus=False), state, 10, pretend=pretend)
    assert (done["changed"], done["active_after"], done["pid_before"]) == (changed, after, pid)
    ended = changed and running and state != "started"
    if pretend:
        assert manager.pid(UNIT) == pid
        assert (done["commands"], done["acted_wall_ns"], done["gone_wall_ns"]) == ([], None, None)
        return
    assert done["pid_after"] == manager.pid(UNIT)
    assert (done["pid_after"] == pid) == (not changed)
    assert (done["gone_wall_ns"] is not None) == ended
    assert (done["acted_wall_ns"] is not None) == bool(done["commands"]) == changed
    if ended:
        assert before <= done["acted_wall_ns"] <= done["gone_wall_ns"]


def test_control_of_a_unit_that_is_not_there(manager: FakeManager) -> None:
    with pytest.raises(ServiceError, match=r"There is no unit nobody\.service"):
        control(Service("nobody.service"), "started", 5)


def test_a_failure_is_explained_with_state_cause_and_log(service: Service, manager: FakeManager) -> None:
    service.stop(5)
    manager.set(UNIT, "fail", "yes")
    manager.set(UNIT, "log", "first\nlisten tcp 10.0.0.1:2379: bind: address already in use\n" + "x" * 1000)
    with pytest.raises(ServiceError) as failed:
        service.start(5)
    told = service.explain_failure(str(failed.value), log_lines=2)
    first, *rest = told.splitlines()
    assert "control process exited with error code" in first
    assert f"{UNIT} is inactive" in first
    assert "Likely cause: another program listens on the port" in first
    assert rest[0] == "Last log lines:"
    assert rest[1:] == ["listen tcp 10.0.0.1:2379: bind: address already in use", "x" * 297 + "..."]


def test_a_failure_nobody_knows_says_so(manager: FakeManager) -> None:
    told = Service("nobody.service", use_dbus=False).explain_failure("It broke.")
    assert "nobody.service does not exist on this host" in told
    assert "Likely cause: unknown" in told
    assert told.endswith("(none)")


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("Start request repeated too quickly; was attempted too often.", "start limit"),
        ("member 8e9e05c52164694d has already been bootstrapped", "lost its data directory"),
        ("request cluster ID mismatch", "different clusters"),
        ("write wal: no space left on device", "disk is full"),
        ("[InnoDB] Unable to lock ./ibdata1 error: 11", "another process has the data"),
        ("dial tcp 10.0.0.3:2380: connect: connection refused", "without a majority"),
    ],
)
def test_known_causes(line: str, cause: str) -> None:
    found = likely_cause(["some other line", line])
    assert found is not None
    assert cause in found


def test_an_unknown_cause_is_none() -> None:
    assert likely_cause(["all is well"]) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mon 2026-11-23 05:21:45.123456 UTC", 1795411305_123_456_000),
        ("Mon 2026-11-23 05:21:45 UTC", 1795411305_000_000_000),
        ("n/a", None),
        ("", None),
    ],
)
def test_timestamps_of_systemctl(text: str, expected: int | None) -> None:
    assert parse_timestamp(text) == expected


def test_shorten_keeps_what_fits() -> None:
    assert shorten("a" * 10, 10) == "a" * 10
    assert shorten("a" * 11, 10) == "a" * 7 + "..."


def test_the_log_is_read_from_the_end(service: Service, manager: FakeManager) -> None:
    manager.set(UNIT, "log", "one\ntwo\nthree\n")
    assert service.log_tail(2) == ["two", "three"]
