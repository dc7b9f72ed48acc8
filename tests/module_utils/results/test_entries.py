# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from failover.results.entries import Entries, Entry, RepeatedKeyError
from hypothesis import given
from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
NUMBER = st.one_of(st.none(), st.integers(-(1 << 70), 1 << 70), st.just(1.5), st.booleans())


def entries_of(held: dict[str, Any]) -> Entries:
    entries = Entries()
    for key, entry in held.items():
        entries.add(key, *entry)
    entries.finish()
    return entries


@given(st.dictionaries(TEXT, st.tuples(st.one_of(TEXT, st.none(), st.integers()), NUMBER, NUMBER)))
def test_they_are_a_dict_of_what_a_file_has_whatever_that_is(held: dict[str, Any]) -> None:
    expected = {key: Entry(*entry) for key, entry in held.items()}
    entries = entries_of(held)
    assert (list(entries), list(entries.items()), list(entries.values())) == (
        list(expected), list(expected.items()), list(expected.values()),
    )  # fmt: skip
    assert entries == expected
    assert entries == entries_of(held)
    assert [entries[key] for key in held] == [entries.get(key) for key in held] == list(expected.values())
    assert "absent!" not in entries
    assert entries.get("absent!") is None
    with pytest.raises(KeyError):
        entries["absent!"]
    assert entries != {**expected, "absent!": Entry("", 1, 1)}


def test_equal_columns_are_kept_once_and_others_stay_what_they_are() -> None:
    one = entries_of({f"k{number}": (f"v{number}", 1, number) for number in range(3000)})
    same = entries_of({f"k{number}": (f"v{number}", 1, number) for number in range(3000)})
    other = entries_of({f"k{number}": (f"v{number}", 1, number + (number == 7)) for number in range(3000)})
    for held in (same, other):
        held.share(one)
    assert (one == same, one == other, other["k7"].mod_revision, one["k7"].mod_revision) == (True, False, 8, 7)
    assert same._revisions is one._revisions
    assert other._keys is one._keys


@pytest.mark.parametrize("between", [0, 1, 5000])
def test_a_key_that_is_there_twice_is_named(between: int) -> None:
    entries = Entries()
    with pytest.raises(RepeatedKeyError) as raised:  # noqa: PT012  (at the latest at the end; 2026-11)
        for key in ("a", "b", *(f"k{number}" for number in range(between)), "b", "a"):
            entries.add(key, "", None, None)
        entries.finish()
    assert (raised.value.number, raised.value.key) == (between + 2, "b")


def test_a_key_takes_little() -> None:
    tracemalloc.start()
    try:
        held = entries_of({})
        for number in range(50_000):
            held.add(f"device{number} phone", "192.168.100.100", 1, number)
        held.finish()
        assert tracemalloc.get_traced_memory()[1] < 50_000 * 100
    finally:
        tracemalloc.stop()
