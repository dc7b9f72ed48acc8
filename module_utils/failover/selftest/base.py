# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be planted, and into what: a valid experiment that was recorded.

A kind of plant is a class of this folder and a row in ``registry``. It is a real violation: what it changes cannot be
explained otherwise, by a write of unknown outcome, say, or by one that was sent again.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from ..checks.base import Case, case_of, stream_of
from ..checks.words import names
from ..results.entries import Entry
from ..results.files import WATCH_FILE
from ..results.parquet import SCHEMA
from ..results.read import Dump, Experiment, load_experiment
from ..results.rows import Rows
from ..results.watched import SCHEMA as WATCH_SCHEMA
from ..shapes import WRITE_KINDS, Event, HistoryRow, LabError, Outcome, Verdict, worst
from ..shapes import Kind as OperationKind
from ..workloads.base import Content, value_of
from .judging import Accusation, Judged, judge, judge_all, unless_broken

# What a value may become where nobody gave it: each letter and digit another one of its kind.
_ALPHABETS = ("0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")

# How often a key is taken as the pattern of one that nobody wrote.
LIKE_ONE = 20

Dumps = Mapping[str, Dump]
# Row of the history -> column -> what stands there instead.
Changes = Mapping[int, Mapping[str, Any]]


@dataclass(frozen=True)
class Held(Experiment):
    """An experiment whose files were read; what is planted stands in their place."""

    meta: dict[str, Any]
    table: pa.Table
    filed: list[Event]
    dumps: Dumps
    watched: pa.Table | None  # None where no watch was kept

    def watch(self) -> Rows:
        """Return what its watch was told."""
        return Rows(self.watched, WATCH_SCHEMA)

    def history(self) -> tuple[dict[str, Any], Rows]:
        """Return the history's meta object and its rows."""
        return self.meta, Rows(self.table, SCHEMA)

    def events_as_filed(self) -> list[Event]:
        """Return the events in the order of their file."""
        return self.filed

    def dump(self, member: str, others: Sequence[Dump] = ()) -> Dump:
        """Return the keys of one member."""
        return self.dumps[member]


def _unexplained(case: Case) -> Case:
    """Return a case whose checks say what is wrong, and look for no small part of the history that shows it."""
    return replace(case, explains=False)


class Site:
    """A recorded experiment that is valid, read once, and what of it may be changed."""

    def __init__(self, folder: Path) -> None:
        """Read the experiment and judge it as what is planted will be.

        Raises :class:`LabError` where it cannot be read, or is not valid.
        """
        read = load_experiment(folder, need_verdict=False)
        meta, rows = read.history()
        dumps: dict[str, Dump] = {}
        for member in read.members:
            dumps[member] = read.dump(member, list(dumps.values()))
        self.folder = folder.absolute()
        watched = read.watch().table() if (read.path / WATCH_FILE).is_file() else None
        self.experiment = Held(*_fields(read), meta, rows.table(), read.events_as_filed(), dumps, watched)
        self.operations = stream_of(read)
        self.case = _unexplained(case_of(self.experiment, self.operations))
        checks = judge_all(self.case)
        self.checks = {check.name for check in checks}
        amiss = [check for check in checks if check.verdict is not Verdict.VALID]
        if amiss:
            verdict = worst([check.verdict for check in amiss])
            raise LabError(
                f"{folder} is {verdict.value} ({names(check.name for check in amiss)}): a selftest begins from a "
                "valid run; give one with -e results_run=FOLDER, or make one: ./scripts/lab run -e iterations=2000"
            )

    @property
    def name(self) -> str:
        """Return the experiment's name."""
        return self.experiment.name

    @property
    def system(self) -> str:
        """Return the name of its system."""
        return str(self.experiment.info["system"])

    @property
    def members(self) -> list[str]:
        """Return its members."""
        return self.experiment.members

    @property
    def holds_lists(self) -> bool:
        """Whether the keys hold lists."""
        return self.case.workload.content is Content.LIST

    @property
    def holds_shared_values(self) -> bool:
        """Whether the keys hold values and belong to all clients."""
        return not self.case.is_exact and not self.holds_lists

    @property
    def counts(self) -> bool:
        """Whether the members count the changes of a key."""
        return any(entry.version is not None for entry in next(iter(self.case.dumps.values())).entries.values())

    @cached_property
    def touched(self) -> dict[str, list[int]]:
        """Return the indexes of each key's operations, in the order of the stream."""
        found: dict[str, list[int]] = {}
        for index, operation in enumerate(self.operations):
            found.setdefault(operation[1], []).append(index)
        return found

    @cached_property
    def sent_again(self) -> set[str]:
        """Return the keys of which a write may take effect once more."""
        return {self.operations[index][1] for index in self.case.sent_again}

    @cached_property
    def unsure(self) -> set[str]:
        """Return the keys of which a write is of unknown outcome, or may take effect once more."""
        answers = self.case.recorded.answers
        return self.sent_again | {
            operation[1]
            for operation, outcome in zip(self.operations, answers.outcome, strict=True)
            if outcome not in (Outcome.OK.value, Outcome.FAIL.value)
        }

    @cached_property
    def given(self) -> set[str]:
        """Return every value, or element, that the stream has."""
        return {value for operation in self.operations if (value := value_of(operation)) is not None}

    def keys_held(self) -> list[str]:
        """Return the keys that the members hold, which are the same everywhere."""
        return sorted(next(iter(self.case.dumps.values())).entries)

    def rows_of(self, key: str) -> list[HistoryRow]:
        """Return a key's operations in the order of the stream."""
        return [self.case.recorded.row(index) for index in self.touched.get(key, ())]

    def told(self, index: int) -> str:
        """Name an operation for people."""
        operation = self.operations[index]
        return f"operation {index} ({operation[0]} of {operation[1]!r})"

    def unheard(self, like: str, source: random.Random) -> str:
        """Return a value like another one that nobody ever gave."""
        while True:
            changed = "".join(_other(letter, source) for letter in like) if like else "0"
            if changed not in self.given:
                return changed
            like += "0"

    def with_dumps(self, dumps: Dumps) -> Case:
        """Return the case with other keys on some of its members."""
        return self.case.holding({**self.case.dumps, **dumps})

    def with_rows(self, changes: Changes, dumps: Dumps | None = None) -> Case:
        """Return the case of a history of which some rows say something else."""
        dumps = {**self.case.dumps, **(dumps or {})}
        table = with_changes(self.experiment.table, changes)
        held = replace(self.experiment, table=table, dumps=dumps)
        return _unexplained(case_of(held, self.operations))

    @property
    def watched(self) -> pa.Table:
        """Return what its watch was told."""
        return self.experiment.watched

    @cached_property
    def acknowledged_at(self) -> set[int]:
        """Return the revisions with which writes were acknowledged that changed their key for certain."""
        names = ("outcome", "kind", "affected", "revision")
        columns = [self.experiment.table[name].to_pylist() for name in names]
        return {
            revision
            for outcome, kind, affected, revision in zip(*columns, strict=True)
            if revision is not None
            and outcome == Outcome.OK
            and kind in WRITE_KINDS
            and (affected or kind not in (OperationKind.DELETE, OperationKind.CAS))
        }

    def with_watch(self, watched: pa.Table) -> Case:
        """Return the case with something else that its watch was told."""
        return replace(self.case, experiment=replace(self.experiment, watched=watched))

    def row_of(self, index: int) -> int:
        """Return the row of the history that an operation has; below 0 where it has none."""
        return int(self.case.recorded.row_of[index])


