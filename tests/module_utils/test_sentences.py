# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from failover.sentences import at_least, did_you_mean, listing, plural


@pytest.mark.parametrize(
    ("words", "sentence"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_words_are_joined_as_a_sentence_does(words: list[str], sentence: str) -> None:
    assert listing(words) == sentence


def test_what_is_most_like_a_name_is_asked_for() -> None:
    assert did_you_mean(["Kil", "pauze", "kils"], ["kill", "pause"]) == " Did you mean kill and pause?"
    assert did_you_mean(["quux"], ["kill"]) == ""


@pytest.mark.parametrize(("number", "text"), [(0, "0 checks"), (1, "1 check"), (2, "2 checks"), (2000, "2,000 checks")])
def test_one_thing_has_the_singular(number: int, text: str) -> None:
    assert plural(number, "check") == text


def test_a_gap_that_did_not_end_was_at_least_as_long() -> None:
    assert at_least({"ended": False}) == "at least "
    assert at_least({"ended": True}) == ""
