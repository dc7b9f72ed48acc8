# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.loader import callback_loader
from playing import ROOT, PlaybookRunner

callback_loader.add_directory(str(ROOT / "plugins" / "callback"))
lab_progress = sys.modules[callback_loader.get("lab_progress", class_only=True).__module__]

GOOD = """
- name: Look around
  hosts: one:two
  gather_facts: false
  tasks:
    - name: Change something
      ansible.builtin.command: "true"
    - name: Say hello
      ansible.builtin.debug:
        msg: Hello from {{ inventory_hostname }}
    - name: Say each
      ansible.builtin.debug:
        msg: Item {{ item }}
      loop: [7]
      when: inventory_hostname == "one"
    - name: Agree
      ansible.builtin.assert:
        that: 1 == 1
        success_msg: They agree
    - name: Agree silently
      ansible.builtin.assert:
        that: 1 == 1
    - name: Take care of a failure
      block:
        - name: Fail where somebody takes care
          ansible.builtin.fail:
            msg: planned
      rescue:
        - name: Take care
          ansible.builtin.command: "true"
    - name: Fail where it does not matter
      ansible.builtin.command: "false"
      ignore_errors: true
    - name: Reach nobody where it does not matter
      ansible.builtin.ping:
      delegate_to: away
      ignore_unreachable: true
- name: Experiments
  hosts: one
  gather_facts: false
  tasks:
    - name: Run each
      ansible.builtin.include_role:
        name: experiment
      loop: [{name: E1}, {name: E2}]
      loop_control:
        loop_var: experiment
        label: "{{ experiment.name }}"
"""


@pytest.fixture
def roles(tmp_path: Path) -> str:
    tasks = tmp_path / "roles" / "experiment" / "tasks"
    tasks.mkdir(parents=True)
    (tasks / "main.yml").write_text("- name: Work\n  ansible.builtin.command: sleep 0.1\n", encoding="utf-8")
    return str(tmp_path / "roles")


def test_what_is_in_order_is_a_list_of_phases(play: PlaybookRunner, roles: str) -> None:
    played = play(GOOD, ANSIBLE_ROLES_PATH=roles)
    assert played.status == 0
    lines = played.output.splitlines()
    assert lines[0] == "… Look around"
    said = sorted(line.strip() for line in lines[1 : lines.index("… Experiments: E1") - 1])
    assert said == ["Hello from one", "Hello from two", "Item 7", "They agree", "They agree"]
    done = [line.split() for line in lines if line.startswith("✓")]
    assert [" ".join(words[1:-4]) for words in done] == ["Look around", "Experiments: E1", "Experiments: E2"]
    assert [words[-2:] for words in done] == [["6", "changed"], ["1", "changed"], ["1", "changed"]]
    assert lines[-1] == "  changed: one 5, two 3"
    assert "planned" not in played.output

    phases = played.record["phases"]
    assert [(phase["name"], phase["play"], phase["status"]) for phase in phases] == [
        ("Look around", "Look around", "ok"),
        ("Experiments: E1", "Experiments", "ok"),
        ("Experiments: E2", "Experiments", "ok"),
    ]
    assert all(phase["duration_s"] >= 0.1 for phase in phases[1:])
    assert played.record["failures"] == []
    assert played.record["hosts"]["one"]["changed"] == 5
    assert played.record["check_mode"] is False
    assert played.record["results_folder"] is None
    table = [line for line in lines if line.endswith("%  ok")]
    assert len(table) == 3


def test_the_results_folder_is_the_one_that_the_playbook_names(play: PlaybookRunner) -> None:
    played = play(
        """
- name: Verdict
  hosts: one
  gather_facts: false
  vars: {base: /somewhere}
  tasks:
    - name: Name it
      ansible.builtin.set_stats:
        data:
          lab_results_folder: "{{ base }}/latest"
"""
    )
    assert played.record["results_folder"] == "/somewhere/latest"


def test_a_failure_is_a_line_with_host_task_and_reason(play: PlaybookRunner) -> None:
    played = play(
        """
- name: Provision
  hosts: one:two
  gather_facts: false
  tasks:
    - name: Start the server
      ansible.builtin.shell: echo out; echo 'it says why' >&2; exit 4
- name: Never reached
  hosts: one
  gather_facts: false
  tasks:
    - name: Do nothing
      ansible.builtin.ping:
"""
    )
    assert played.status == 2
    crosses = [line for line in played.output.splitlines() if line.startswith("✗")]
    first, second = crosses[0].split(":")[0], crosses[1].split(":")[0]
    assert {first, second} == {"✗ one", "✗ two"}
    assert crosses[0].endswith(": Start the server: it says why (exit status 4)")
    assert crosses[1].endswith(": Start the server: the same")
    assert crosses[2].startswith("✗ Provision")
    assert "{" not in played.output
    assert [phase["name"] for phase in played.record["phases"]] == ["Provision"]
    assert played.record["phases"][0]["status"] == "failed"
    failure = played.record["failures"][0]
    assert failure["host"] in ("one", "two")
    assert failure | {"host": ""} == {
        "phase": "Provision",
        "play": "Provision",
        "task": "Start the server",
        "host": "",
        "message": "it says why (exit status 4)",
    }


