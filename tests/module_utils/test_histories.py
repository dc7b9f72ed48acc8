# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Histories as Jepsen, Knossos and etcd's robustness tests write them."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from failover.checks.linearizability import check
from failover.checks.operations import Answer
from failover.histories import load
from failover.histories.edn import EdnError, Name, Tagged, read_form, read_forms, told
from failover.shapes import HISTORY_COLUMNS, SCHEMA_VERSION, HistoryRow, LabError
from planted.run import make_run

GOOD, BAD = Answer.LINEARIZABLE, Answer.NOT_LINEARIZABLE


def answer_of(folder: Path, content: str | bytes, name: str = "history", file_format: str | None = None) -> Answer:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return check(load(path, file_format)).answer


def refused(folder: Path, content: str | bytes, name: str = "history") -> str:
    with pytest.raises(LabError) as error:
        answer_of(folder, content, name)
    assert "\n" not in str(error.value)
    return str(error.value)


def operations(*rows: tuple[Any, str, str, str], form: str = "{{:process {}, :type :{}, :f :{}, :value {}}}") -> str:
    return "\n".join(form.format(*row) for row in rows)


WRITE_1 = ((0, "invoke", "write", "1"), (0, "ok", "write", "1"))


def read(value: str, process: int = 1) -> tuple[tuple[Any, str, str, str], ...]:
    return (process, "invoke", "read", "nil"), (process, "ok", "read", value)


# ---------------------------------------------------------------- EDN


def test_edn_is_read_with_its_lines() -> None:
    text = (
        '; a remark\n{:a [1 -2N 2.5M 1e3], :b #{x}\n}\n#_ {:left "out"} #inst "2026"\n'
        '\\newline "a\\n\\"\\u00e9"\n(nil true)'
    )
    assert list(read_forms(text)) == [
        (2, {Name(":a"): (1, -2, 2.5, 1000.0), Name(":b"): (Name("x"),)}),
        (4, Tagged("inst", "2026")),
        (5, Name("\\newline")),
        (5, 'a\n"é'),
        (6, None),
        (6, Name("true")),
    ]


def test_edn_of_one_vector_is_read_as_its_elements() -> None:
    assert list(read_forms("#history [\n[1 [2]]\n#_3 {1 2}\n]\n5")) == [(2, (1, (2,))), (3, {1: 2}), (5, 5)]


@pytest.mark.parametrize(
    ("text", "line"),
    [("{:a 1}\n{:a", 2), ("[1\n2", 1), ("]", 1), ("{:a}", 1), ('1\n"abc', 2), ("[1)", 1), ("[{:a\n1", 1)],
)
def test_edn_that_is_cut_short_names_the_line(text: str, line: int) -> None:
    with pytest.raises(EdnError) as error:
        list(read_forms(text))
    assert error.value.line == line


def test_edn_of_a_line() -> None:
    assert read_form("[0 [1 2]]\t:timeout") == ((0, (1, 2)), "\t:timeout")
    assert told(read_form('{:a ["x" nil #t/u 1 true]}')[0]) == '{:a ["x" nil #t/u 1 true]}'
    with pytest.raises(EdnError):
        read_form(" ")


# ---------------------------------------------------------------- Jepsen's and Knossos' EDN


