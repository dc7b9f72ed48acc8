# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import time

from failover.shapes import place_event


def test_an_event_is_placed_by_who_acted() -> None:
    placed = place_event("fault.signal_sent", {"wall_ns": 5, "source": "etcd2", "fault": "F1"}, "client1")
    assert (placed.wall_ns, placed.source, placed.event, placed.data) == (
        5,
        "etcd2",
        "fault.signal_sent",
        {"fault": "F1"},
    )
    here = place_event("fault.armed", {"fault": "F1"}, "client1")
    assert abs(time.time_ns() - here.wall_ns) < 5e9
    assert here.source == "client1"
