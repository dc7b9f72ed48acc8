# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a check is, and what it is given of an experiment's results.

A check is a file of this folder and a row in ``registry``. It reads nothing but the case and changes no file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..actions.record import FaultRecord
from ..actions.registry import ACTIONS
from ..limits import Limits
from ..measured.columns import columns_of
from ..measured.figures import Measured, measured
from ..results.entries import Entries
from ..results.files import EVENTS_FILE, log_file
from ..results.read import Dump, Experiment, load_experiment
from ..sentences import listing
from ..shapes import Check, Event, LabError
from ..workloads.base import RETRIEVE, Sharing, Workload
from ..workloads.packed import CODE_OF, Stream
from ..workloads.registry import create_simulation, workload_of
from .model import Answers, ExpectedState, expected_state
from .recorded import Recorded, record, resent


@dataclass(frozen=True)
class Case:
    """One experiment's results, read once for all checks, and what its stream allows the data to be.

    The stream is made again from seed and iterations, so that the history is held against something that the lab did
    not write.
    """

    experiment: Experiment
    recorded: Recorded
    sent_again: Collection[int]  # writes of which another attempt may still take effect
    dumps: Mapping[str, Dump]  # member -> its keys
    unreadable: Mapping[str, str]  # member -> why its keys are not known
    events: Sequence[Event]  # in the order of their file
    without_events: LabError | None  # why there are none
    ended: frozenset[str]  # members whose process a fault ended
    log_lines: Mapping[str, int | None]  # member -> lines of its log, None where it has none; only where one was ended
    without_logs: LabError | None  # why they could not be counted
    limits: Limits = field(default_factory=dict)  # that the user set to figures
    explains: bool = True  # whether what is wrong is worth the seconds that explaining it takes

    @property
    def info(self) -> Mapping[str, Any]:
        """Return experiment.json."""
        return self.experiment.info

    @property
    def workload(self) -> Workload:
        """Return what the stream is of."""
        return self.recorded.workload

    @property
    def is_exact(self) -> bool:
        """Whether a key is one client's, so that ``expected`` and ``lenient`` mean something."""
        return self.workload.sharing is Sharing.ONE_CLIENT

    @cached_property
    def expected(self) -> ExpectedState:
        """Return what the data may be; only of an exact case."""
        return expected_state(self.recorded.operations, self._telling)

    @cached_property
    def lenient(self) -> ExpectedState:
        """Return the same, where writes that were sent again may take effect late."""
        if not self.sent_again:
            return self.expected
        return expected_state(self.recorded.operations, self._telling, self.sent_again)

    @cached_property
    def _telling(self) -> Answers:
        """Return the answers that tell what was there at their time: not those of reads that may be old."""
        recorded, answers = self.recorded, self.recorded.answers
        if not recorded.reads_may_be_old:
            return answers
        outcome = answers.outcome.copy()
        for index, code in enumerate(recorded.operations.kinds):
            if code == CODE_OF[RETRIEVE]:
                outcome[index] = None
        return replace(answers, outcome=outcome)

    @cached_property
    def measured(self) -> Measured:
        """Return the figures of its report, as far as anybody asks for them."""
        events = None if self.without_events else sorted(self.events, key=lambda event: event.wall_ns)
        return measured(self.experiment, columns_of(self.recorded.table), events)

    def holding(self, dumps: Mapping[str, Dump]) -> Case:
        """Return the case with other keys on its members; what the history allows them to be stays the same."""
        case = replace(self, dumps=dumps)
        if self.is_exact:
            # Made once: nothing of it depends on the members.
            vars(case).update(expected=self.expected, lenient=self.lenient)
        return case

    @property
    def unread(self) -> str:
        """Say which members' keys are not known, and why; empty where all are."""
        if not self.unreadable:
            return ""
        why = "; ".join(self.unreadable.values())
        return f"what {listing(list(self.unreadable))} held at the end is not known: {why}"

    @property
    def untold(self) -> LabError | None:
        """Return why it is not known what happened besides the operations."""
        return self.without_events or self.without_logs


