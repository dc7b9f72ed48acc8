# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json

from failover.checks.transactions import Transactions
from failover.checks.verdict import verify_experiment
from judged import PlantIt, wrong


def test_transactions_that_were_executed_are_valid(plant: PlantIt) -> None:
    _, checks = plant("executed", "E1-mysql")
    assert wrong(checks) == set()
    count = checks[Transactions.name].evidence["transactions"]
    assert count > 500
    expected = f"mysql1 executed the transactions of all {count:,} acknowledged writes."
    assert checks[Transactions.name].summary == expected


def test_a_transaction_that_is_missing_is_caught_and_named_though_its_row_is_there(plant: PlantIt) -> None:
    made, checks = plant("not_executed", "E1-mysql")
    assert wrong(checks) == {Transactions.name}
    evidence = checks[Transactions.name].evidence
    assert [entry["index"] for entry in evidence["lost"]["listed"]] == made.details["indices"]
    assert evidence["lost"]["listed"][0]["without"] == ["mysql1"]
    assert evidence["lost_by_member"] == {"mysql1": 5}


def test_a_system_that_tells_no_transactions_is_not_asked(plant: PlantIt) -> None:
    _, checks = plant(None, "E1-mysql")
    assert Transactions.name not in checks


def test_what_is_no_set_of_transactions_is_told_in_one_line(plant: PlantIt) -> None:
    made, _ = plant("executed", "E1-mysql")
    path = made.path / "E1-mysql" / "experiment.json"
    info = json.loads(path.read_text())
    info["after"]["gtid_executed"] = "5e1f0d0c:1-x"
    path.write_text(json.dumps(info))
    (check,) = [check for check in verify_experiment(made.path / "E1-mysql") if check.verdict != "valid"]
    assert check.verdict == "unknown"
    assert "is no set of MySQL's transactions" in check.summary
