# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the checks of settings are given."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..plan.catalog import names_given
from ..systems.registry import SYSTEMS

# Groups of members, one a system; each experiment's system has the group of its name.
CLIENT_GROUP = "load_generators"
ALL_GROUP = "lab_hosts"
EXAMPLE = "inventory/ssh/hosts.yml.example"


@dataclass(frozen=True)
class Given:
    """A lab's variables and inventory, as Ansible resolves them on the controller."""

    values: Mapping[str, Any]  # public variables by name, with their defaults; of other roles, those that were given
    defaults: Mapping[str, Any]  # by name, as the roles' argument specs tell them
    groups: Mapping[str, Sequence[str]]  # hosts by inventory group
    addresses: Mapping[str, Any] = field(default_factory=dict)  # by host: lab_address, else ansible_host, else its name
    unresolved: Mapping[str, str] = field(default_factory=dict)  # why a variable or a host's address is not told
    # Of localhost: how Ansible connects to it, and the Python that its modules get there (None where it would look).
    connection: str = "local"
    interpreter: str | None = None
    interpreter_problem: str | None = None  # why that Python cannot run the lab's modules
    alone: bool = False  # the role of a system is applied by itself: the inventory is no lab's

    def hosts(self, *names: str) -> list[str]:
        """Return the hosts of groups, each once."""
        return list(dict.fromkeys(host for name in names for host in self.groups.get(name, ())))

    @property
    def experiments(self) -> list[str]:
        """The experiments' names, also where they were given as text with commas."""
        return names_given(self.values.get("experiments"))

    @property
    def active_systems(self) -> list[str]:
        """The systems of these experiments that the inventory has a group for."""
        catalog = self.values.get("experiment_catalog")
        definitions = [catalog.get(name) for name in self.experiments] if isinstance(catalog, Mapping) else []
        wanted = [definition.get("system") for definition in definitions if isinstance(definition, Mapping)]
        return [system for system in SYSTEMS if system in wanted and system in self.groups]

    def pairs(self) -> Iterator[tuple[str, str, str]]:
        """Yield the hosts that take part by twos, those of a repeated address, with it."""
        first: dict[str, str] = {}
        for host in self.hosts(*self.active_systems, CLIENT_GROUP):
            if host not in self.addresses:
                continue
            address = str(self.addresses[host])
            if address in first:
                yield first[address], host, address
            first.setdefault(address, host)


def whole(value: Any) -> int | None:
    """Return the whole number that a value is, also as text; None where it is none."""
    if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]+", str(value)):
        return None
    return int(value)
