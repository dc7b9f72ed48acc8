# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks the lab's variables and its inventory. Documented in library/settings_check.py.

An action, not a module: the inventory and its variables are here, and where localhost's Python does not work no module
could say so.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "module_utils"))

from failover.settings import Given, wrong_settings
from failover.settings.base import ALL_GROUP, CLIENT_GROUP
from failover.settings.controller import look, wrong_controller
from failover.systems.registry import SYSTEMS

# How secrets end: they are generated where they are asked for, and there may be no lab yet.
SECRET_ENDINGS = ("_password", "_key", "_salt")
# Only these are asked of the variables that no argument spec has.
OTHERS = ("lab_subnet", "lab_systems")
# What a module that runs on localhost imports beyond the standard library, and the oldest Python of the core.
PROBE = """
import importlib.util, sys
missing = [name for name in ("msgspec", "pyarrow") if importlib.util.find_spec(name) is None]
version = "{}.{}".format(*sys.version_info)
print("it is Python " + version + ", and 3.11 is needed" if sys.version_info < (3, 11)
      else "it lacks the Python package " + ", ".join(missing) if missing else "")
"""
PROBE_TIMEOUT_S = 30
# Ansible's wrapping around what a filter says.
FILTER = re.compile("^The filter plugin '[^']*' failed: ")
# Values of ansible_python_interpreter with which Ansible looks for one by itself.
DISCOVERY = ("auto", "auto_silent", "auto_legacy", "auto_legacy_silent")


class ActionModule(ActionBase):  # type: ignore[misc]
    """See DOCUMENTATION of library/settings_check.py."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail with everything that is wrong, in one line."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        _, args = self.validate_argument_spec(
            argument_spec={
                "folders": {"type": "list", "elements": "str", "default": []},
                "alone": {"type": "bool", "default": False},
            }
        )
        given = self._given(variables, args["alone"])
        wrong = wrong_settings(given)
        if not wrong and args["folders"]:
            wrong = wrong_controller(given, look([(name, str(given.values[name])) for name in args["folders"]]))
        facts = {} if wrong else {"settings_checked": True}
        return {**result, "changed": False, "failed": bool(wrong), "msg": " ".join(wrong), "ansible_facts": facts}

    def _given(self, variables: dict[str, Any], alone: bool) -> Given:
        """Return what the core's checks are about, as far as it can be resolved."""
        defaults = defaults_of_roles()
        values: dict[str, Any] = {}
        unresolved: dict[str, str] = {}
        for name in (*defaults, *OTHERS):
            if name in variables and not name.endswith(SECRET_ENDINGS) and name != "lab_address":
                try:
                    values[name] = self._templar.resolve_variable_expression(name)
                except AnsibleError as error:
                    unresolved[name] = why(error)
        groups = {name: list(hosts) for name, hosts in variables.get("groups", {}).items()}
        addresses: dict[str, Any] = {}
        hosts = {host for name in (*SYSTEMS, CLIENT_GROUP) for host in groups.get(name, ())}
        for host in sorted(hosts if alone else hosts & set(groups.get(ALL_GROUP, ()))):
            try:
                addresses[host] = address_of(host, variables["hostvars"][host])
            except AnsibleError as error:
                unresolved[f"the address of {host}"] = why(error)
        localhost = variables["hostvars"]["localhost"]
        try:
            connection = str(localhost.get("ansible_connection", "ssh")).removeprefix("ansible.builtin.")
            interpreter = localhost.get("ansible_python_interpreter")
        except AnsibleError as error:
            connection, interpreter, unresolved["a variable of localhost"] = "local", None, why(error)
        if interpreter in DISCOVERY:
            interpreter = None
        return Given(
            values,
            defaults,
            groups,
            addresses,
            unresolved,
            connection,
            interpreter,
            problem_of(str(interpreter)) if interpreter is not None and connection == "local" else None,
            alone,
        )


def defaults_of_roles() -> dict[str, Any]:
    """Return the public variables of all roles with their defaults, as the argument specs tell them."""
    found: dict[str, Any] = {}
    for path in sorted(PROJECT.glob("roles/*/meta/argument_specs.yml")):
        for entry_point in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            found |= {name: option.get("default") for name, option in entry_point.get("options", {}).items()}
    return found


def address_of(host: str, variables: Any) -> Any:
    """Return the address of a host, as lab_addresses of the role settings does."""
    for name in ("lab_address", "ansible_host"):
        if name in variables:
            return variables[name]
    return host


def problem_of(interpreter: str) -> str | None:
    """Return why a Python cannot run the lab's modules; None where it can."""
    try:
        done = subprocess.run(
            [*shlex.split(interpreter), "-c", PROBE],
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return (getattr(error, "strerror", None) or "it does not answer").lower()
    said = (done.stdout if done.returncode == 0 else done.stderr or f"exit status {done.returncode}").strip()
    return said.splitlines()[-1].rstrip(".") if said else None


def why(error: AnsibleError) -> str:
    """Return the reason at the bottom of an error of Ansible's, without its wrapping."""
    while isinstance(error.__cause__, AnsibleError):
        error = error.__cause__
    text = " ".join(str(error.message if hasattr(error, "message") else error).split())
    if said := FILTER.match(text):
        return text[said.end() :].rstrip(".")
    return text.rpartition("': ")[2].rstrip(".") or text
