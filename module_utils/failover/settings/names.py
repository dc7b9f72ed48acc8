# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether names, folders and times written as text are what they have to be."""

from __future__ import annotations

import json
import os
import re
from enum import StrEnum
from pathlib import Path

from ..results.files import PLAN_FILE
from ..shapes import Arrivals, ReadConsistency, RetryPolicy
from .base import Given


def names(given: Given) -> list[str]:
    """Return what is wrong with the lab's name, its times and its folders."""
    lines = []
    lab_name = given.values.get("lab_name")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", str(lab_name)):
        lines.append(
            f"lab_name is {json.dumps(lab_name, default=str)}: it names containers and folders, and may have letters, "
            "digits and hyphens only. Try -e lab_name=second."
        )
    heal = given.values.get("sole_server_heal", "30s")
    if not re.fullmatch(r"[0-9]+([.][0-9]+)?(ms|s)", str(heal)):
        lines.append(f"sole_server_heal is {heal}: it must be a time with its unit. Try -e sole_server_heal=30s.")
    for name, choices in _CHOICES.items():
        value = str(given.values.get(name, next(iter(choices))))
        if value not in list(choices):
            lines.append(
                f"{name} is {value}: it must be one of {', '.join(choices)}. Try -e {name}={next(iter(choices))}."
            )
    tls = given.values.get("tls", False)
    if str(tls).lower() not in ("true", "false", "yes", "no"):
        lines.append(f"tls is {tls}: it must be true or false. Try -e tls=true.")
    watch = given.values.get("watch", True)
    if str(watch).lower() not in ("true", "false"):
        lines.append(f"watch is {watch}: it must be true or false. Try -e watch=false.")
    return [*lines, *_results(given)]


_CHOICES: dict[str, type[StrEnum]] = {
    "retry_policy": RetryPolicy,
    "read_consistency": ReadConsistency,
    "arrivals": Arrivals,
}


def _results(given: Given) -> list[str]:
    lines = []
    results, resume = str(given.values.get("results_dir", "")), str(given.values.get("resume") or "")
    # Of os.path, as Path's own raise for a user who does not exist, a folder that may not be read, a name too long.
    folder = Path(os.path.expanduser(results))
    if resume and not (
        re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", resume) and os.path.exists(folder / resume / PLAN_FILE)
    ):
        lines.append(
            f"resume: {results}/{resume} cannot be resumed, as it has no {PLAN_FILE}. Give the name of a folder in "
            "results_dir, or leave resume out for a new run."
        )
    if not folder.is_absolute():
        lines.append(f"results_dir is {results}: it must be an absolute path. Try -e results_dir=$PWD/{results}.")
    return lines
