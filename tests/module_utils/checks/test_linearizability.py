# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from failover.checks.linearizability import check, check_key
from failover.checks.operations import Action, Answer, Call, History
from failover.histories import load
from failover.results.history import HistoryWriter
from failover.results.parquet import jsonl_to_parquet
from failover.selftest.orders import MIXES, MOST_CALLS, explained
from failover.shapes import HistoryRow, LabError
from hypothesis import given, settings
from hypothesis import strategies as st
from planted.parts import NO_SPACE
from planted.run import make_run

CORPUS = Path(__file__).resolve().parents[2] / "fixtures" / "corpus"
EXPECTED = json.loads((CORPUS / "expected.json").read_text())
READ, WRITE, CAS, APPEND, REMOVE = Action.READ, Action.WRITE, Action.CAS, Action.APPEND, Action.REMOVE


def call(action: Action, value: Any, begin: int, end: int | None) -> Call:
    """A call; ``value`` is what a READ returns and what any other operation is given."""
    is_read = action is READ
    return Call(
        action, None if is_read else value, value if is_read else None, begin, end, f"{action.value} at {begin}"
    )


# ---------------------------------------------------------------- the corpus


@pytest.mark.parametrize("name", EXPECTED)
def test_corpus(name: str) -> None:
    started = time.process_time()
    result = check(load(CORPUS / name))
    assert result.answer is (Answer.LINEARIZABLE if EXPECTED[name] else Answer.NOT_LINEARIZABLE)
    assert (result.blocked is None) == EXPECTED[name]
    assert time.process_time() - started < 1


def test_the_whole_corpus_is_here() -> None:
    files = {str(path.relative_to(CORPUS)) for folder in ("jepsen", "kv") for path in (CORPUS / folder).iterdir()}
    assert files == set(EXPECTED)


# ---------------------------------------------------------------- against trying every order


def calls_of(actions: Sequence[Action], values: Sequence[Any]) -> st.SearchStrategy[list[Call]]:
    @st.composite
    def one(draw: st.DrawFn) -> Call:
        action = draw(st.sampled_from(actions))
        begin = draw(st.integers(0, 12))
        known = action is READ or draw(st.integers(0, 3)) > 0
        end = begin + draw(st.integers(1, 8)) if known else None
        if action is CAS:
            return call(action, (draw(st.sampled_from(values)), draw(st.sampled_from(values))), begin, end)
        return call(action, None if action is REMOVE else draw(st.sampled_from(values)), begin, end)

    return st.lists(one(), min_size=1, max_size=MOST_CALLS)


@pytest.mark.parametrize("mix", MIXES)
@settings(max_examples=250)
@given(data=st.data())
def test_agrees_with_trying_every_order(mix: str, data: st.DataObject) -> None:
    actions, values, initial = MIXES[mix]
    calls = data.draw(calls_of(actions, values))
    answer, blocked = check_key(calls, initial)
    assert answer is (Answer.LINEARIZABLE if explained(calls, initial) else Answer.NOT_LINEARIZABLE)
    assert (blocked is not None) == (answer is Answer.NOT_LINEARIZABLE)


# ---------------------------------------------------------------- single ideas


@pytest.mark.parametrize(
    ("calls", "linearizable"),
    [
        ([], True),
        ([call(WRITE, 1, 0, 1), call(READ, 1, 2, 3)], True),
        ([call(WRITE, 1, 0, 1), call(READ, None, 2, 3)], False),
        # A read that overlaps a write may see either, but not one after the other in the wrong order.
        ([call(WRITE, 1, 0, 9), call(READ, None, 1, 2), call(READ, 1, 3, 4)], True),
        ([call(WRITE, 1, 0, 9), call(READ, 1, 1, 2), call(READ, None, 3, 4)], False),
        # Intervals are closed: what returns when another is called overlaps it.
        ([call(WRITE, 1, 0, 5), call(READ, None, 5, 6)], True),
        # An unknown write may take effect late, or never, but not before its call, nor twice.
        ([call(WRITE, 1, 0, None), call(READ, None, 1, 2), call(READ, 1, 3, 4)], True),
        ([call(WRITE, 1, 0, None), call(READ, None, 1, 2)], True),
        ([call(READ, 1, 0, 1), call(WRITE, 1, 2, None)], False),
        (
            [
                call(WRITE, 1, 0, None), call(WRITE, 2, 1, 2), call(READ, 1, 3, 4), call(WRITE, 2, 5, 6),
                call(READ, 1, 7, 8),
            ],
            False,
        ),
        ([call(CAS, (None, 1), 0, 1), call(READ, 1, 2, 3)], True),
        ([call(CAS, (2, 1), 0, 1)], False),
        ([call(CAS, (2, 1), 0, None), call(READ, None, 1, 2)], True),
        ([call(REMOVE, None, 0, 1)], False),
        ([call(WRITE, 1, 0, 1), call(REMOVE, None, 2, 3), call(READ, None, 4, 5)], True),
    ],
)  # fmt: skip
def test_small_histories(calls: list[Call], linearizable: bool) -> None:
    answer, _ = check_key(calls, None)
    assert (answer is Answer.LINEARIZABLE) == linearizable


