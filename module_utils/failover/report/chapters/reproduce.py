# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands that repeat the run and recompute its report, and the files that it was made from."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from ...results.files import HISTORY_FILE
from ...results.read import Run
from ...shapes import OWN_SETTINGS, RunSettings
from .. import system_facts
from ..commands import command, experiments_option, limits_option
from .base import Chapter, Told

# The folder into which the commands to reproduce clone the lab.
CLONE = "failover-lab"


class Reproduce(Chapter):
    """Commands, files and digests."""

    anchor = "reproduce"
    title = "How to reproduce"

    def compute(self, told: Told) -> dict[str, Any]:
        """Return the files as they were judged, and the commands."""
        return {"judged": told.judged, "reproduce": commands(told.run)}


def commands(run: Run) -> dict[str, Any]:
    """Give the commands that repeat the run with its seed, and those that recompute the report."""
    info = run.info
    options = [f"-e iterations={info['iterations']}", f"-e seed={info['seed']}"]
    simulate = f"./scripts/simulate --iterations {info['iterations']} --seed {info['seed']}"
    if run.stream:
        options.append(f"-e '{json.dumps({'workload': run.stream})}'")
        simulate += f" --workload '{json.dumps(run.stream)}'"
    if info["clients"] != 1:
        options.append(f"-e clients={info['clients']}")
    if info["rate"]:
        options.append(f"-e rate={info['rate']:g}")
    # Runs of versions without a choice do not have them.
    usual = RunSettings(0, 0).only(OWN_SETTINGS)
    options += [f"-e {name}={info[name]}" for name in OWN_SETTINGS if info.get(name, usual[name]) != usual[name]]
    # Those of versions without a choice had no TLS, and are repeated with their version.
    if info.get("tls") is False:
        options.append("-e tls=false")
    repeats = info["repeats"]
    if len(set(repeats.values())) > 1:
        options.append(f"-e '{json.dumps({'repeats': repeats})}'")
    elif set(repeats.values()) != {1}:
        options.append(f"-e repeats={next(iter(repeats.values()))}")
    if not all(map(system_facts.is_replicated, repeats)):
        options.append(f"-e sole_server_heal={info['sole_server_heal']}")
    # Those that it was judged with, which need not be the run's own.
    if limits := (run.verdict or {}).get("limits"):
        options.append(limits_option(limits))
    folder = f"results/{info['run_id']}"
    options.append(experiments_option(info["experiments"]))
    return {
        "checkout": info.get("checkout"),
        "clone": _clone(info.get("checkout")),
        "run": command("./scripts/lab run", *options),
        "stream": simulate,
        "report": command("./scripts/report", folder),
        "histories": [
            command("./scripts/check_history", f"{folder}/{name}/{HISTORY_FILE}") for name in info["experiments"]
        ],
    }


def _clone(checkout: Mapping[str, Any] | None) -> str | None:
    """Give the commands that fetch the lab as it was; None where its commit was not recorded.

    :param checkout: as run.json has it; folders of earlier versions have none
    """
    if checkout is None:
        return None
    wanted = f"git checkout {checkout['commit']}"
    if checkout["origin"] is None:
        return wanted
    return "\n".join((command("git clone", shlex.quote(checkout["origin"]), CLONE), f"cd {CLONE}", wanted))
