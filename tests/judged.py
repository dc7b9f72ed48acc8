# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What tests ask of an experiment's checks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from failover.results.parquet import read_parquet
from failover.shapes import Check, Verdict
from planted.parts import Planted

# Plants a defect in one experiment and returns what was planted, and that experiment's checks by name.
PlantIt = Callable[..., tuple[Planted, dict[str, Check]]]

ETCD_KEYS = {"keys on etcd1", "keys on etcd2", "keys on etcd3"}


def wrong(checks: dict[str, Check], verdict: Verdict = Verdict.INVALID) -> set[str]:
    return {name for name, check in checks.items() if check.verdict is verdict}


def only(check: Check, where: str = "wrong") -> dict[str, Any]:
    """The one thing that a check lists."""
    listed = check.evidence[where]
    assert listed["count"] == len(listed["listed"]) == 1
    thing: dict[str, Any] = listed["listed"][0]
    return thing


def to_jsonl(folder: Path, change: Callable[[list[Any]], list[Any]] = lambda row: row) -> None:
    """Turn a planted history back into what is fetched from the load generator."""
    meta, table = read_parquet(folder / "history.parquet")
    rows = zip(*(table[name].to_pylist() for name in table.column_names), strict=True)
    lines = [meta, *(change(list(row)) for row in rows)]
    (folder / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "history.parquet").unlink()
