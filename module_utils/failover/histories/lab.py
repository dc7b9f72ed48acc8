# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the histories of this lab's experiments: what the clients saw, and what the members held at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..checks.calls import add_ends, call_of, history_of
from ..checks.failures import proves_nothing
from ..checks.operations import Call, History
from ..results.files import EXPERIMENT_FILE, HISTORY_FILE, HISTORY_LINES_FILE, RUN_FILE
from ..results.history import read_jsonl
from ..shapes import HISTORY_COLUMNS, HistoryRow, Kind, LabError, Outcome

NAME = "lab"
PARQUET = b"PAR1"

_KINDS = frozenset(kind.value for kind in Kind)
_OUTCOMES = frozenset(outcome.value for outcome in Outcome)


def load(path: Path, *, is_parquet: bool) -> History:
    """Read the history of an experiment, Parquet or JSON lines."""
    return history_of(_read(path, is_parquet=is_parquet))


def _read(path: Path, *, is_parquet: bool) -> dict[str, list[Call]]:
    rows: Iterator[Sequence[Any]]
    if is_parquet:
        # Here and not above: the rest works where there is no pyarrow.
        from ..results.parquet import read_parquet

        meta, table = read_parquet(path)
        rows = zip(*(table[name].to_pylist() for name in HISTORY_COLUMNS), strict=True)
    else:
        meta, rows = read_jsonl(path)
    return _calls(path, rows, meta.get("system"))


def load_folder(folder: Path) -> History:
    """Read an experiment's folder: its history, and each member's keys as reads after its last operation.

    Raises :class:`LabError` where the folder is none of an experiment, or a file of it is damaged.
    """
    if not (folder / EXPERIMENT_FILE).is_file():
        names = sorted(path.parent.name for path in folder.glob(f"*/{EXPERIMENT_FILE}"))
        if names and (folder / RUN_FILE).is_file():
            raise LabError(f"{folder} holds {len(names)} experiments; give one of them: {', '.join(names)}")
        raise LabError(
            f"{folder} is no experiment's folder: it has no {EXPERIMENT_FILE}; give one, or a history's file"
        )
    # Here and not above: the rest works where there is no msgspec.
    from ..results.read import load_experiment

    experiment = load_experiment(folder, need_verdict=False)
    fetched = folder / HISTORY_LINES_FILE
    is_fetched = fetched.is_file()
    calls = _read(fetched if is_fetched else folder / HISTORY_FILE, is_parquet=not is_fetched)
    dumps, notes = [], []
    for member in experiment.members:
        try:
            dumps.append(experiment.dump(member))
        except LabError as error:
            notes.append(f"without what {member} held at the end: {error}")
    add_ends(calls, dumps)
    return history_of(calls, tuple(notes))


def _calls(path: Path, rows: Iterable[Sequence[Any]], system: str | None) -> dict[str, list[Call]]:
    calls: dict[str, list[Call]] = {}
    for number, values in enumerate(rows, 1):
        row = HistoryRow(*values)
        if row.kind not in _KINDS or row.outcome not in _OUTCOMES or not _are_times(row.invoke_ns, row.complete_ns):
            raise LabError(
                f"{path}: row {number} is no operation of this lab (kind {row.kind!r}, outcome {row.outcome!r}, from "
                f"{row.invoke_ns!r} to {row.complete_ns!r}); fetch the history again or repeat the run"
            )
        if row.outcome == Outcome.FAIL.value and proves_nothing(system, row.error):
            row = row._replace(outcome=Outcome.UNKNOWN.value)
        call = call_of(row)
        if call is not None:
            calls.setdefault(row.key, []).append(call)
    return calls


def _are_times(*values: Any) -> bool:
    return all(isinstance(value, int) for value in values)


def looks_so(start: bytes) -> bool:
    """Tell whether a file that begins so is a history of this lab."""
    first = start.partition(b"\n")[0]
    return start.startswith(PARQUET) or (first.startswith(b'{"') and b'"columns"' in first)
