# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.loader import action_loader
from playing import ROOT, PlaybookRunner, Played

action_loader.add_directory(str(ROOT / "plugins" / "action"))
action = action_loader.get("workload_wait", class_only=True)
workload_wait = sys.modules[action.__module__]

RUNNING = {
    "done": 11_973,
    "total": 100_000,
    "ops_per_s": 812.3,
    "ok": 11_970,
    "fail": 1,
    "unknown": 2,
    "p99_ms": 2.13,
    "leader": "etcd2",
    "endpoint": "10.89.77.11:2379",
    "phase": "running",
    "elapsed_s": 14.0,
    "faults": ["stop etcd1"],
    "message": None,
}


def test_a_line_without_a_terminal_tells_everything() -> None:
    assert workload_wait.describe("E2-etcd", RUNNING, None) == (
        "E2-etcd: 12% of 100,000 operations, 812 op/s, 3 errors, leader etcd2, stop etcd1, p99 2.1 ms"
    )
    assert workload_wait.describe(
        "E2-etcd", RUNNING | {"fail": 0, "unknown": 1, "leader": None, "faults": []}, None
    ) == ("E2-etcd: 12% of 100,000 operations, 812 op/s, 1 error, p99 2.1 ms")


def test_a_wide_line_has_a_bar_as_long_as_there_is_room() -> None:
    line = workload_wait.describe("E2-etcd", RUNNING, 140)
    assert len(line) == 140
    assert re.fullmatch(
        r"E2-etcd   12% █+[▏▎▍▌▋▊▉]? +  11,973/100,000  812 op/s  3 errors  00:14<01:42"
        r"  leader etcd2  stop etcd1  p99 2.1 ms",
        line,
    )


def test_a_narrow_line_gives_up_what_matters_least() -> None:
    for columns in range(20, 141):
        line = workload_wait.describe("E2-etcd", RUNNING, columns)
        assert len(line) <= columns
        assert line.startswith("E2-etcd   12% ")
        if columns >= 60:
            assert "  11,973/100,000  812 op/s" in line
        shown = [text in line for text in ("/100,000", "op/s", "errors", "00:14", "leader", "stop etcd1", "p99")]
        assert shown == sorted(shown, reverse=True)


def test_before_the_first_operation_nobody_knows_how_long_it_takes() -> None:
    assert workload_wait.describe("E2-etcd", {}, 80) == "E2-etcd: starting"
    line = workload_wait.describe("E2-etcd", RUNNING | {"done": 0, "elapsed_s": 0.5}, 140)
    assert "00:00<?" in line
    assert workload_wait.remaining_s(RUNNING | {"done": 0}) == float("inf")


def test_a_workload_that_is_over_is_told_in_a_sentence() -> None:
    assert workload_wait.summarize("E1", RUNNING | {"done": 100_000, "elapsed_s": 123.44}) == (
        "E1: 100,000 of 100,000 operations in 123.4 s, 812 op/s, 3 errors"
    )