class Planted(Protocol):
    """Something planted at one place."""

    @property
    def where(self) -> str:
        """Return where, for people."""

    def judged(self) -> Judged:
        """Let the checks judge it."""


@dataclass(frozen=True)
class InMemory:
    """Something planted into what was read of an experiment."""

    where: str
    make: Callable[[], Case]  # the case with it
    accused_by: Sequence[Accusation]  # the checks that have to be invalid, and what they have to name

    def judged(self) -> Judged:
        """Let those checks judge the case."""
        return unless_broken(lambda: judge(self.make(), self.accused_by))


class Kind(ABC):
    """One way in which a class of faults shows in a history."""

    of: str  # the class, one of registry.CLASSES

    @abstractmethod
    def fits(self, site: Site) -> bool:
        """Whether such a fault can show in what this experiment recorded."""

    @abstractmethod
    def places(self, site: Site) -> Sequence[Any]:
        """Return where it may be planted; some of them turn out to be none."""

    @abstractmethod
    def plant(self, site: Site, place: Any, source: random.Random) -> Planted | None:
        """Return what is planted at a place; None where it would be no violation there.

        :param source: of whatever is drawn
        """


def with_changes(table: pa.Table, changes: Changes) -> pa.Table:
    """Return a history of which some rows say something else; what stays is shared, not copied."""
    by_column: dict[str, dict[int, Any]] = {}
    for row, values in changes.items():
        for name, value in values.items():
            by_column.setdefault(name, {})[row] = value
    for name, instead in by_column.items():
        column = table[name]
        pieces: list[pa.Array] = []
        begin = 0
        for row, value in sorted(instead.items()):
            pieces += column.slice(begin, row - begin).chunks
            pieces.append(pa.array([value], column.type))
            begin = row + 1
        pieces += column.slice(begin).chunks
        table = table.set_column(table.column_names.index(name), table.schema.field(name), pa.chunked_array(pieces))
    return table


def changed(dump: Dump, key: str, entry: Entry | None) -> Dump:
    """Return a member's keys with another entry of one key; None: without it."""
    entries = dict(dump.entries)
    entries.pop(key, None)
    if entry is not None:
        entries[key] = entry
    return Dump(dump.member, dump.path, {**dump.header, "count": len(entries)}, entries)


def _fields(experiment: Experiment) -> tuple[str, Path, dict[str, Any], dict[str, Any] | None]:
    return experiment.name, experiment.path, experiment.info, experiment.verdict


def _other(letter: str, source: random.Random) -> str:
    """Return another letter, or digit, of the same kind; of what is neither, itself."""
    alphabet = next((letters for letters in _ALPHABETS if letter in letters), None)
    return letter if alphabet is None else source.choice(alphabet.replace(letter, ""))