class Checker(ABC):
    """One thing that is checked."""

    name: str  # of its check; of one that is made for each member or fault, how the names begin
    each: bool = False  # whether it is made for each
    how: str  # for people: how it decides

    def applies(self, case: Case) -> bool:
        """Whether there is anything to say; a check that has to find nothing says nothing."""
        return True

    @abstractmethod
    def judge(self, case: Case) -> Iterable[Check]:
        """Return what is found, with its evidence."""


def load_case(folder: str | Path, limits: Limits | None = None) -> Case:
    """Read one experiment's folder.

    :param limits: that the user set to figures

    Raises :class:`LabError` where the experiment's description or its history cannot be read; what else is missing or
    damaged the case says, and the checks that need it are ``unknown``.
    """
    experiment = load_experiment(folder, need_verdict=False)
    return replace(case_of(experiment, stream_of(experiment)), limits=limits or {})


def stream_of(experiment: Experiment) -> Stream:
    """Make an experiment's stream again, from its seed; LabError where that says nothing that can be made."""
    info = experiment.info
    return create_simulation(info["iterations"], info["seed"], info.get("stream"))


def case_of(experiment: Experiment, operations: Stream) -> Case:
    """Read what belongs to an experiment beside its description; raises as :func:`load_case` does.

    :param operations: its stream
    """
    workload, _ = workload_of(experiment.info.get("stream"))
    events: list[Event] = []
    without_events: LabError | None = None
    try:
        events = _whole(experiment)
    except LabError as error:
        without_events = error
    recorded = record(workload, operations, experiment, events)
    sent_again = resent(recorded, None if without_events else events)
    dumps: dict[str, Dump] = {}
    unreadable: dict[str, str] = {}
    for member in experiment.members:
        try:
            dumps[member] = _dump(member, recorded, experiment, list(dumps.values()))
        except LabError as error:
            unreadable[member] = str(error)
    ended = _ended(experiment)
    log_lines: dict[str, int | None] = {}
    without_logs: LabError | None = None
    try:
        log_lines = {member: _lines(experiment.path / log_file(member)) for member in experiment.members if ended}
    except LabError as error:
        without_logs = error
    return Case(
        experiment,
        recorded,
        sent_again,
        dumps,
        unreadable,
        events,
        without_events,
        ended,
        log_lines,
        without_logs,
    )


def _whole(experiment: Experiment) -> list[Event]:
    """Return the events in the order of their file; LabError where it cannot be read, or was cut between two lines."""
    events = experiment.events_as_filed()
    if not any(event.event == "experiment.finished" for event in events):
        raise LabError(
            f"{experiment.path / EVENTS_FILE} does not say that the experiment ended, so it may be cut short; copy the "
            "results folder again"
        )
    return events


def _dump(member: str, recorded: Recorded, experiment: Experiment, others: Sequence[Dump]) -> Dump:
    """Return a member's keys; LabError where they cannot be read, or were read before the workload was over.

    :param others: what other members hold: as a rule the same, which is kept once
    """
    dump = experiment.dump(member, others)
    ended_ns = experiment.info["origin_wall_ns"] + recorded.ended_ns
    if dump.header.get("wall_ns", ended_ns) < ended_ns:
        raise LabError(f"{dump.path} was read before the last operation ended; read the keys again")
    if others and isinstance(dump.entries, Entries):
        dump.entries.share(others[0].entries)  # the columns that are equal, where not all of it is
    return dump


def _ended(experiment: Experiment) -> frozenset[str]:
    return frozenset(
        record.struck
        for fault in experiment.info["faults"]
        if (record := FaultRecord.of(fault)) is not None and record.fired and ACTIONS[fault["action"]].ends_process
    )


def _lines(path: Path) -> int | None:
    """Count a log's lines that are not blank; None where there is no log."""
    try:
        with path.open("rb") as file:
            return sum(1 for line in file if line.strip())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LabError(f"{path} cannot be read: {error.strerror or error}; copy the results folder again") from error