FORMS = {
    "maps, a line each": "{{:process {}, :type :{}, :f :{}, :value {}}}",
    "another order": "{{:type :{1}, :f :{2}, :value {3}, :time 17, :process {0}, :error [:a {{:b 1}}], :index 3}}",
    "records of today": "#jepsen.history.Op{{:index 0, :time 17, :type :{1}, :process {0}, :f :{2}, :value {3}}}",
    "records of Knossos": "#knossos.op.Op{{:process {}, :type :{}, :f :{}, :value {}}}",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("around", ["{}", "[{}]", "; a register\n({})", "\n #jepsen.history [{}]\n"])
def test_registers_in_edn(tmp_path: Path, form: str, around: str) -> None:
    nemesis = ((":nemesis", "info", "start", '{"n1" #{"n2"}}'),)
    assert answer_of(tmp_path, around.format(operations(*nemesis, *WRITE_1, *nemesis, *read("1"), form=form))) is GOOD
    assert answer_of(tmp_path, around.format(operations(*nemesis, *WRITE_1, *nemesis, *read("2"), form=form))) is BAD
    assert answer_of(tmp_path, around.format(operations(*WRITE_1, *read("nil"), form=form))) is BAD


@pytest.mark.parametrize(
    ("rows", "answer"),
    [
        # A process that crashed leaves an operation that may happen at any time, or never.
        (((0, "invoke", "write", "1"), (0, "info", "write", "1"), *read("nil"), *read("1"), *read("1")), GOOD),
        (((0, "invoke", "write", "1"), (0, "info", "write", "1"), *read("1"), *read("nil")), BAD),
        (((0, "invoke", "write", "1"), *read("1")), GOOD),
        (((0, "invoke", "write", "1"), (0, "fail", "write", "1"), *read("1")), BAD),
        ((*WRITE_1, (2, "invoke", "cas", "[1 2]"), (2, "ok", "cas", "[1 2]"), *read("2")), GOOD),
        ((*WRITE_1, (2, "invoke", "cas", "[1 2]"), (2, "fail", "cas", "[1 2]"), *read("2")), BAD),
        ((*WRITE_1, (2, "invoke", "cas", "[3 2]"), (2, "info", "cas", ":timeout"), *read("2")), BAD),
        # nil is a value like others.
        ((*WRITE_1, (2, "invoke", "write", "nil"), (2, "ok", "write", "nil"), *read("nil")), GOOD),
        ((*WRITE_1, (2, "invoke", "cas", "[1 nil]"), (2, "ok", "cas", "[1 nil]"), *read("1")), BAD),
        ((*WRITE_1, (1, "invoke", "read", "nil"), (1, "info", "read", "nil")), GOOD),
        # 1, "1", true and :1 are four values.
        ((*WRITE_1, *read('"1"')), BAD),
        ((*WRITE_1, *read("true")), BAD),
        ((*WRITE_1, *read(":1")), BAD),
        # Keys of jepsen.independent: a register each.
        (((0, "invoke", "write", "[7 1]"), (0, "ok", "write", "[7 1]"), (1, "invoke", "read", "[8 nil]"),
          (1, "ok", "read", "[8 nil]"), (2, "invoke", "read", "[7 nil]"), (2, "ok", "read", "[7 1]")), GOOD),
        (((0, "invoke", "write", "[7 1]"), (0, "ok", "write", "[7 1]"), (1, "invoke", "read", "[7 nil]"),
          (1, "ok", "read", "[7 nil]")), BAD),
        (((0, "invoke", "write", '["x" 1]'), (0, "ok", "write", '["x" 1]'), (1, "invoke", "cas", '["x" [1 2]]'),
          (1, "ok", "cas", '["x" [1 2]]'), (1, "invoke", "read", '["x" nil]'), (1, "ok", "read", '["x" 1]')), BAD),
        (((0, "invoke", "write", "[7 1]"), (0, "info", "write", "[7 1]"), (1, "invoke", "read", "[7 nil]"),
          (1, "fail", "read", ":closed")), GOOD),
        # Those of jepsen-io/etcd carry versions.
        (((0, "invoke", "write", "[7 [nil 1]]"), (0, "ok", "write", "[7 [3 1]]"),
          (1, "invoke", "cas", "[7 [nil [1 2]]]"), (1, "ok", "cas", "[7 [4 [1 2]]]"),
          (1, "invoke", "read", "[7 [nil nil]]"), (1, "ok", "read", "[7 [4 2]]")), GOOD),
        (((0, "invoke", "write", "[7 [nil 1]]"), (0, "ok", "write", "[7 [3 1]]"),
          (1, "invoke", "read", "[7 [nil nil]]"), (1, "ok", "read", "[7 [4 2]]")), BAD),
    ],
)  # fmt: skip
def test_what_registers_may_answer(tmp_path: Path, rows: tuple[tuple[Any, str, str, str], ...], answer: Answer) -> None:
    assert answer_of(tmp_path, operations(*rows)) is answer
    assert answer_of(tmp_path, operations(*rows, form="INFO  jepsen.util - {}\t:{}\t:{}\t{}") + "\n") is answer


def test_what_is_wrong_names_line_and_process(tmp_path: Path) -> None:
    path = tmp_path / "history.edn"
    path.write_text("; two remarks\n;\n[" + operations(*WRITE_1, *read("2")) + "]")
    result = check(load(path))
    assert (result.answer, result.blocked) == (BAD, "read 2 by process 1, called in line 5")


def test_a_map_of_strings_in_a_vector(tmp_path: Path) -> None:
    form = '{{:process {}, :type :{}, :f :{}, :key "k", :value {}}}'
    rows = ((0, "invoke", "append", '"x"'), (0, "ok", "append", '"x"'), (1, "invoke", "get", "nil"))
    assert answer_of(tmp_path, f"[{operations(*rows, (1, 'ok', 'get', chr(34) + 'x' + chr(34)), form=form)}]") is GOOD
    assert answer_of(tmp_path, operations(*rows, (1, "ok", "get", "nil"), form=form)) is BAD


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            operations((0, "invoke", "txn", "[[:r 1 nil]]")),
            "line 1 is not read: the operation :txn, where only :read, :write",
        ),
        (operations(*WRITE_1, (0, "invoke", "add", "1")), "line 3 is not read: the operation :add"),
        (operations((0, "invoke", "write", "{:x 1}")), "line 1 is not read: {:x 1} is not the value of a register"),
        (operations((0, "invoke", "write", "[nil 3]")), "only jepsen.independent's [key value] is read"),
        (operations((0, "invoke", "cas", "3")), "a :cas has to have [from to], not 3"),
        ("{:valid? true, :count 5}", "give Jepsen's history.edn, not its results.edn"),
        ("[#jepsen.txn.Graph [1 2]]", "line 1 is not read: a record #jepsen.txn.Graph"),
        ("[1 2 3]", "1 is no operation"),
        (operations(*WRITE_1) + "\n{:process 1, :ty", "line 3 is damaged"),
        ("[" + operations(*WRITE_1), "line 1 is damaged"),
        (operations((":nemesis", "info", "start", "nil")), "holds no operation of a client"),
        (operations((0, "done", "read", "nil")), ":type is :done"),
        ("{:process 0, :type {}, :f :read, :value nil}", "line 1 is not read: :type is {}"),
        (operations((0, "invoke", "write", "9" * 5000)), "line 1 is damaged"),
        ("{:process 0, :type :invoke, :f " + "[" * 3000 + "]" * 3000 + "}", "nested more than 100 deep"),
        ("#a " * 3000 + "1", "nested more than 100 deep"),
        ('[{"process": 0}]', "is JSON"),
        (b"\x28\xb5\x2f\xfd....", "is compressed with zstd; unpack it first"),
        (b"JEPSEN\x00\x00", "is a Jepsen test in its binary form; give its history.edn"),
        (gzip.compress(b"{:process 0}", mtime=0)[:-9], "is damaged"),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, content: str | bytes, words: str) -> None:
    assert words in refused(tmp_path, content)


