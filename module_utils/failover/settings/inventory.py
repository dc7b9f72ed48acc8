# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether an inventory is one of this lab's, and has the hosts that a lab needs."""

from __future__ import annotations

from ..systems.registry import SYSTEMS
from .base import ALL_GROUP, CLIENT_GROUP, EXAMPLE, Given


def labs_own(given: Given) -> list[str]:
    """Return why an inventory is not for this lab at all."""
    unset = [name for name in ("lab_name", "lab_state_dir") if name not in given.unresolved and unset_in(given, name)]
    missing = [name for name in (ALL_GROUP, CLIENT_GROUP) if name not in given.groups]
    lacks = ([f"no variable {' and no '.join(unset)}"] if unset else []) + (
        [f"no group {' and no '.join(missing)}"] if missing else []
    )
    if not unset and ALL_GROUP not in missing:
        return []
    return [
        f"This is not an inventory of this lab: it has {', '.join(lacks)}. Start from {EXAMPLE} for machines of your "
        "own (copy it to inventory/ssh/hosts.yml, then -i inventory/ssh), or leave -i out for containers."
    ]


def nameless(given: Given) -> list[str]:
    """Return that servers of nobody would be set up: their hosts keep a note of whose they are."""
    if "lab_name" in given.unresolved or not unset_in(given, "lab_name"):
        return []
    return [
        "lab_name is not set: each host keeps a note of whose its server is, and lets nobody else change it. "
        "Set it in the inventory or the playbook, or try -e lab_name=store."
    ]


def unset_in(given: Given, name: str) -> bool:
    """Tell whether a variable that only an inventory can set was left to the default, which is nothing."""
    # An empty lab_name that somebody asked for is a wrong name, and told as one.
    return given.values.get(name) is None


def groups(given: Given) -> list[str]:
    """Return what is wrong with the groups and with localhost."""
    return [*_localhost(given), *_clients(given), *_members(given), *_counts(given)]


def _localhost(given: Given) -> list[str]:
    advice = (
        "Set ansible_connection: local and ansible_python_interpreter: "
        f'"{{{{ ansible_playbook_python }}}}" on localhost in the inventory, as in {EXAMPLE}.'
    )
    if given.connection != "local":
        return [f"localhost is reached by {given.connection}, and has to be this machine. {advice}"]
    if given.interpreter is None:
        return [
            "localhost has no ansible_python_interpreter: its modules would run with the first Python that is found, "
            f"which lacks the lab's packages. {advice}"
        ]
    if given.interpreter_problem:
        return [
            f"ansible_python_interpreter of localhost is {given.interpreter}, which cannot run the lab's modules: "
            f"{given.interpreter_problem}. {advice}"
        ]
    return []


def _clients(given: Given) -> list[str]:
    if given.hosts(CLIENT_GROUP):
        return []
    return [
        f"The inventory's group {CLIENT_GROUP} {'is empty' if CLIENT_GROUP in given.groups else 'is missing'}: the "
        f"workload's clients run there. Add a host to it, below {ALL_GROUP}, as in {EXAMPLE}."
    ]


def _members(given: Given) -> list[str]:
    lines = []
    outside = [host for host in given.hosts(*SYSTEMS, CLIENT_GROUP) if host not in given.hosts(ALL_GROUP)]
    if outside:
        lines.append(
            f"{', '.join(outside)}: not in the inventory's group {ALL_GROUP}, which has to hold every host of the lab. "
            f"Make the systems' groups children of it, as in {EXAMPLE}."
        )
    for host in given.hosts(*given.active_systems):
        systems = [system for system in given.active_systems if host in given.groups[system]]
        if len(systems) > 1:
            lines.append(
                f"{host} is in the inventory's groups {' and '.join(systems)}: a host is a member of one system. "
                "Give each system hosts of its own, or run experiments of one of them."
            )
    return lines


def _counts(given: Given) -> list[str]:
    lines = []
    for system in SYSTEMS.values():
        count = len(given.hosts(system.name))
        if system.several and count and count % 2 == 0:
            lines.append(
                f"The inventory's group {system.name} has {count} members: an even number tolerates no more failures "
                f"than one member fewer. Use {system.member_counts} hosts in the group {system.name}."
            )
    return lines
