# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from pathlib import Path

import pytest
from failover.actions.record import FaultRecord
from failover.agent.store import Store

RECORD = FaultRecord("F1", "t1", "slow_disk", member="etcd2", options={"write_iops": 20}, effect="slower")


@pytest.mark.parametrize("durable", [True, False])
def test_what_was_saved_is_loaded_with_its_expiry(tmp_path: Path, durable: bool) -> None:
    Store(str(tmp_path)).save([{"record": RECORD.as_answer(), "expires_wall_ns": 5}], durable=durable)
    assert Store(str(tmp_path)).load() == [(RECORD, 5)]
    assert [path.name for path in tmp_path.iterdir()] == ["faults.json"]


def test_a_folder_without_records_has_none(tmp_path: Path) -> None:
    assert Store(str(tmp_path)).load() == []


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"faults": [{"record": {"colour": "red"}, "expires_wall_ns": 5}]}'])
def test_what_cannot_be_read_is_put_aside(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "faults.json").write_text(text)
    assert Store(str(tmp_path)).load() == []
    assert (tmp_path / "faults.broken").read_text() == text
    assert "it was moved to" in capsys.readouterr().err
