# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the numbers are numbers, and within their bounds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from ..systems.registry import SYSTEMS
from .base import Given, whole

MOST_CLIENTS = 1000
OWN_RULE = ("iterations", "seed", "clients", "client_processes", "rate", "repeats")
# Variables whose name ends so are durations or sizes: below 1 (below 0 where the default is 0) they mean nothing.
UNITS = ("_ms", "_s", "_seconds", "_mb")


def numbers(given: Given) -> list[str]:
    """Return what is wrong with the numbers."""
    return [*_workload(given), *_repeats(given), *_measures(given), *_budget(given)]


def _workload(given: Given) -> list[str]:
    lines = []
    for name, least, most, instead in (
        ("iterations", 1, None, 2000),
        ("seed", 0, None, 123),
        ("clients", 1, MOST_CLIENTS, 1),
        ("client_processes", 0, MOST_CLIENTS, 0),
    ):
        value = given.values.get(name, given.defaults.get(name, instead))
        number = whole(value)
        if number is None or number < least or (most is not None and number > most):
            bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
            lines.append(f"{name} is {value}: it must be a whole number {bounds}. Try -e {name}={instead}.")
    rate = given.values.get("rate", 0)
    if not re.fullmatch(r"[0-9]+([.][0-9]+)?", str(rate)):
        lines.append(f"rate is {rate}: it must be 0 (no limit) or operations per second. Try -e rate=500.")
    return lines


def _repeats(given: Given) -> list[str]:
    repeats = given.values.get("repeats", 1)
    unknown = [name for name in repeats if name not in SYSTEMS] if isinstance(repeats, Mapping) else []
    counts = list(repeats.values()) if isinstance(repeats, Mapping) else [repeats]
    if not unknown and all((whole(count) or 0) >= 1 for count in counts):
        return []
    example = json.dumps({"repeats": dict.fromkeys(SYSTEMS, 10)})
    return [
        f"repeats is {json.dumps(repeats, default=str)}: it must be a whole number of at least 1, or one for each "
        f"system. Try -e repeats=10, or -e '{example}'."
    ]


def _measures(given: Given) -> list[str]:
    """Return which durations and sizes are none, of all roles."""
    lines = []
    for name, default in given.defaults.items():
        if name not in given.values or not isinstance(default, int) or isinstance(default, bool):
            continue
        if name in OWN_RULE or name.endswith("_port"):
            continue
        value, number = given.values[name], whole(given.values[name])
        least = min(default, 1) if name.endswith(UNITS) else None
        if number is None:
            lines.append(f"{name} is {value}: it must be a whole number. Try -e {name}={default}.")
        elif least is not None and number < least:
            lines.append(f"{name} is {value}: it must be at least {least}. Try -e {name}={default}.")
    return lines


def _budget(given: Given) -> list[str]:
    lines = []
    budget = whole(given.values.get("client_operation_budget_ms"))
    for name in ("client_attempt_timeout_ms", "client_connect_timeout_ms"):
        timeout = whole(given.values.get(name))
        if budget is not None and timeout is not None and timeout > budget > 0:
            lines.append(
                f"{name} is {timeout}, more than one operation may take in all (client_operation_budget_ms, {budget}). "
                f"Try -e client_operation_budget_ms={timeout * 20}."
            )
    return lines