def test_documented_options_are_those_that_are_taken() -> None:
    """validate-modules does not look into actions."""
    documented = yaml.safe_load(importlib.import_module("workload_wait").DOCUMENTATION)["options"]
    source = (ROOT / "plugins" / "action" / "workload_wait.py").read_text(encoding="utf-8")
    taken = re.findall(r'"(\w+)": \{"type": "(\w+)", (?:"required": (True)|"default": (\d+))\}', source)
    assert len(taken) == 3
    assert documented.keys() == {name for name, *_ in taken}
    for name, kind, required, default in taken:
        option = documented[name]
        assert option["type"] == kind
        assert option.get("required", False) is bool(required)
        assert str(option.get("default", "")) == default


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class Screen:
    """Keeps what is shown."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def display(self, text: str, **_: Any) -> None:
        self.shown.append(text)


class Host:
    """Answers the action's questions: progress by the clock, and the job's status."""

    def __init__(self, clock: Clock, progress: Any, job: Any) -> None:
        self._clock, self._began = clock, clock.now_s
        self._progress, self._job = progress, job

    def read_progress(self, _path: str) -> dict[str, Any]:
        found: dict[str, Any] = self._progress(self._clock.now_s - self._began)
        return found

    def job(self, _jid: str, _task_vars: dict[str, Any]) -> dict[str, Any]:
        self._clock.now_s += 0.5
        found: dict[str, Any] = self._job(self._clock.now_s - self._began)
        return found


def wait(monkeypatch: pytest.MonkeyPatch, progress: Any, job: Any) -> tuple[dict[str, Any], list[str], float]:
    """Wait for a job on a host that does not exist; return result, what was shown, and how long it took in s."""
    clock, screen = Clock(), Screen()
    host = Host(clock, progress, job)
    monkeypatch.setattr(workload_wait, "time", clock)
    monkeypatch.setattr(workload_wait, "display", screen)
    waiting = action.__new__(action)
    monkeypatch.setattr(waiting, "_read_progress", host.read_progress, raising=False)
    monkeypatch.setattr(waiting, "_job", host.job, raising=False)
    result = waiting._wait(
        {"jid": "j1.2", "progress_path": "/p/E1/progress.json", "timeout_s": 60},
        "client1",
        workload_wait.Meter("E1", None),
        {},
    )
    return result, screen.shown, clock.now_s - 1000.0


def steady(seconds: float, total: int = 20_000, per_s: int = 1000) -> dict[str, Any]:
    done = min(total, int(seconds * per_s))
    phase = "finished" if done == total else "running"
    return RUNNING | {"done": done, "total": total, "elapsed_s": seconds, "phase": phase}


def test_the_end_is_awaited_closely_and_each_poll_costs_the_host_little(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def job(seconds: float) -> dict[str, Any]:
        asked.append(seconds)
        return {"finished": seconds >= 20, "ok": 1}

    result, shown, took_s = wait(monkeypatch, steady, job)
    assert result == {"finished": True, "ok": 1}
    assert took_s <= 21.5
    assert len(asked) == 1, "the module was started while the job's own word said that it runs"
    assert shown[-1].strip().startswith("E1: 20,000 of 20,000 operations")
    assert 4 <= len(shown) <= 7


def test_no_operation_for_too_long_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(seconds: float) -> dict[str, Any]:
        return steady(min(seconds, 12.0)) | {"elapsed_s": seconds}

    result, _, took_s = wait(monkeypatch, stuck, lambda _: {"finished": False})
    assert result["failed"] is True
    assert re.match(
        r"The workload on client1 completed no operation for 60 s, at 1\d,\d{3} of 20,000 \(endpoint 10\.89\.",
        result["msg"],
    )
    assert 70 <= took_s <= 85


def test_a_job_that_never_says_anything_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    result, shown, _ = wait(monkeypatch, lambda _: {}, lambda _: {"finished": False})
    assert "completed no operation for 60 s, at 0 of 0 (endpoint unknown)" in result["msg"]
    assert set(shown) == {"  E1: starting"}


def test_a_job_that_was_killed_is_noticed_though_its_word_says_running(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_: float) -> dict[str, Any]:
        return {
            "finished": True,
            "msg": "Traceback (most recent call last):\nValueError",
            "stderr": "Killed\n",
            "exception": "x",
        }

    result, _, took_s = wait(monkeypatch, lambda seconds: steady(min(seconds, 10.0)), killed)
    assert result["failed"] is True
    assert "exception" not in result
    assert result["msg"].startswith(
        "The workload's process on client1 ended without a result, at 10,000 of 20,000 operations (Killed)."
    )
    assert took_s <= 25


def test_a_failed_workload_says_why_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = {"finished": True, "failed": True, "msg": "/var/lib is full: make room"}
    result, shown, _ = wait(monkeypatch, lambda seconds: steady(seconds) | {"phase": "failed"}, lambda _: failed)
    assert result == failed
    assert "1 error" not in shown[-1]


def unreachable_from(first_s: float, last_s: float) -> Any:
    def progress(seconds: float) -> dict[str, Any]:
        if first_s <= seconds < last_s:
            raise AnsibleConnectionFailure("Failed to connect to the host via ssh: timed out.")
        return steady(seconds)

    return progress


def test_a_host_out_of_reach_for_a_while_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _, _ = wait(monkeypatch, unreachable_from(4, 12), lambda _: {"finished": True, "ok": 1})
    assert result == {"finished": True, "ok": 1}


def test_a_host_that_is_lost_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _, took_s = wait(monkeypatch, unreachable_from(4, 1e9), lambda _: {"finished": False})
    assert result["failed"] is True
    assert re.match(
        r"client1 has been unreachable for 3\d s while its workload was running \(.*timed out\)\. Once it is up",
        result["msg"],
    )
    assert took_s <= 45


# ---- with Ansible, a real job and a terminal

JOB = """
import json, os, time
from ansible.module_utils.basic import AnsibleModule