# ---------------------------------------------------------------- Jepsen's logs


LOGS = {
    "2013": "INFO  jepsen.util - {}\t:{}\t:{}\t{}",
    "2015": "2015-05-12 15:20:12,345{{GMT}}\tINFO\t[jepsen worker 3] jepsen.util: {}\t:{}\t:{}\t{}",
    "2017": "INFO [2017-03-30 22:26:45,322] jepsen worker 4 - jepsen.util {}\t:{}\t:{}\t{}",
    "today": "2025-01-15 10:02:33,102{{GMT}}\tINFO\t[jepsen worker 12] jepsen.util: {}\t:{}\t:{}\t{}",
    "history.txt": "{}\t:{}\t:{}\t{}",
    "history.txt with spaces": "{:<8} :{:<8} :{:<8} {}",
}
OTHERS = {
    "2013": "INFO  jepsen.core - Everything looks good!",
    "2015": "2015-05-12 15:20:12,345{GMT}\tWARN\t[main] jepsen.core: Process 3 crashed",
    "2017": "INFO [2017-03-30 22:26:45,400] jepsen nemesis - jepsen.util Waiting",
    "today": "2025-01-15 10:02:33,102{GMT}\tERROR\t[jepsen worker 1] jepsen.generator.interpreter: crashed",
    "history.txt": "",
    "history.txt with spaces": "",
}
TRACE = "java.util.concurrent.TimeoutException: no answer\n\tat jepsen.client$invoke.invoke(client.clj:12)\n ... 5 more"


