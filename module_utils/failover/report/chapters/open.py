# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What did not pass: the findings as cards, and the checks that no card tells of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...shapes import READ_KINDS
from ..figures import contradiction, finding
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
        drawn = {}
        for card in content["findings"]:
            explained = [key for key in card["keys"] if "contradiction" in key]
            for number, key in enumerate(explained, 1):
                name = f"{card['anchor']}-contradiction{number}"
                drawn[name] = _contradiction(key, card["faults"], name)
            if card["drawn"] and not explained:
                drawn[card["anchor"]] = finding.draw(card, card["anchor"])
        return drawn

    def stands(self, content: Mapping[str, Any]) -> bool:
        """Tell whether any check did not pass."""
        return bool(content["verdict"]["open"])


def _contradiction(key: Mapping[str, Any], faults: Sequence[Mapping[str, Any]], name: str) -> str:
    """Draw the few operations of a key that no order explains; what members held at the end counts as reads."""
    bars = [
        contradiction.Bar(
            told["letter"],
            told["label"] + (f", answered by {told['member']}" if "member" in told else ""),
            told["begin_ms"],
            told["end_ms"],
            told.get("kind") in (None, *READ_KINDS),
        )
        for told in key["contradiction"]["operations"]
    ]
    return contradiction.draw(bars, faults, name, key["key"], in_ms=True)
