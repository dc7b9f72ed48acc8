# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the options mean that scripts/lab passes on to ansible-playbook, by Ansible's own parser.

So an abbreviated option, one that is glued to its value, letters that stand together and options that repeat are read
as ansible-playbook will read them.
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import yaml

# Options, by the name that Ansible's parser has for them: those that tell something and run nothing,
LISTING = ("syntax", "listhosts", "listtags", "listtasks")
# and those that choose a part of the work or another kind of it. All others say which lab is meant and how it is
# reached.
PART = (
    *("tags", "skip_tags", "subset", "start_at_task", "check", "diff", "step", "verbosity"),
    *("force_handlers", "flush_cache", *LISTING),
)
EXTRA_VARS = "extra_vars"


class Option(NamedTuple):
    """One option as it was given."""

    name: str  # of Ansible's parser
    spelling: str  # in full
    value: str | None  # None for one that takes none

    @property
    def words(self) -> list[str]:
        """Return the option as arguments of ansible-playbook."""
        if self.value is None:
            return [self.spelling]
        if self.spelling.startswith("--"):
            return [f"{self.spelling}={self.value}"]
        # A value like an option would be taken for one if it stood by itself.
        return [self.spelling + self.value] if self.value.startswith("-") else [self.spelling, self.value]


class _RefusedError(Exception):
    """Ansible's parser refuses the options."""


def read_options(words: list[str]) -> list[Option] | None:
    """Return ansible-playbook's options in their order; None where it will refuse them, as it says best why."""
    if not words:
        return []
    # Here, as it takes a second: only who gives options waits for it.
    from ansible.cli.playbook import PlaybookCLI

    cli = PlaybookCLI(["ansible-playbook"])
    cli.init_parser()
    found: list[Option] = []
    for action in cli.parser._actions:
        # Values stay as they were given, and --help is for ansible-playbook to answer.
        action.type = action.choices = None
        action.__class__ = _noting(type(action), found)
    cli.parser.error = _refuse
    try:
        cli.parser.parse_args(["playbook.yml", *words])
    except _RefusedError:
        return None
    return found


def _noting(kind: type[argparse.Action], found: list[Option]) -> type[argparse.Action]:
    """Return an action of argparse's that notes what it is called with, and does nothing else."""

    class Noting(kind):  # type: ignore[misc, valid-type]
        def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
            if option_string is not None:
                found.append(Option(self.dest, option_string, None if self.nargs == 0 else str(values)))

    return Noting


def _refuse(message: str) -> None:
    raise _RefusedError(message)


def words_of(options: list[Option]) -> list[str]:
    """Return options as arguments of ansible-playbook."""
    return [word for option in options for word in option.words]


def naming_the_lab(options: list[Option]) -> list[Option]:
    """Return the options without those that choose a part of the work."""
    return [option for option in options if option.name not in PART]


def without_resume(options: list[Option]) -> list[Option]:
    """Return the options without the one that names a run to go on with."""
    return [option for option in options if option.name != EXTRA_VARS or names_of(option.value or "") != ["resume"]]


def list_only(options: list[Option]) -> bool:
    """Tell whether ansible-playbook is asked to tell something, and not to run."""
    return any(option.name in LISTING for option in options)


def variables_given(options: list[Option]) -> list[str]:
    """Return the names of the variables that -e gives, but for those in files and in what Ansible will refuse."""
    return [name for option in options if option.name == EXTRA_VARS for name in names_of(option.value or "")]


def names_of(given: str) -> list[str]:
    """Return the names of the variables in the value of one -e."""
    from ansible.errors import AnsibleError
    from ansible.parsing.splitter import parse_kv

    try:
        if given.startswith(("{", "[")):
            return [str(name) for name in yaml.safe_load(given)]
        # Text without "=" is none of a variable; Ansible keeps it apart.
        return [] if given.startswith("@") else [name for name in parse_kv(given) if name != "_raw_params"]
    except (AnsibleError, TypeError, yaml.YAMLError):
        return []
