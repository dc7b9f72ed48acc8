# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What did not pass: the findings as cards, and the checks that no card tells of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..figures import finding
from .base import Chapter, Told


class Open(Chapter):
    """The checks that found the data wrong, or could not decide."""

    anchor = "open"
    title = "What did not pass"
    optional = True

    def compute(self, told: Told) -> dict[str, Any]:
        """Return the cards."""
        return {"findings": told.cards}

    def draw(self, content: Mapping[str, Any]) -> dict[str, str]:
        """Draw the keys of each card on a time line."""
        return {card["anchor"]: finding.draw(card, card["anchor"]) for card in content["findings"] if card["drawn"]}

    def stands(self, content: Mapping[str, Any]) -> bool:
        """Tell whether any check did not pass."""
        return bool(content["verdict"]["open"])
