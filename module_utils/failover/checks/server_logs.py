# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the servers' own logs are there, where they must say something; said only where one does not.

A log without a word is no sign of a quiet server: the report would tell of an outage in which nobody was elected.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..actions.record import FaultRecord
from ..actions.registry import ACTIONS
from ..results import LOGS_FOLDER, Experiment
from ..shapes import Check, Event, LabError, Verdict

NAME = "server logs"
HOW = "A member that was stopped or started has to say so in its own log, and so do the others of its system."


def check_server_logs(experiment: Experiment, events: Iterable[Event]) -> Check | None:
    """Return a check without a verdict where a log that must say something says nothing; else None."""
    ended = {
        record.struck
        for fault in experiment.info["faults"]
        if (record := FaultRecord.of(fault)) is not None and record.fired and ACTIONS[fault["action"]].ends_process
    }
    if not ended:
        return None
    spoke = {event.source for event in events if event.event.startswith("server.")}
    wrong: dict[str, str] = {}
    for member in experiment.members:
        lines = _lines(experiment, member)
        if lines is None:
            wrong[member] = f"{LOGS_FOLDER}/{member}.log is not there"
        elif lines == 0:
            wrong[member] = f"{LOGS_FOLDER}/{member}.log is empty"
        elif member in ended and member not in spoke:
            wrong[member] = f"nothing could be read from the {lines:,} lines of {LOGS_FOLDER}/{member}.log"
    if not wrong:
        return None
    summary = (
        "What the servers themselves say of their stops, starts and elections is missing: "
        f"{'; '.join(wrong.values())}. Check on the host where the log is written, and in which time zone."
    )
    return Check(NAME, Verdict.UNKNOWN, summary, {"members": wrong, "ended": sorted(ended)})


def _lines(experiment: Experiment, member: str) -> int | None:
    """Count a log's lines that are not blank; None where there is no log."""
    path = experiment.path / LOGS_FOLDER / f"{member}.log"
    try:
        with path.open("rb") as file:
            return sum(1 for line in file if line.strip())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LabError(f"{path} cannot be read: {error.strerror or error}; copy the results folder again") from error
