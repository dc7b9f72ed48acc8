# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from failover.checks import model
from failover.checks.model import Answers, classify, expected_state
from failover.workloads.base import Operation
from hypothesis import given, settings
from hypothesis import strategies as st
from packing import outcomes_of, packed

A, B = "1.1.1.1", "2.2.2.2"


def answers(*rows: Any) -> Answers:
    """Each row is an outcome, or (outcome, read, affected, attempts)."""
    full = [(row, None, None, 1) if isinstance(row, str) or row is None else row for row in rows]
    outcomes, *others = (list(column) for column in zip(*full, strict=True))
    return Answers(outcomes_of(outcomes), *others)


def expect(operations: Sequence[Operation], *rows: Any) -> model.ExpectedState:
    return expected_state(packed(operations), answers(*rows))


def ok(*, read: str | None = None, affected: int | None = None, attempts: int = 1) -> tuple[Any, ...]:
    return ("ok", read, affected, attempts)


CREATE, READ, DELETE = ("CREATE", "k", A), ("RETRIEVE", "k"), ("DELETE", "k")
CREATE_AGAIN = ("CREATE", "k", B)


def test_without_unknown_writes_there_is_one_right_state() -> None:
    expected = expect([CREATE, READ, ("CREATE", "other", B), DELETE], "ok", ok(read=A), "ok", ok(affected=1))
    assert expected.certain == {"other": B}
    assert expected.allowed("k") == {None}
    assert expected.allowed("other") == {B}
    assert expected.key_count() == (1, 1)
    assert not expected.doubtful
    assert not expected.contradictions


def test_a_failed_write_did_not_happen() -> None:
    assert expect([CREATE], "fail").allowed("k") == {None}
    assert expect([CREATE, DELETE], "ok", "fail").allowed("k") == {A}


@pytest.mark.parametrize("outcome", ["unknown", None])
def test_an_unknown_create_may_have_happened_or_not(outcome: str | None) -> None:
    expected = expect([CREATE], outcome)
    assert expected.allowed("k") == {None, A}
    assert expected.key_count() == (0, 1)
    assert expected.resolve("k", 0, {A}) == model.APPLIED
    assert expected.resolve("k", 0, {None}) == model.NOT_APPLIED
    assert expected.resolve("k", 0, {None, A}) == model.UNDETERMINED


def test_a_read_settles_an_unknown_create() -> None:
    expected = expect([CREATE, READ], "unknown", ok(read=A))
    assert expected.allowed("k") == {A}
    assert expected.resolve("k", 0, set()) == model.APPLIED


def test_an_unknown_write_may_take_effect_late() -> None:
    # Not there yet when it was read, there in the end.
    expected = expect([CREATE, READ], "unknown", ok(read=None))
    assert expected.allowed("k") == {None, A}
    assert not expected.contradictions
    # Even a DELETE of a device that was created again since.
    expected = expect([CREATE, DELETE, CREATE_AGAIN, READ], "ok", "unknown", "ok", ok(read=B))
    assert expected.allowed("k") == {None, B}
    assert expected.resolve("k", 1, {None}) == model.APPLIED
    assert expected.resolve("k", 1, {B}) == model.UNDETERMINED


def test_a_removal_that_was_reported_settles_what_was_there() -> None:
    expected = expect([CREATE, DELETE], "unknown", ok(affected=1))
    assert expected.resolve("k", 0, {None}) == model.APPLIED
    expected = expect([CREATE, DELETE], "unknown", ok(affected=0))
    assert expected.resolve("k", 0, {None}) == model.NOT_APPLIED
    # Sent twice, the first one may have removed it.
    expected = expect([CREATE, DELETE], "unknown", ok(affected=None, attempts=2))
    assert expected.resolve("k", 0, {None}) == model.UNDETERMINED


@pytest.mark.parametrize(
    ("operations", "rows", "index", "wrong"),
    [
        ([CREATE, READ], ["ok", ok(read=None)], 1, model.LOST),
        ([CREATE, READ], ["ok", ok(read=B)], 1, model.WRONG_VALUE),
        ([CREATE, DELETE, READ], ["ok", "ok", ok(read=A)], 2, model.RESURRECTED),
        ([CREATE, READ], ["fail", ok(read=A)], 1, model.PHANTOM),
        ([CREATE, DELETE, CREATE_AGAIN, READ], ["ok", "ok", "ok", ok(read=A)], 3, model.STALE),
        ([CREATE, DELETE], ["ok", ok(affected=0)], 1, model.LOST),
        ([CREATE, DELETE, DELETE], ["ok", "ok", ok(affected=1)], 2, model.RESURRECTED),
        ([CREATE, DELETE], ["fail", ok(affected=1)], 1, model.PHANTOM),
        # The same for a key with an unknown write.
        ([CREATE, READ, DELETE], ["ok", ok(read=None), "unknown"], 1, model.LOST),
        ([CREATE, READ], ["unknown", ok(read=B)], 1, model.WRONG_VALUE),
        ([CREATE, READ, READ], ["unknown", ok(read=A), ok(read=None)], 2, model.LOST),
    ],
)
def test_answers_that_nothing_explains(operations: list[Operation], rows: list[Any], index: int, wrong: str) -> None:
    contradictions = expect(operations, *rows).contradictions
    assert [(found.index, found.wrong) for found in contradictions] == [(index, wrong)]


