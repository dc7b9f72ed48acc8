# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Variables of the roles, as Ansible resolves them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import filter_loader
from ansible.template import Templar, trust_as_template
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

ROOT = Path(__file__).resolve().parent.parent
ROLES = ("settings", "container_hosts", "machine_hosts")
filter_loader.add_directory(str(ROOT / "plugins" / "filter"))
LOADER = DataLoader()


@cache
def of_localhost(name: str) -> dict[str, Any]:
    """Return the variables that localhost has in an inventory of the lab's, with those of the roles."""
    inventory = InventoryManager(LOADER, [str(ROOT / "inventory" / name)])
    manager = VariableManager(LOADER, inventory)
    HostVars(inventory, manager, LOADER)  # makes itself known to the manager
    variables = dict(manager.get_vars(host=inventory.get_host("localhost")))
    # What an inventory sets stands above a default, and below a role's own variables.
    set_there = dict(variables)
    for role in ROLES:
        variables |= LOADER.load_from_file(str(ROOT / f"roles/{role}/defaults/main.yml"), trusted_as_template=True)
    variables |= set_there
    for role in ROLES:
        variables |= LOADER.load_from_file(str(ROOT / f"roles/{role}/vars/main.yml"), trusted_as_template=True)
    return variables


def value_of(name: str, *, inventory: str = "containers", **variables: Any) -> Any:
    """Return a variable of the roles, as Ansible resolves it for an inventory of the lab's own."""
    given = {"playbook_dir": str(ROOT / "playbooks"), "lab_name": "here", **variables}
    # As -e has them: there may be templates in them.
    trusted = LOADER.load(trust_as_template(json.dumps(given)))
    return Templar(LOADER, variables=of_localhost(inventory) | trusted).evaluate_expression(trust_as_template(name))
