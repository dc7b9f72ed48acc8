# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from failover.measured.columns import columns_of
from failover.measured.outages import place_faults
from failover.measured.timeline import timeline_of
from failover.results.read import load_run
from planted.run import make_run

S = 10**9


def test_a_fault_is_placed_by_its_events_or_else_by_its_record(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", iterations=400, experiments=["E2-etcd"]).path
    (experiment,) = load_run(run, need_verdicts=False).experiments
    columns = columns_of(experiment.history()[1])
    found = []
    for recorded in (experiment.events(), None):
        timeline = timeline_of(experiment, columns, recorded)
        assert (timeline.note, timeline.definition) == (None, experiment.info)
        assert (timeline.events is None) is (recorded is None)
        ((fault,), _) = place_faults(timeline.definition, columns, timeline.events, timeline.clocks)
        outage = fault.outage()
        assert outage is not None
        assert outage.gap is not None
        found.append((fault.moment_wall_ns, outage.gap))
    assert found[0] == found[1]


def test_where_a_clock_was_set_there_are_no_events_and_the_reason_is_told(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", iterations=400, experiments=["E2-etcd"]).path
    (experiment,) = load_run(run, need_verdicts=False).experiments
    columns = columns_of(experiment.history()[1])
    events = experiment.events()
    half = len(events) // 2
    set_back = [*events[:half], *(replace(event, wall_ns=event.wall_ns - 3600 * S) for event in events[half:])]
    lines = (event.as_dict() for event in set_back)
    (experiment.path / "events.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    timeline = timeline_of(experiment, columns, sorted(set_back, key=lambda event: event.wall_ns))
    assert timeline.events is None
    assert "a wall clock was set" in str(timeline.note)
    ((fault,), _) = place_faults(timeline.definition, columns, timeline.events, timeline.clocks)
    assert fault.outage() is None
