# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cover: the verdict in one sentence, the numbers and what has to be known before they are compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...limits import limits_told
from ...results.judged import idle_limits
from ...results.read import Run
from ...workloads.registry import workload_of
from .. import system_facts
from ..caveats import caveats, emulated
from ..figures import outages
from ..verdict import verdict_told
from .base import Chapter, Told

MOST_COVER_VERSIONS = 12


class Cover(Chapter):
    """All of the run on one page; every number leads to its evidence."""

    anchor = "cover"
    title = "Cover"

    def compute(self, told: Told) -> dict[str, Any]:
        """Return the verdict, the caveats, and the settings and versions that matter most."""
        info = told.run.info
        return {
            "verdict": verdict_told(told.run, told.experiments, told.judged, told.cards),
            "cover_settings": cover_settings(info["settings"]),
            "cover_versions": cover_versions(info["versions"]),
            "caveats": caveats(info["controller"], told.experiments, told.run.left_out),
            **({"emulated": loud} if (loud := emulated(info["controller"])) else {}),
            **_workload(told.run),
            **_limits(told.run),
        }

    def draw(self, content: Mapping[str, Any]) -> dict[str, str]:
        """Draw the outages of all faults that struck."""
        struck = [row for row in content["outages"] if row["struck"]]
        return {"outages": outages.draw(struck, "outages")} if struck else {}


def _workload(run: Run) -> dict[str, Any]:
    """Return what the clients did, where that is not the usual: ``name``, ``says`` and the ``options`` given."""
    if not run.stream:
        return {}
    workload, options = workload_of(run.stream)
    return {"workload": {"name": workload.name, "says": workload.says, "options": options}}


def _limits(run: Run) -> dict[str, Any]:
    """Return the limits that the verdict was judged with, if any: as they were ``given``, and ``told`` one by one."""
    verdict = run.verdict or {}
    given = verdict.get("limits")
    if not given:
        return {}
    idle = idle_limits(given, verdict["checks"])
    told = [
        f"{words} (of nothing in this run)" if name in idle else words
        for name, words in zip(given, limits_told(given), strict=True)
    ]
    return {"limits": {"given": given, "told": told}}


def cover_settings(settings: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Pick the settings that decide durability and failover, by system."""
    return [
        {"system": system, "name": name, "value": value}
        for system, effective in settings.items()
        for name, value in effective.items()
        if system_facts.setting_name(name) in system_facts.COVER_SETTINGS
    ]


def cover_versions(versions: Mapping[str, Any]) -> dict[str, Any]:
    """Pick the versions that matter most; all of them where there are few."""
    if len(versions) <= MOST_COVER_VERSIONS:
        return dict(versions)
    return {name: version for name, version in versions.items() if name.lower() in system_facts.COVER_VERSIONS}
