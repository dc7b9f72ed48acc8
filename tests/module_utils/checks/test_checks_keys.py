# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether members have what they must have, all the same, each write once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from failover.checks.applied_once import check_applied_once
from failover.checks.model import Answers
from failover.checks.recorded import Recorded
from failover.checks.verdict import verify_experiment
from failover.results.entries import Entry
from failover.results.read import Dump
from failover.results.rows import Rows
from failover.shapes import Verdict
from failover.workloads.name_service import NameService
from judged import ETCD_KEYS, PlantIt, only, wrong
from packing import outcomes_of, packed


@pytest.mark.parametrize("experiment", ["E2-etcd", "E1-mysql"])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("lost_key", "lost"),
        ("wrong_value", "wrong-value"),
        ("extra_key", "phantom"),
        ("resurrected_key", "resurrected"),
    ],
)
def test_a_wrong_key_is_caught_and_named(plant: PlantIt, experiment: str, name: str, kind: str) -> None:
    made, checks = plant(name, experiment)
    expected = ETCD_KEYS if experiment == "E2-etcd" else {"keys on mysql1"}
    assert wrong(checks) == expected
    assert wrong(checks, Verdict.UNKNOWN) == set()
    for check in (checks[name] for name in expected):
        found = only(check)
        assert found["key"] == made.details["key"]
        assert found["class"] == kind
        assert repr(made.details["key"]) in check.summary
        assert found["found"] == made.details.get("value")
        assert check.evidence["by_class"] == {kind: 1}
        if name != "extra_key":
            assert found["operations"][0]["kind"] == "CREATE"
            told = {"index", "outcome", "attempts", "endpoint", "invoke_ms", "complete_ms"}
            assert told <= found["operations"][0].keys()
    if name == "resurrected_key":
        assert only(checks[min(expected)])["operations"][-1]["index"] == made.details["index"]


def test_a_diverged_member_is_told_from_the_others(plant: PlantIt) -> None:
    made, checks = plant("diverged_node")
    assert wrong(checks) == {"keys on etcd3", "members equal"}
    found = only(checks["members equal"], "differing")
    assert found["key"] == made.details["key"]
    assert found["members"]["etcd3"]["value"] == made.details["value"]
    assert found["members"]["etcd1"] == found["members"]["etcd2"]


def test_a_write_that_was_applied_twice_unsent(plant: PlantIt) -> None:
    made, checks = plant("duplicate_apply")
    assert wrong(checks) == {"applied once"}
    found = only(checks["applied once"], "unexplained")
    assert (found["key"], found["version"]) == (made.details["key"], 2)
    assert found["members"] == ["etcd1", "etcd2", "etcd3"]


def test_a_write_that_was_sent_again_may_be_there_twice_and_is_named(plant: PlantIt) -> None:
    made, checks = plant("duplicate_apply_after_retry")
    assert wrong(checks) == set()
    assert only(checks["applied once"], "after_a_retry")["key"] == made.details["key"]
    assert made.details["key"] in checks["applied once"].summary


def test_writes_before_a_delete_that_may_come_late_are_not_too_many() -> None:
    operations = packed([("CREATE", "k", "1.1.1.1"), ("DELETE", "k"), ("CREATE", "k", "2.2.2.2")])
    dump = Dump("etcd1", Path(), {}, {"k": Entry("1.1.1.1", 2, 9)})

    def check(first: str, attempts: int = 1) -> Verdict:
        answers = Answers(outcomes_of([first, "ok", "ok"]), [None] * 3, [None] * 3, [attempts, 1, 1])
        recorded = Recorded(NameService(), operations, {}, Rows(pa.table({}), pa.schema([])), np.full(3, -1), answers)
        return check_applied_once([dump], recorded).verdict

    assert check("ok") is Verdict.INVALID
    assert check("unknown") is Verdict.VALID
    assert check("ok", attempts=2) is Verdict.VALID


def test_a_late_duplicate_is_the_clients_doing_and_cannot_be_told(plant: PlantIt) -> None:
    made, checks = plant("late_duplicate")
    assert wrong(checks) == set()
    assert wrong(checks, Verdict.UNKNOWN) == ETCD_KEYS
    found = only(checks["keys on etcd1"])
    assert (found["key"], found["class"]) == (made.details["key"], "late-duplicate")
    assert "; wrong: 1 by the late effect of a first attempt (" in checks["keys on etcd1"].summary
    assert not any("late-duplicate" in check.summary for check in checks.values())


def test_an_attempt_that_was_refused_explains_no_duplicate(plant: PlantIt) -> None:
    _, checks = plant("refused_and_resurrected")
    assert wrong(checks) == ETCD_KEYS
    assert only(checks["keys on etcd1"])["class"] == "resurrected"


def test_keys_that_were_read_before_the_end_are_none(plant: PlantIt, tmp_path: Path) -> None:
    plant(None)
    path = tmp_path / "run" / "E2-etcd" / "nodes" / "etcd2.jsonl"
    header, _, rest = path.read_text().partition("\n")
    origin_wall_ns = json.loads((path.parent.parent / "experiment.json").read_text())["origin_wall_ns"]
    path.write_text(json.dumps({**json.loads(header), "wall_ns": origin_wall_ns}) + "\n" + rest)
    checks = {check.name: check for check in verify_experiment(path.parent.parent)}
    assert checks["keys on etcd2"].verdict is Verdict.UNKNOWN
    assert "before the last operation ended" in checks["keys on etcd2"].summary


def test_a_member_without_a_dump_cannot_be_told(plant: PlantIt) -> None:
    made, checks = plant("missing_dump")
    assert wrong(checks) == set()
    assert wrong(checks, Verdict.UNKNOWN) == {f"keys on {made.details['member']}", "members equal"}


def test_a_divergence_is_found_though_a_third_member_is_missing(plant: PlantIt, tmp_path: Path) -> None:
    plant("diverged_node")
    (tmp_path / "run" / "E2-etcd" / "nodes" / "etcd1.jsonl").unlink()
    checks = {check.name: check for check in verify_experiment(tmp_path / "run" / "E2-etcd")}
    assert wrong(checks) == {"keys on etcd3", "members equal"}
