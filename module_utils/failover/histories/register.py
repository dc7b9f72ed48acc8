# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The values of Jepsen's registers: one register, or one for each key; nil at first.

``jepsen.independent`` makes many registers of one: each value becomes ``[key value]``. jepsen-io/etcd's register keeps
``[version value]`` in the place of a value; the versions are passed over, as a register has none.
"""

from __future__ import annotations

from typing import Any

from ..checks.operations import Action
from .edn import Name, Tagged, told
from .pairing import NotAStepError, Step

ACTIONS = {f":{action.value}": action for action in (Action.READ, Action.WRITE, Action.CAS)}

# The one register of a history without keys.
ONE = "the register"


def step_of(line: int, process: int, stage: str, action: Action, value: Any) -> Step:
    """Return what a line says; :class:`NotAStepError` where its value is none of a register."""
    if isinstance(value, Tagged) and "tuple" in value.tag.lower():
        value = value.value
    if stage == "invoke" and action is not Action.CAS and _is_pair(value) and value[0] is None:
        raise NotAStepError(
            f"{told(value)} has a version and no key, and only jepsen.independent's [key value] is read"
        )
    key, value = _key_of(action, value)
    if stage in ("fail", "info"):
        # What stands there is the value of the call, or the error.
        return Step(line, str(process), stage, action, None, None)
    if action is Action.CAS:
        if not (isinstance(value, tuple) and len(value) == 2 and all(map(_is_plain, value))):
            raise NotAStepError(f"a :cas has to have [from to], not {told(value)}")
    elif not _is_plain(value):
        raise NotAStepError(f"{told(value)} is not the value of a register")
    return Step(line, str(process), stage, action, key, value)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, int | float | str | Name)


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2


def _key_of(action: Action, value: Any) -> tuple[str, Any]:
    """Split a value into the key and the register's own value."""
    key = ONE
    if _is_pair(value) and (action is not Action.CAS or _is_pair(value[1])):
        if action is not Action.CAS and not _is_plain(value[0]):
            return key, value
        key, value = told(value[0]), value[1]
    if _is_pair(value) and (action is not Action.CAS or _is_pair(value[1])):
        value = value[1]
    return key, value
