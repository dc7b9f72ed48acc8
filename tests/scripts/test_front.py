# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the front door says of the options, without what it starts."""

from __future__ import annotations

import re

import pytest
from _front import warn_of_unknown_variables
from _options import read_options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-e", "iteration=2000"), ["iteration, did you mean iterations?"]),
        (("-eiteration=2000",), ["iteration, did you mean iterations?"]),
        (("--extra-vars=seed=7 repeat='3 '",), ["repeat, did you mean repeats?"]),
        (("-e", '{"iterations": 2000, "quux": {"seed": 7}}'), ["quux, all variables: roles/*/defaults/main.yml"]),
        (("-e", "iterations=2000 seed=7", "-e", "ansible_user=me", "-e", "@more.yml", "-v"), []),
        # As ansible-playbook takes them: abbreviated, glued to other letters, more than once.
        (
            ("--extra=iteration=1", "--extra-v", "sed=2"),
            ["iteration, did you mean iterations?", "sed, did you mean seed?"],
        ),
        (("-Kve", "iteration=1"), ["iteration, did you mean iterations?"]),
        (("-e", "iterations='2 000' seeds=7"), ["seeds, did you mean seed?"]),
        # What it refuses is its own to say.
        (("-e", "{broken", "-e"), []),
        (("-e", "iteration=1", "--no-such-option"), []),
        (("-e", "iteration=1", "--ssh"), []),
        # No argument spec has these: it would generate them.
        (("-e", "mysql_password=x mysql_group_password=y", "-e", "fault_agent_key=z", "-e", "lab_subnet=q"), []),
    ],
)
def test_a_variable_that_no_role_has_is_named(
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: list[str]
) -> None:
    warn_of_unknown_variables(read_options(list(options)) or [])
    assert re.findall(r"unknown variable (\w+): .*; (.+)", capsys.readouterr().err) == [
        tuple(line.split(", ", maxsplit=1)) for line in said
    ]
