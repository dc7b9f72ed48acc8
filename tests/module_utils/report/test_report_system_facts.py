# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from failover.report import system_facts
from failover.report.system_facts import acknowledged, is_replicated, setting_name, title_of, undurable

REPORT = Path(system_facts.__file__).parent
# What the notebook compared.
MAY_NAME = {"chapters/notebook.py", "templates/notebook.html.j2"}


def test_no_other_part_of_the_report_tells_of_a_system_by_name() -> None:
    """A further system would otherwise have to be looked for in every sentence."""
    named = re.compile("|".join([*system_facts.SYSTEMS, "MySQL"]))
    for path in sorted(REPORT.rglob("*")):
        if path.suffix not in (".py", ".j2") or str(path.relative_to(REPORT)) in MAY_NAME:
            continue
        text = path.read_text(encoding="utf-8")
        told = [text] if path.suffix == ".j2" else literals(text)
        assert not [part for part in told if named.search(part)], path


def literals(text: str) -> list[str]:
    """Return the string literals of a program that document nothing."""
    tree = ast.parse(text)
    documented = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documented
    ]


def test_a_system_that_is_not_known_goes_by_its_name_and_counts_as_replicated() -> None:
    assert (title_of("mysql"), title_of("other")) == ("MySQL", "other")
    assert [is_replicated(system) for system in ("etcd", "mysql", "mysql_cluster", "other")] == [
        True,
        False,
        True,
        True,
    ]
    assert acknowledged({"etcd", "other"}) == ""


@pytest.mark.parametrize("name", ["ETCD_HEARTBEAT_INTERVAL", "heartbeat-interval", "heartbeat_interval"])
def test_a_setting_has_one_spelling(name: str) -> None:
    assert setting_name(name) == "heartbeat_interval"


@pytest.mark.parametrize(
    ("system", "effective", "told"),
    [
        ("etcd", {"unsafe-no-fsync": True}, ["unsafe_no_fsync = true"]),
        ("etcd", {"unsafe-no-fsync": False, "snapshot-count": 5}, []),
        ("etcd", {}, []),
        (
            "mysql",
            {"innodb_flush_log_at_trx_commit": "2", "sync_binlog": "0"},
            ["innodb_flush_log_at_trx_commit = 2", "sync_binlog = 0"],
        ),
        ("mysql_cluster", {"innodb_flush_log_at_trx_commit": 1, "sync_binlog": 0}, ["sync_binlog = 0"]),
        ("quux", {"sync_binlog": "0"}, []),
    ],
)
def test_settings_that_give_up_durability_are_named(system: str, effective: dict[str, object], told: list[str]) -> None:
    assert undurable(system, effective) == told
