# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the ports are ports, and no two servers of a host want the same."""

from __future__ import annotations

from .base import Given, whole

# Listens on every member's host.
AGENT_PORT = "fault_agent_port"
# Where Ansible reaches a host, unless the inventory says otherwise.
SSH_PORT = 22
HIGHEST = 65535


def ports(given: Given) -> list[str]:
    """Return what is wrong with the ports."""
    lines = []
    for name, value in given.values.items():
        number = whole(value)
        if name.endswith("_port") and not (number and 1 <= number <= HIGHEST and number != SSH_PORT):
            lines.append(
                f"{name} is {value}: it must be a port from 1 to {HIGHEST} other than ssh's. "
                f"Try -e {name}={given.defaults.get(name)}."
            )
    if lines:
        return lines
    told: set[tuple[str, str]] = set()
    for system, row in (given.values.get("lab_systems") or {}).items():
        names = (*row["ports"], AGENT_PORT)
        taken: dict[int, str] = {}
        for name in names:
            number = _port(given, name)
            if number is None:
                continue
            # Systems of one kind have the same ports.
            if number in taken and (taken[number], name) not in told:
                told.add((taken[number], name))
                lines.append(
                    f"{taken[number]} and {name} are both {number}, and a host of {system} listens on both. "
                    f"Try {_instead(given, taken[number], name, names)}."
                )
            taken.setdefault(number, name)
    return lines


def _port(given: Given, name: str) -> int | None:
    return whole(given.values.get(name, given.defaults.get(name)))


def _instead(given: Given, one: str, other: str, names: tuple[str, ...]) -> str:
    """Return the option that puts two equal ports right: the one that was changed gets its default, if that is free."""
    changed = next((name for name in (one, other) if _port(given, name) != given.defaults.get(name)), other)
    used = {_port(given, name) for name in names}
    free = next(number for number in (given.defaults.get(changed), *range(17470, 17480)) if number not in used)
    return f"-e {changed}={free}"