def test_one_lie_does_not_taint_what_follows() -> None:
    expected = expect([CREATE, READ, READ, DELETE], "ok", ok(read=None), ok(read=A), ok(affected=1))
    assert [found.index for found in expected.contradictions] == [1]


def test_a_retried_delete_that_found_nothing_is_no_contradiction() -> None:
    assert not expect([CREATE, DELETE], "ok", ok(affected=None, attempts=2)).contradictions
    # A number is only given where no earlier attempt can have removed it: then it counts, however often it was sent.
    (found,) = expect([CREATE, DELETE], "ok", ok(affected=0, attempts=2)).contradictions
    assert found.wrong == model.LOST


def test_a_write_that_was_sent_again_may_take_effect_once_more_where_that_is_allowed() -> None:
    operations = [CREATE, DELETE, READ]
    rows = answers(ok(attempts=2), ok(affected=1), ok(read=A))
    assert [found.wrong for found in expected_state(packed(operations), rows).contradictions] == [model.RESURRECTED]
    lenient = expected_state(packed(operations), rows, {0})
    assert (lenient.contradictions, lenient.allowed("k")) == ([], {A})
    # It has had its effect: after the next DELETE the key is gone for good.
    rows = answers(ok(attempts=2), ok(affected=1), ok(read=A), ok(affected=1))
    assert expected_state(packed([*operations, DELETE]), rows, {0}).allowed("k") == {None}
    # A DELETE may come late, too.
    rows = answers("ok", ok(attempts=2), "ok", ok(read=None))
    assert not expected_state(packed([CREATE, DELETE, CREATE_AGAIN, READ]), rows, {1}).contradictions


def test_too_many_unknown_writes_leave_everything_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "MAX_BRANCHES", 50)
    operations = [("CREATE", "k", f"1.1.1.{n}") for n in range(12)]
    expected = expect(operations, *["unknown"] * 12)
    assert expected.allowed("k") == {None, *(operation[-1] for operation in operations)}
    assert expected.doubtful == {"k"}
    assert expected.resolve("k", 3, {"1.1.1.3"}) == model.UNDETERMINED
    assert expected.key_count() == (0, 1)


def test_classes() -> None:
    assert classify(None, {A}, [A]) == model.LOST
    assert classify(A, {None}, [A]) == model.RESURRECTED
    assert classify(A, {None}, []) == model.PHANTOM
    assert classify(A, {B}, [A, B]) == model.STALE
    assert classify("9.9.9.9", {A, None}, [A]) == model.WRONG_VALUE


# ---------------------------------------------------------------- against a store that tells the truth


@dataclass
class Store:
    """One key of a real store, with writes that are applied late."""

    value: str | None = None
    late: list[int] = field(default_factory=list)
    applied: set[int] = field(default_factory=set)


@settings(max_examples=400)
@given(st.data())
def test_what_a_correct_store_does_is_always_allowed(data: st.DataObject) -> None:
    operations: list[Operation] = []
    rows: list[Any] = []
    store = Store()

    def apply(index: int) -> int:
        there = store.value is not None
        store.value = operations[index][2] if operations[index][0] == "CREATE" else None  # type: ignore[misc]
        store.applied.add(index)
        return int(there)

    for index in range(data.draw(st.integers(1, 9))):
        while store.late and data.draw(st.booleans()):
            apply(store.late.pop(data.draw(st.integers(0, len(store.late) - 1))))
        kind = data.draw(st.sampled_from(["CREATE", "RETRIEVE", "DELETE"]))
        operations.append((kind, "k", f"1.1.1.{index}") if kind == "CREATE" else (kind, "k"))
        outcome = data.draw(st.sampled_from(["ok", "ok", "ok", "fail", "unknown", None]))
        if outcome == "ok" and kind == "RETRIEVE":
            rows.append(ok(read=store.value))
        elif outcome == "ok":
            changed = apply(index)
            rows.append(ok(affected=changed if kind == "DELETE" else None))
        else:
            rows.append(outcome)
            if outcome != "fail" and kind != "RETRIEVE":
                fate = data.draw(st.sampled_from(["now", "late", "never"]))
                if fate == "now":
                    apply(index)
                elif fate == "late":
                    store.late.append(index)

    expected = expect(operations, *rows)
    assert not expected.contradictions
    assert store.value in expected.allowed("k")
    least, most = expected.key_count()
    assert least <= (store.value is not None) <= most
    for index, operation in enumerate(operations):
        if operation[0] != "RETRIEVE" and answers(*rows).outcome[index] in ("unknown", None):
            word = expected.resolve("k", index, {store.value})
            truth = model.APPLIED if index in store.applied else model.NOT_APPLIED
            assert word in (truth, model.UNDETERMINED)