def test_a_host_that_is_not_reached_is_named(play: PlaybookRunner) -> None:
    played = play(
        """
- name: Reach
  hosts: away
  gather_facts: false
  tasks:
    - name: Ask
      ansible.builtin.ping:
"""
    )
    assert played.status == 4
    (line,) = [line for line in played.output.splitlines() if line.startswith("✗ away")]
    assert line.startswith("✗ away: Ask: cannot be reached. ")
    assert "Connection refused" in line


CHANGE = """
- name: Change
  hosts: one
  gather_facts: false
  tasks:
    - name: Write a file
      ansible.builtin.copy:
        content: "new line\\n"
        dest: "{{ playbook_dir }}/written"
        mode: "0644"
"""


def test_in_check_mode_each_change_is_a_line(play: PlaybookRunner, tmp_path: Path) -> None:
    played = play(CHANGE, "--check", "--diff")
    assert played.status == 0
    assert "  would change: one: Write a file\n" in played.output
    assert "+new line" in played.output
    assert played.record["check_mode"] is True
    assert not (tmp_path / "written").exists()


def test_verbose_shows_what_ansible_shows(play: PlaybookRunner) -> None:
    played = play(CHANGE, "-v")
    assert "TASK [Write a file]" in played.output
    assert "PLAY RECAP" in played.output
    assert played.record["phases"][0]["changed"] == 1


WARNING_MODULE = """
import time
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec={})
time.sleep(1)
module.warn("mind the step")
module.exit_json(changed=False)
"""


def test_on_a_terminal_the_task_at_work_is_redrawn_within_its_width(play: PlaybookRunner, tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "warns.py").write_text(WARNING_MODULE, encoding="utf-8")
    played = play(
        """
- name: A phase of many words
  hosts: one
  gather_facts: false
  tasks:
    - name: A task whose name is longer than the terminal is wide
      warns:
""",
        columns=40,
    )
    assert played.status == 0
    drawn = [text for text in played.output.split("\r\x1b[K") if "A task whose" in text]
    assert len(drawn) >= 2
    assert all(len(text.split("\r")[0]) == 39 for text in drawn)
    # A line that stays begins where the last drawn one was cleared.
    assert "\r\x1b[K\x1b[1;35m[WARNING]: mind the step" in played.output
    before, _, after = played.output.partition("✓ A phase")
    assert before.removesuffix("\x1b[0;32m").endswith(("\x1b[K", "\n"))
    assert "A task whose" not in after


def test_phases_that_cannot_be_recorded_are_a_warning(play: PlaybookRunner) -> None:
    played = play(CHANGE, LAB_PHASES_FILE="/nonexistent/phases.json")
    assert played.status == 0
    assert played.output.count("phases are not recorded") == 1


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"msg": "Task failed: Module failed: no such user"}, "no such user"),
        ({"msg": "non-zero return code", "rc": 3, "stderr": "first\nlast\n", "stdout": "out"}, "last (exit status 3)"),
        ({"msg": "non-zero return code", "rc": 1, "stderr": "", "stdout": ""}, "exit status 1"),
        ({"msg": "MODULE FAILURE", "module_stderr": "sh: 1: python3: not found\n", "rc": 127},
         "sh: 1: python3: not found (exit status 127)"),
        ({"msg": "Container a exited with code 125", "stdout": "", "stderr": "first\nError: a is in use\n"},
         "Container a exited with code 125: Error: a is in use"),
        ({"msg": "apt failed: E: locked", "stderr": "E: locked\n"}, "apt failed: E: locked"),
        ({}, "no reason given"),
        ({"msg": "Traceback (most recent call last):\n  File x\nValueError: bad"}, "ValueError: bad"),
        (
            {"msg": "One or more items failed", "results": [
                {"item": "a", "msg": "fine"},
                {"item": {"name": "b"}, "_ansible_item_label": "b", "failed": True, "msg": "broken"},
                {"item": "c", "failed": True, "msg": "broken, too"},
            ]},
            "item b: broken (and 1 more)",
        ),
    ],
)  # fmt: skip
def test_reason(found: dict[str, Any], said: str) -> None:
    assert lab_progress.reason(found) == said


def test_reason_goes_down_to_the_root_cause() -> None:
    bottom = SimpleNamespace(msg="[Errno 2] No such file", chain=None)
    summary = SimpleNamespace(event=SimpleNamespace(msg="Task failed", chain=SimpleNamespace(event=bottom)))
    assert lab_progress.reason({"msg": "Error executing command."}, summary) == (
        "Error executing command. [Errno 2] No such file"
    )
    assert lab_progress.reason({"msg": "broken: [Errno 2] No such file"}, summary) == "broken: [Errno 2] No such file"


def test_durations_are_told_as_people_tell_them() -> None:
    assert lab_progress.duration(59.94) == "59.9 s"
    assert lab_progress.duration(125.7) == "2 min 05 s"


@pytest.mark.parametrize(
    ("delegate", "variables", "label"),
    [
        (None, {}, "one"),
        ("two", {}, "one -> two"),
        ("{{ item }}", {"ansible_delegated_host": "two", "ansible_host": "192.0.2.2"}, "one -> two"),
        ("{{ item }}", {}, "one"),
    ],
)
def test_no_template_is_shown_as_the_host_that_a_task_is_delegated_to(
    delegate: str | None, variables: dict[str, str], label: str
) -> None:
    result = SimpleNamespace(
        host=SimpleNamespace(get_name=lambda: "one"),
        task=SimpleNamespace(delegate_to=delegate),
        result={"_ansible_delegated_vars": variables} if variables else {},
    )
    assert lab_progress.CallbackModule.host_label(result) == label
