# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import pytest
from failover.agent.asked import RequestError, mappings, text, texts


def test_what_is_asked_for_is_returned() -> None:
    asked: dict[str, Any] = {"token": "t1", "faults": ["F1", "F2"], "steps": [{"do": "wait", "ms": 5}]}
    assert text(asked, "token") == "t1"
    assert texts(asked, "faults") == ["F1", "F2"]
    assert texts(asked, "tokens") is None
    assert mappings(asked, "steps", "do") == asked["steps"]


@pytest.mark.parametrize("value", [None, "", 5, ["t1"]])
def test_what_is_no_text_is_named(value: Any) -> None:
    with pytest.raises(RequestError, match=r"^token must be a non-empty string$"):
        text({"token": value}, "token")


@pytest.mark.parametrize("value", ["F1", ["F1", 2], {"F1": 1}])
def test_what_is_no_list_of_texts_is_named(value: Any) -> None:
    with pytest.raises(RequestError, match=r"^faults must be a list of strings$"):
        texts({"faults": value}, "faults")


@pytest.mark.parametrize("value", [None, {}, ["wait"], [{"ms": 5}]])
def test_what_is_no_list_of_mappings_is_named(value: Any) -> None:
    with pytest.raises(RequestError, match=r"^steps must be a list of mappings with do$"):
        mappings({"steps": value}, "steps", "do")