@pytest.mark.parametrize("year", LOGS)
def test_logs_through_the_years(tmp_path: Path, year: str) -> None:
    nemesis = ((":nemesis", "info", "start", '"Cut off {\\"n2\\" #{\\"n1\\"}}"'),)
    for value, answer in (("1", GOOD), ("nil", BAD)):
        crashed = ((7, "invoke", "cas", "[1 9]"), (7, "info", "cas", "[1 9]\t:timeout"))
        rows = (*nemesis, *WRITE_1, *nemesis, *read(value), *crashed)
        lines = operations(*rows, form=LOGS[year]).splitlines()
        text = "\n".join([OTHERS[year], *lines[:3], OTHERS[year], TRACE, *lines[3:], ""])
        assert answer_of(tmp_path, text) is answer
        # As editors on Windows, and tools that keep logs, leave it.
        assert answer_of(tmp_path, b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()) is answer
        assert answer_of(tmp_path, text.encode("utf-16")) is answer
        assert answer_of(tmp_path, gzip.compress(text.encode()), "jepsen.log.gz") is answer


@pytest.mark.parametrize("year", LOGS)
def test_a_log_that_is_damaged_or_of_something_else(tmp_path: Path, year: str) -> None:
    good = operations(*WRITE_1, form=LOGS[year])
    assert "line 3 is damaged" in refused(tmp_path, good + "\n" + LOGS[year].format(0, "invoke", "write", "")[:-3])
    assert "line 3 is damaged" in refused(tmp_path, good + "\nrubbish")
    assert "line 3 is not read: the operation :enqueue" in refused(
        tmp_path, good + "\n" + LOGS[year].format(0, "invoke", "enqueue", "1")
    )


# ---------------------------------------------------------------- etcd's robustness tests


def etcd_line(client: int, request: dict[str, Any], call: int, answer: dict[str, Any], end: int) -> str:
    answer = {"Txn": None, "Range": None, "Revision": 1, "Error": ""} | answer
    return json.dumps(
        {"ClientId": client, "Input": request, "Call": call, "Output": answer, "Return": end}, separators=(",", ":")
    )


def put(client: int, key: str, value: str, call: int, revision: int, **answer: Any) -> str:
    step = {
        "Type": "put-operation",
        "Put": {"Key": key, "Value": {"Value": value}, "LeaseID": 0},
        "Delete": {"Key": ""},
    }
    txn = {"Conditions": None, "OperationsOnSuccess": [step], "OperationsOnFailure": None}
    told = {"Txn": {"Failure": False, "Results": [{"KVs": None, "Deleted": 0}]}, "Revision": revision, **answer}
    return etcd_line(client, {"Type": "txn", "Txn": txn}, call, told, call + 5)


def delete(client: int, key: str, call: int, revision: int, deleted: int) -> str:
    step = {"Type": "delete-operation", "Put": {"Key": "", "Value": {}, "LeaseID": 0}, "Delete": {"Key": key}}
    txn = {"Conditions": None, "OperationsOnSuccess": [step], "OperationsOnFailure": None}
    told = {"Txn": {"Failure": False, "Results": [{"KVs": None, "Deleted": deleted}]}, "Revision": revision}
    return etcd_line(client, {"Type": "txn", "Txn": txn}, call, told, call + 5)


def get(client: int, key: str, value: str | None, call: int, revision: int, end: str = "") -> str:
    found = [] if value is None else [{"Key": key, "Value": {"Value": value}, "ModRevision": revision}]
    request = {"Type": "range", "Range": {"Start": key, "End": end, "Limit": 0, "Revision": 0}}
    return etcd_line(
        client, request, call, {"Range": {"KVs": found, "Count": len(found)}, "Revision": revision}, call + 5
    )


def test_etcd_operations_of_all_clients(tmp_path: Path) -> None:
    ones = [put(1, "a", "x", 0, 2), delete(1, "a", 30, 3, 1), delete(1, "a", 40, 3, 0)]
    for value, answer in ((None, GOOD), ("x", BAD)):
        for client, lines in ((1, ones), (2, [get(2, "a", "x", 10, 2), get(2, "a", value, 50, 3)])):
            (tmp_path / f"client-{client}").mkdir(exist_ok=True)
            (tmp_path / f"client-{client}" / "operations.json").write_text("\n".join(lines) + "\n")
        for path in (tmp_path, tmp_path / "client-2" / "operations.json"):
            assert check(load(path)).answer is answer
    (tmp_path / "alone").mkdir()
    alone = tmp_path / "alone" / "operations.json"
    shutil.copy(tmp_path / "client-2" / "operations.json", alone)
    with pytest.raises(LabError, match="those of other clients are missing"):
        load(alone)


