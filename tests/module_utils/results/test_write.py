# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from pathlib import Path

import pytest
from failover.results.write import append_events, line_of
from failover.shapes import Event, LabError


def test_events_are_appended_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events = [Event(number, "client1", "cluster.sample", {"member": "Zoë"}) for number in range(2)]
    for event in events:
        append_events(path, [event])
    assert path.read_text(encoding="utf-8") == "".join(map(line_of, events))
    assert [json.loads(line)["wall_ns"] for line in path.read_text().splitlines()] == [0, 1]


def test_a_full_disk_is_named() -> None:
    with pytest.raises(LabError, match=r"^/dev/full cannot be written: No space left on device; check the space"):
        append_events("/dev/full", [Event(1, "client1", "cluster.sample", {})])
