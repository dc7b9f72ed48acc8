# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from failover.checks.base import load_case
from failover.checks.hashes import Hashes
from failover.shapes import Check, Verdict
from planted.run import make_run

MEMBERS = ("etcd1", "etcd2", "etcd3")
EQUAL = {
    "equal": True,
    "revision": 900,
    "hashes": dict.fromkeys(MEMBERS, 4711),
    "errors": {},
    "compact_revisions": dict.fromkeys(MEMBERS, -1),
    "revisions": dict.fromkeys(MEMBERS, 900),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run"), experiments=["E1-etcd"], iterations=200).path / "E1-etcd"


def check_of(folder: Path, **told: Any) -> Check:
    path = folder / "experiment.json"
    info = json.loads(path.read_text())
    info["after"]["hashes"] = {**EQUAL, **told}
    path.write_text(json.dumps(info))
    [check] = Hashes().judge(load_case(folder))
    return check


def test_equal_hashes_are_valid_and_told(folder: Path) -> None:
    check = check_of(folder)
    assert check.verdict is Verdict.VALID
    assert check.summary == "All 3 members have hash 4711 of all their data at revision 900."
    assert check.evidence == {name: value for name, value in EQUAL.items() if name != "equal"}
    # What a group says has no compaction.
    [without] = [check_of(folder, compact_revisions={})]
    assert without.verdict is Verdict.VALID


def test_another_hash_is_invalid_and_names_the_members(folder: Path) -> None:
    check = check_of(folder, hashes={"etcd1": 1, "etcd2": 2, "etcd3": 1}, equal=False)
    assert check.verdict is Verdict.INVALID
    assert check.summary == (
        "The members' own hashes of their data at revision 900 differ: etcd1 and etcd3 1; etcd2 2."
    )
    # Also where the third says nothing.
    errors = {"etcd3": "timed out"}
    check = check_of(folder, hashes={"etcd1": 1, "etcd2": 2, "etcd3": None}, errors=errors, equal=False)
    assert check.verdict is Verdict.INVALID


def test_a_member_that_could_not_be_asked_is_unknown(folder: Path) -> None:
    hashes, errors = {"etcd1": 1, "etcd2": None, "etcd3": 1}, {"etcd2": "connection refused"}
    check = check_of(folder, hashes=hashes, errors=errors, equal=False)
    assert check.verdict is Verdict.UNKNOWN
    assert "etcd2 could not be asked: connection refused" in check.summary
    nobody = dict.fromkeys(MEMBERS)
    check = check_of(folder, revision=None, hashes=nobody, errors=dict.fromkeys(MEMBERS, "silent"), revisions={})
    assert check.verdict is Verdict.UNKNOWN


def test_other_compactions_make_it_unknown(folder: Path) -> None:
    hashes, compacted = {"etcd1": 1, "etcd2": 2, "etcd3": 1}, {"etcd1": 5, "etcd2": 7, "etcd3": 5}
    check = check_of(folder, hashes=hashes, compact_revisions=compacted, equal=False)
    assert check.verdict is Verdict.UNKNOWN
    assert "etcd1 and etcd3 5; etcd2 7" in check.summary
    # Two that compacted alike, and differ, are wrong all the same.
    hashes = {"etcd1": 1, "etcd2": 2, "etcd3": 3}
    assert check_of(folder, hashes=hashes, compact_revisions=compacted, equal=False).verdict is Verdict.INVALID


def test_where_nobody_was_asked_there_is_no_check(folder: Path) -> None:
    path = folder / "experiment.json"
    info = json.loads(path.read_text())
    for hashes in ({}, {"hashes": None}):
        info["after"].pop("hashes", None)
        path.write_text(json.dumps({**info, "after": info["after"] | hashes}))
        assert not Hashes().applies(load_case(folder))