module = AnsibleModule(
    argument_spec={
        "path": {"type": "path", "required": True},
        "fail": {"type": "bool"},
        "operation_s": {"type": "float", "required": True},
    }
)
path, began = module.params["path"], time.time()
os.makedirs(os.path.dirname(path), exist_ok=True)


def tell(done, phase):
    with open(path + ".new", "w") as new:
        json.dump({"done": done, "total": 50, "ops_per_s": 25.0, "ok": done, "fail": 0, "unknown": 0, "leader": "etcd2",
                   "phase": phase, "elapsed_s": time.time() - began, "faults": [], "p99_ms": 1.0}, new)
    os.replace(path + ".new", path)


for done in range(50):
    tell(done, "running")
    time.sleep(module.params["operation_s"])
if module.params["fail"]:
    tell(done, "failed")
    module.fail_json(msg="the disk is full")
tell(50, "finished")
module.exit_json(changed=True, answer=42)
"""
PLAYBOOK = """
- name: Experiments
  hosts: one
  gather_facts: false
  tasks:
    - name: Start the workload
      a_job:
        path: "{{ playbook_dir }}/E1-etcd/progress.json"
        fail: "{{ fail | default(false) }}"
        operation_s: "{{ operation_s | default(0.01) }}"
      async: 60
      poll: 0
      register: job
    - name: Wait for the workload
      workload_wait:
        jid: "{{ job.ansible_job_id }}"
        progress_path: "{{ playbook_dir }}/E1-etcd/progress.json"
      register: workload
    - name: Show what it returned
      ansible.builtin.debug:
        msg: The answer is {{ workload.answer }}, changed {{ workload.changed }}
"""


@pytest.fixture
def played(request: pytest.FixtureRequest, play: PlaybookRunner, tmp_path: Path) -> Played:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "a_job.py").write_text(JOB, encoding="utf-8")
    options, columns, *more = request.param
    return play(PLAYBOOK, *options, columns=columns, **(more[0] if more else {}))


# Long enough for a line while it runs.
@pytest.mark.parametrize("played", [(("-e", "operation_s=0.1"), None)], indirect=True)
def test_lines_are_shown_where_there_is_no_terminal(played: Played, tmp_path: Path) -> None:
    assert played.status == 0, played.output
    assert re.search(
        r"^  E1-etcd: (starting|\d+% of 50 operations, 25 op/s, 0 errors, leader etcd2)", played.output, re.M
    )
    assert re.search(r"^  E1-etcd: 50 of 50 operations in \d+\.\d s, 25 op/s, 0 errors$", played.output, re.M)
    assert "  The answer is 42, changed True\n" in played.output
    assert "\r" not in played.output
    assert list((tmp_path / "jobs").glob("j*")) == [], "the job's file was left on the host"


# Long enough for some lines, one each second, also where the waiting begins late.
@pytest.mark.parametrize("played", [(("-e", "operation_s=0.2"), 70)], indirect=True)
def test_one_line_is_redrawn_on_a_terminal(played: Played) -> None:
    assert played.status == 0, played.output
    drawn = [text.split("\r")[0] for text in played.output.split("\r\x1b[K") if "/50  " in text]
    assert len(drawn) >= 3
    assert all(len(text) <= 69 and "%" in text for text in drawn)
    assert len(set(drawn)) == len(drawn)
    assert re.search(r"\r\x1b\[K  E1-etcd: 50 of 50 operations in \d+\.\d s, 25 op/s, 0 errors\r\n", played.output)


@pytest.mark.parametrize("played", [(("-e", json.dumps({"fail": True})), None)], indirect=True)
def test_a_job_that_fails_is_a_task_that_fails(played: Played) -> None:
    assert played.status == 2
    assert "✗ one: Wait for the workload: the disk is full\n" in played.output


@pytest.mark.parametrize(
    "played",
    [((), None, {"apart": True, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"})],
    indirect=True,
)
def test_standard_output_belongs_to_the_callback(played: Played) -> None:
    (told,) = json.loads(played.output)["plays"]
    assert told["tasks"][-1]["hosts"]["one"]["msg"] == "The answer is 42, changed True"