def test_etcd_writes_without_an_answer_may_have_happened(tmp_path: Path) -> None:
    lost = put(1, "a", "x", 0, 0, Txn=None, Error="context deadline exceeded")
    assert answer_of(tmp_path, "\n".join([lost, get(2, "a", None, 10, 1), get(2, "a", "x", 20, 2)])) is GOOD
    assert answer_of(tmp_path, "\n".join([lost, get(2, "a", "x", 10, 2), get(2, "a", None, 20, 2)])) is BAD


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (get(1, "a", "x", 0, 1, end="b"), "a range of several keys"),
        (put(1, "a", "x", 0, 2).replace('"Conditions":null', '"Conditions":[{"Key":"a"}]'), "with conditions"),
        (put(1, "a", "x", 0, 2).replace('"LeaseID":0', '"LeaseID":4'), "a put with a lease"),
        (etcd_line(1, {"Type": "leaseRevoke"}, 0, {}, 5), "a request of type 'leaseRevoke'"),
        (put(1, "a", "x", 0, 2)[:-9], "line 2 is damaged"),
        (put(1, "a", "x", 0, 2).replace('"Call":0', '"Call":"soon"'), "line 2 is damaged"),
        (put(1, "a", "x", 0, 2).replace('"Key":"a"', '"Key":["a"]'), "line 2 is damaged"),
        (put(1, "a", "x", 0, 2).replace('"Revision":2', '"Revision":"2"'), "line 2 is damaged"),
        (delete(1, "a", 0, 2, 1).replace('[{"KVs":null,"Deleted":1}]', "[]"), "line 2 is damaged"),
    ],
)
def test_etcd_operations_that_are_not_read_are_named(tmp_path: Path, line: str, words: str) -> None:
    text = refused(tmp_path, put(1, "a", "w", 0, 2) + "\n" + line + "\n")
    assert words in text
    assert "line 2" in text


# ---------------------------------------------------------------- the lab's own


def test_a_history_of_the_lab_compressed_and_with_a_mark(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", iterations=50, experiments=["E1-etcd"])
    parquet = (made.path / "E1-etcd" / "history.parquet").read_bytes()
    assert answer_of(tmp_path, gzip.compress(parquet), "history.parquet.gz") is GOOD
    row = HistoryRow(0, 0, "CREATE", "k", "v", 0, 0, 5, "ok", 1, "etcd1:2379", None, None, None)
    meta = {"schema_version": SCHEMA_VERSION, "columns": list(HISTORY_COLUMNS), "origin_wall_ns": 1}
    lines = f"{json.dumps(meta)}\n{json.dumps(row)}\n".encode()
    for content in (lines, gzip.compress(lines), b"\xef\xbb\xbf" + lines):
        assert answer_of(tmp_path, content) is GOOD
    damaged = refused(tmp_path, gzip.compress(lines + b"[\n"), "history.jsonl.gz")
    assert f"{tmp_path}/history.jsonl.gz: line 3 is not a row" in damaged


def test_what_the_members_held_at_the_end_is_read_at_the_end(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", iterations=300, experiments=["E1-etcd"])
    folder = made.path / "E1-etcd"
    alone, whole = check(load(folder / "history.parquet")), check(load(folder))
    assert (alone.answer, whole.answer) == (GOOD, GOOD)
    assert whole.operations > alone.operations
    history = load(folder)
    gone = next(key for key, calls in history.calls.items() if calls[-1].result is None and len(calls) > 1)
    for dump in sorted((folder / "nodes").glob("*.jsonl")):
        header, *rows = map(json.loads, dump.read_text().splitlines())
        header["count"] += 1
        rows.append([header["prefix"] + gone, "10.0.0.1", 1, 7])
        dump.write_text("".join(json.dumps(row) + "\n" for row in [header, *rows]))
    ghost = check(load(folder))
    assert (ghost.answer, ghost.key) == (BAD, gone)
    assert "at the end" in str(ghost.blocked)
    assert check(load(folder / "history.parquet")).answer is GOOD


def test_a_member_whose_keys_are_not_there_is_named(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", iterations=50, experiments=["E1-etcd", "E1-mysql"])
    (made.path / "E1-etcd" / "nodes" / "etcd2.jsonl").unlink()
    (note,) = load(made.path / "E1-etcd").notes
    assert note.startswith("without what etcd2 held at the end: ")
    with pytest.raises(LabError, match="holds 2 experiments; give one of them: E1-etcd, E1-mysql"):
        load(made.path)
