# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from failover.sentences import did_you_mean, listing


@pytest.mark.parametrize(
    ("words", "sentence"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_words_are_joined_as_a_sentence_does(words: list[str], sentence: str) -> None:
    assert listing(words) == sentence


def test_what_is_most_like_a_name_is_asked_for() -> None:
    assert did_you_mean(["Kil", "pauze", "kils"], ["kill", "pause"]) == " Did you mean kill and pause?"
    assert did_you_mean(["quux"], ["kill"]) == ""
