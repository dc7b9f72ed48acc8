# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options that several modules share, as an argument spec has them; documented in plugins/doc_fragments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from .shapes import RunSettings, Target
from .systems.registry import SYSTEMS

# Fields of other types, a number or one by system, are read by RunSettings itself.
_TYPES = ("int", "float", "str", "bool")


def settings_option() -> dict[str, Any]:
    """Return the option ``settings``: a run's settings."""
    suboptions = {}
    for entry in fields(RunSettings):
        given = {"required": True} if entry.default is MISSING else {"default": entry.default}
        if entry.default_factory is not MISSING:
            given = {"default": entry.default_factory()}
        suboptions[entry.name] = {"type": entry.type if entry.type in _TYPES else "raw", **given}
    return {"settings": {"type": "dict", "required": True, "options": suboptions}}


def target_options() -> dict[str, Any]:
    """Return the options ``target`` and its passwords: a system and how it is reached."""
    suboptions = {
        "system": {"type": "str", "choices": list(SYSTEMS), "required": True},
        "members": {"type": "dict", "required": True},
        "endpoints": {"type": "list", "elements": "str", "default": []},
        "agents": {"type": "dict", "default": {}},
        "client": {"type": "dict", "default": {}},
        "user": {"type": "str"},
        "database": {"type": "str"},
        "ca": {"type": "str", "default": ""},
    }
    return {
        "target": {
            "type": "dict",
            "required": True,
            "options": suboptions,
        },
        "password": {"type": "str", "no_log": True},
        "root_password": {"type": "str", "no_log": True},
    }


def read_settings(params: Mapping[str, Any]) -> RunSettings:
    """Return the settings of a module's parameters."""
    return RunSettings.from_dict(params["settings"])


def read_target(params: Mapping[str, Any]) -> Target:
    """Return the target of a module's parameters."""
    return Target(**params["target"], password=params["password"], root_password=params["root_password"])