def test_the_wrong_key_and_operation_are_named() -> None:
    good = [call(WRITE, 1, 0, 1), call(READ, 1, 2, 3)]
    bad = [call(WRITE, 1, 0, 1), call(READ, 2, 2, 3)]
    result = check(History(None, {"a": good, "b": bad, "c": good}))
    assert (result.answer, result.key, result.blocked) == (Answer.NOT_LINEARIZABLE, "b", "read at 2")
    assert (result.operations, result.keys) == (6, 3)


def concurrent_history(source: random.Random, clients: int, operations: int, unknown: float) -> list[Call]:
    """What clients of a correct register see, every value written once."""
    free_at = [source.random() for _ in range(clients)]
    drawn = []
    for _ in range(operations):
        client = min(range(clients), key=free_at.__getitem__)
        begin = free_at[client]
        end = begin + source.expovariate(1.0)
        free_at[client] = end + source.expovariate(2.0)
        drawn.append((source.uniform(begin, end), begin, end))
    state: Any = None
    calls = []
    for number, (_, begin, end) in enumerate(sorted(drawn)):
        times = int(begin * 1e6), int(end * 1e6)
        if source.random() < 0.5:
            calls.append(call(READ, state, *times))
        elif source.random() < unknown:
            if source.random() < 0.5:
                state = number
            calls.append(call(WRITE, number, times[0], None))
        else:
            state = number
            calls.append(call(WRITE, number, *times))
    return calls


@pytest.mark.parametrize("seed", range(2))
def test_a_long_concurrent_history_with_unknown_writes_in_seconds(seed: int) -> None:
    source = random.Random(seed)
    calls = concurrent_history(source, clients=8, operations=2_000, unknown=0.1)
    started = time.process_time()
    assert check_key(calls, None)[0] is Answer.LINEARIZABLE
    reads = [number for number, one in enumerate(calls) if one.action is READ and one.result is not None]
    late = reads[-1]
    calls[late] = calls[late]._replace(result=calls[reads[0]].result)
    assert check_key(calls, None)[0] is Answer.NOT_LINEARIZABLE
    assert time.process_time() - started < 20


def hard_history() -> History:
    """One walk over all edges of a full graph and two dead ends: there is none, and very many nearly are."""
    edges = [(a, b) for a in range(9) for b in range(9) if a != b] + [(0, 98), (1, 99)]
    calls = [call(CAS, edge, 0, 100) for edge in edges] + [call(WRITE, 0, -2, -1)]
    return History(None, {"hard": calls, "easy": [call(READ, None, 0, 1)]})


def test_a_timeout_makes_it_unknown() -> None:
    started = time.thread_time()
    result = check(hard_history(), timeout_s=0.2)
    assert (result.answer, result.key) == (Answer.UNKNOWN, "hard")
    assert time.thread_time() - started < 5


def test_a_wrong_key_is_found_though_another_one_takes_too_long() -> None:
    history = hard_history()
    history.calls["wrong"] = [call(READ, 7, 0, 1)]
    result = check(history, timeout_s=0.2)
    assert (result.answer, result.key) == (Answer.NOT_LINEARIZABLE, "wrong")


# ---------------------------------------------------------------- files


