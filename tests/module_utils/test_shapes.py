# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import time

from failover.shapes import Event


def test_an_event_that_happens_here_is_stamped_here() -> None:
    here = Event.now("client1", "fault.armed", {"fault": "F1"})
    assert abs(time.time_ns() - here.wall_ns) < 5e9
    assert here.as_dict() == {
        "wall_ns": here.wall_ns,
        "source": "client1",
        "event": "fault.armed",
        "data": {"fault": "F1"},
    }
