# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from failover.results.entries import Entry
from failover.results.read import read_dump
from failover.shapes import LabError
from failover.systems.etcd import keys as etcd_keys
from failover.systems.etcd.keys import range_end, text_of
from failover.systems.mysql import keys as mysql_keys
from fake_gateway import Gateway, closed_endpoint, serve_gateway
from fake_mysql import FakeMySQL, install

ACCOUNT = {"user": "lab", "password": "secret", "database": "db"}


def test_range_end_is_the_first_key_after_the_prefix() -> None:
    assert range_end(b"EXP1-") == b"EXP1."
    assert range_end(b"a\xff\xff") == b"b"
    assert range_end(b"\xff") == b"\0"
    assert range_end(b"") == b"\0"


def test_what_is_no_text_stays_readable() -> None:
    assert text_of("Zoë".encode()) == "Zoë"
    assert text_of(b"1.2.3.4\xff") == "1.2.3.4\\xff"


def fill(gateway: Gateway, count: int) -> None:
    gateway.keys = {
        f"EXP1-Zoë{number} phone": (f"10.0.0.{number}", 1 + number % 2, 10 + number) for number in range(count)
    }
    gateway.keys["EXP2-other phone"] = ("1.1.1.1", 1, 3)


def test_etcd_dump_is_what_the_checkers_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd_keys, "PAGE_SIZE", 3)
    dest = tmp_path / "nodes" / "etcd1.jsonl"
    with serve_gateway() as gateway:
        fill(gateway, 7)
        result = etcd_keys.dump("etcd1", gateway.url, "EXP1-", dest)
        ranges = [body for path, body in gateway.requests if path == "/v3/kv/range" and not body.get("count_only")]
    assert (result["available"], result["count"], result["revision"], result["changed"]) == (True, 7, 7, True)
    assert result["sha256"] == hashlib.sha256(dest.read_bytes()).hexdigest()
    dump = read_dump(dest, "EXP1-")
    assert dump.entries == {f"Zoë{n} phone": Entry(f"10.0.0.{n}", 1 + n % 2, 10 + n) for n in range(7)}
    assert (dump.header["member"], dump.header["revision"], dump.header["prefix"]) == ("etcd1", 7, "EXP1-")
    # Three pages, of this member only and all of one revision.
    assert len(ranges) == 3
    assert all(body["serializable"] is True and body["revision"] == "7" for body in ranges)


def test_all_keys_and_empty_values(tmp_path: Path) -> None:
    with serve_gateway() as gateway:
        gateway.keys = {"a": ("", 1, 2), "b": ("x", 1, 3)}
        etcd_keys.dump("etcd1", gateway.url, "", tmp_path / "d.jsonl")
    assert [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()[1:]] == [
        ["a", "", 1, 2],
        ["b", "x", 1, 3],
    ]


def test_no_keys_is_a_dump_of_none(tmp_path: Path) -> None:
    with serve_gateway() as gateway:
        result = etcd_keys.dump("etcd1", gateway.url, "EXP1-", tmp_path / "etcd1.jsonl")
    assert (result["available"], result["count"]) == (True, 0)
    assert read_dump(tmp_path / "etcd1.jsonl", "EXP1-").entries == {}


def test_unreachable_etcd_is_a_finding_and_leaves_no_old_dump(tmp_path: Path) -> None:
    dest = tmp_path / "etcd1.jsonl"
    dest.write_text("of an earlier time\n")
    result = etcd_keys.dump("etcd1", f"http://{closed_endpoint()}", "EXP1-", dest)
    assert (result["available"], result["reason"], result["count"]) == (False, "connection refused", None)
    assert result["changed"]
    assert not dest.exists()


def test_etcd_that_fails_between_pages_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd_keys, "PAGE_SIZE", 2)
    with serve_gateway() as gateway:
        fill(gateway, 5)
        answer = gateway.answer

        def fail_later(path: str, body: dict[str, object]) -> tuple[int, dict[str, object]]:
            if len(gateway.requests) == 2:
                gateway.refuse = "etcdserver: mvcc: required revision has been compacted"
            return answer(path, body)

        monkeypatch.setattr(gateway, "answer", fail_later)
        result = etcd_keys.dump("etcd1", gateway.url, "EXP1-", tmp_path / "d.jsonl")
    assert not result["available"]
    assert "compacted" in result["reason"]
    assert list(tmp_path.iterdir()) == []


def test_fewer_keys_than_announced_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_gateway() as gateway:
        fill(gateway, 5)
        answer = gateway.answer

        def lose_one(path: str, body: dict[str, object]) -> tuple[int, dict[str, object]]:
            if not body.get("count_only"):
                gateway.keys.pop("EXP1-Zoë3 phone", None)
            return answer(path, body)

        monkeypatch.setattr(gateway, "answer", lose_one)
        with pytest.raises(LabError, match="returned 4 keys after announcing 5"):
            etcd_keys.dump("etcd1", gateway.url, "EXP1-", tmp_path / "d.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_counting_writes_nothing(tmp_path: Path) -> None:
    with serve_gateway() as gateway:
        fill(gateway, 5)
        result = etcd_keys.dump("etcd1", gateway.url, "EXP1-", tmp_path / "d.jsonl", write=False)
    assert (result["count"], result["sha256"], result["changed"]) == (5, None, True)
    assert list(tmp_path.iterdir()) == []


def test_url_that_is_none_and_dest_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="client_url of etcd1"):
        etcd_keys.dump("etcd1", "10.0.0.1:2379", "EXP1-", tmp_path / "d.jsonl")
    (tmp_path / "file").write_text("")
    with serve_gateway() as gateway, pytest.raises(LabError, match="cannot be written"):
        etcd_keys.dump("etcd1", gateway.url, "EXP1-", tmp_path / "file" / "d.jsonl")


def test_mysql_dump_is_what_the_checkers_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = install(monkeypatch, FakeMySQL(rows={"b phone": "2.2.2.2", "a phone": "1.1.1.1"}))
    dest = tmp_path / "mysql1.jsonl"
    result = mysql_keys.dump("mysql", "mysql1", "10.0.0.21:3306", ACCOUNT, dest)
    assert (result["available"], result["count"], result["revision"]) == (True, 2, None)
    assert read_dump(dest, "").entries == {
        "a phone": Entry("1.1.1.1", None, None),
        "b phone": Entry("2.2.2.2", None, None),
    }
    assert result["sha256"] == hashlib.sha256(dest.read_bytes()).hexdigest()
    assert server.asked["host"] == "10.0.0.21"
    # Count and rows are of one moment.
    assert server.statements[0].startswith("START TRANSACTION WITH CONSISTENT SNAPSHOT")


def test_unreachable_mysql_is_a_finding(tmp_path: Path) -> None:
    result = mysql_keys.dump("mysql", "mysql1", closed_endpoint(), ACCOUNT, tmp_path / "d.jsonl")
    assert not result["available"]
    assert "refused" in result["reason"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "text"), [(1045, "Access denied for user 'lab'"), (1146, "Table 'db.ips' doesn't exist")]
)
def test_mysql_that_refuses_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, text: str) -> None:
    install(monkeypatch, FakeMySQL(error=(code, text)))
    with pytest.raises(LabError, match="does not return its keys") as raised:
        mysql_keys.dump("mysql", "mysql1", "10.0.0.21:3306", ACCOUNT, tmp_path / "d.jsonl")
    assert text in str(raised.value)
    assert "secret" not in str(raised.value)