def test_a_lab_history_of_both_kinds_of_file(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", iterations=800, experiments=["E2-etcd"]).path / "E2-etcd" / "history.parquet"
    result = check(load(path))
    assert (result.answer, result.operations) == (Answer.LINEARIZABLE, 800)


@pytest.mark.parametrize(
    ("name", "linearizable"),
    [
        ("missing_read", False),
        ("wrong_read", False),
        ("lost_before_delete", False),
        ("unknown_applied", True),
        ("unknown_delete_applied", True),
        ("failed_delete", True),
    ],
)
def test_planted_lab_histories(tmp_path: Path, name: str, linearizable: bool) -> None:
    made = make_run(tmp_path / "run", iterations=2000, experiments=["E1-etcd"], plant=name)
    result = check(load(made.path / "E1-etcd" / "history.parquet"))
    assert (result.answer is Answer.LINEARIZABLE) == linearizable
    if not linearizable:
        assert result.key == made.details["key"]


def test_a_failed_write_whose_error_proves_nothing_may_have_been(tmp_path: Path) -> None:
    rows = [
        HistoryRow(0, 0, "CREATE", "k", "1.1.1.1", 0, 0, 5, "fail", 1, "h:1", None, None, NO_SPACE),
        HistoryRow(1, 0, "RETRIEVE", "k", None, 10, 10, 15, "ok", 1, "h:1", "1.1.1.1", None, None),
    ]

    def answer(error: str) -> Answer:
        with HistoryWriter(tmp_path / "history.jsonl", {"origin_wall_ns": 1, "system": "etcd"}) as writer:
            for row in rows:
                writer.append(row._replace(error=error) if row.outcome == "fail" else row)
        return check(load(tmp_path / "history.jsonl", "lab")).answer

    assert answer(NO_SPACE) is Answer.LINEARIZABLE
    assert answer("RESOURCE_EXHAUSTED: etcdserver: too many requests") is Answer.NOT_LINEARIZABLE


def lab_rows() -> list[HistoryRow]:
    def row(index: int, kind: str, outcome: str, **seen: Any) -> HistoryRow:
        made = HistoryRow(index, 0, kind, "k", "1.1.1.1" if kind == "CREATE" else None, index * 10, index * 10,
                          index * 10 + 5, outcome, 1, "h:1", None, None, None)  # fmt: skip
        return made._replace(**seen)

    return [
        row(0, "RETRIEVE", "ok"),
        row(1, "CREATE", "fail"),
        row(2, "RETRIEVE", "ok"),
        row(3, "CREATE", "unknown"),
        row(4, "RETRIEVE", "fail"),
        row(5, "DELETE", "ok", affected=0),
        row(6, "DELETE", "ok", affected=0, attempts=2),
        row(7, "RETRIEVE", "ok", read="1.1.1.1"),
        row(8, "DELETE", "ok", affected=1),
        row(9, "DELETE", "ok"),
        row(10, "RETRIEVE", "ok"),
    ]


def test_what_the_rows_of_a_lab_history_mean(tmp_path: Path) -> None:
    def answer(rows: list[HistoryRow]) -> Answer:
        with HistoryWriter(tmp_path / "history.jsonl", {"origin_wall_ns": 1}) as writer:
            for row in rows:
                writer.append(row)
        jsonl_to_parquet(tmp_path / "history.jsonl", tmp_path / "history.parquet")
        from_lines = check(load(tmp_path / "history.jsonl", "lab")).answer
        assert check(load(tmp_path / "history.parquet")).answer is from_lines
        return from_lines

    rows = lab_rows()
    assert answer(rows) is Answer.LINEARIZABLE
    for index, changes in (
        (1, {"outcome": "ok"}),
        (5, {"affected": 1}),
        (8, {"affected": 0}),
        (9, {"affected": 1}),
        (10, {"read": "1.1.1.1"}),
    ):
        changed = [row._replace(**changes) if row.index == index else row for row in rows]
        assert answer(changed) is Answer.NOT_LINEARIZABLE


JEPSEN = "INFO  jepsen.util - {}\t:{}\t:{}\t{}\n"


def jepsen(*lines: tuple[int, str, str, str]) -> str:
    return "".join(JEPSEN.format(*line) for line in lines)


@pytest.mark.parametrize(
    ("text", "linearizable"),
    [
        (jepsen((0, "invoke", "read", "nil"), (0, "ok", "read", "nil")), True),
        (jepsen((0, "invoke", "read", "nil"), (0, "ok", "read", "3")), False),
        # Whether a failed read, or one that timed out, would have been right is not asked.
        (jepsen((0, "invoke", "read", "nil"), (0, "fail", "read", ":timed-out")), True),
        # A failed write did not take place.
        (
            jepsen(
                (0, "invoke", "write", "3"), (0, "fail", "write", "3"), (1, "invoke", "read", "nil"),
                (1, "ok", "read", "3"),
            ),
            False,
        ),
        # An unknown one, or one without a return, may have.
        (
            jepsen(
                (0, "invoke", "write", "3"), (0, "info", "write", ":timed-out"), (1, "invoke", "read", "nil"),
                (1, "ok", "read", "3"),
            ),
            True,
        ),
        (jepsen((0, "invoke", "write", "3"), (1, "invoke", "read", "nil"), (1, "ok", "read", "3")), True),
        (
            jepsen(
                (0, "invoke", "write", "3"), (0, "ok", "write", "3"), (1, "invoke", "cas", "[3 4]"),
                (1, "ok", "cas", "[3 4]"), (2, "invoke", "read", "nil"), (2, "ok", "read", "4"),
            ),
            True,
        ),
    ],
)  # fmt: skip
def test_jepsen_logs(tmp_path: Path, text: str, linearizable: bool) -> None:
    path = tmp_path / "log"
    path.write_text(text)
    assert (check(load(path)).answer is Answer.LINEARIZABLE) == linearizable
    path.write_text(text.rstrip("\n"))
    assert (check(load(path)).answer is Answer.LINEARIZABLE) == linearizable


def test_kv_texts_with_quotes_and_keys_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(
        '{:process 0, :type :invoke, :f :put, :key "a \\"b\\"", :value "x, :y"}\n'
        '{:type :ok, :process 0, :f :put, :key "a \\"b\\"", :value "x, :y"}\n'
        '{:process 0, :type :invoke, :f :get, :key "a \\"b\\"", :value nil}\n'
        '{:process 0, :type :ok, :f :get, :key "a \\"b\\"", :value "x, :y"}\n'
    )
    history = load(path)
    assert list(history.calls) == ['a "b"']
    assert check(history).answer is Answer.LINEARIZABLE


WHOLE = jepsen((0, "invoke", "write", "3"), (0, "ok", "write", "3"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"some text\n", "none of the formats"),
        (b"\xff\xfe\x00", "is not text"),
        (b"INFO jepsen.util \xff\xfe\n", "is not text"),
        (WHOLE.encode() + b"INFO  jepsen.util - 0\t:inv", "line 3 is damaged"),
        (WHOLE.encode() + b"something else\n", "line 3 is damaged"),
        (WHOLE.replace("\t3", "\t").encode(), "line 1 is damaged"),
        (WHOLE.replace(":write\t3", ":cas\t3").encode(), "line 1 is not read: a :cas has to"),
        (WHOLE.splitlines()[1].encode(), "no call open"),
        (WHOLE.replace(":ok\t:write", ":ok\t:read").encode(), "did not call"),
        (b'{:process 0, :type :invoke, :f :get, :key "a", :value nil}\n{:process 0, :ty', "line 2 is damaged"),
        (b'{:process 0, :type :invoke, :f :count, :key "a", :value nil}\n', "line 1 is not read: the operation :count"),
        (b"{:process 0, :type :invoke, :f :get, :key a, :value nil}\n", "line 1 is not read: :key is a"),
        (b'{:process 0, :type :invoke, :f :get, :key "a", :value 7}\n', "line 1 is not read: :value is 7"),
        (b'{:type :invoke, :f :get, :key "a", :value nil}\n', "line 1 is not read: the operation has no :process"),
        (b"PAR1PAR1", "cut short"),
        (b'{"columns": []}\n', "schema"),
    ],
)
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "history"
    path.write_bytes(content)
    with pytest.raises(LabError, match=words) as error:
        load(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "nothing", "cannot be read"), (tmp_path, "has no experiment.json; give one")):
        with pytest.raises(LabError, match=words):
            load(path)
