# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a chapter of the page is: a file of this folder, a template of the same name, and a row in ``registry``."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...results.read import Run
from ..examined import Examined


@dataclass(frozen=True)
class Told:
    """What is told of a run before its chapters compute their parts."""

    run: Run
    judged: Mapping[str, Any]  # see provenance
    experiments: Sequence[dict[str, Any]]  # as report.json has them
    cards: Sequence[dict[str, Any]]  # the findings of all experiments


class Chapter(ABC):
    """One chapter. What it does not say of itself is as it stands here.

    report.json has the keys that its chapters compute; a key belongs to one chapter, and any template may show it.
    """

    anchor: str  # of its section; its template is called so, too
    title: str  # its heading, in the table of contents as well
    optional: bool = False  # some reports lack it: see ``stands``

    @property
    def template(self) -> str:
        """Return the name of its template."""
        return f"{self.anchor}.html.j2"

    def of_experiment(self, examined: Examined) -> dict[str, Any]:
        """Compute its part of what report.json says of one experiment."""
        return {}

    def draw_experiment(self, examined: Examined) -> dict[str, str]:
        """Draw of one experiment what needs more than report.json has; SVG by name."""
        return {}

    def compute(self, told: Told) -> dict[str, Any]:
        """Compute its part of what report.json says of the run."""
        return {}

    def draw(self, content: Mapping[str, Any]) -> dict[str, str]:
        """Draw its other figures of what all chapters computed; SVG by name, which is unique in the page."""
        return {}

    def stands(self, content: Mapping[str, Any]) -> bool:
        """Tell whether this report has it."""
        return True
