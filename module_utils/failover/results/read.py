# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading a results folder, distrusting every file of it.

The layout and the keys are those of :mod:`..shapes`. Whatever is missing, cut short, damaged or of another
schema raises :class:`LabError` with the file, what is wrong with it and what to try.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..shapes import EXPERIMENT_KEYS, RUN_KEYS, SCHEMA_VERSION, Event, LabError, Verdict
from ..typed import misfit
from .entries import Entries, Entry, RepeatedKeyError
from .files import (
    EVENTS_FILE,
    EXPERIMENT_FILE,
    HISTORY_FILE,
    HISTORY_LINES_FILE,
    LOG_FILES,
    RUN_FILE,
    VERDICT_FILE,
    keys_file,
)

if TYPE_CHECKING:
    from .rows import Rows

# Of two files that are compared.
_BYTES_AT_ONCE = 1 << 20
_FETCH_AGAIN = "copy the results folder again, or repeat the run"

# What a value of run.json or experiment.json has to be where the readers rely on it.
_RUN_TYPES: dict[str, Any] = {
    "run_id": str,
    "seed": int,
    "iterations": int,
    "clients": int,
    "repeats": dict[str, Any],
    "resumed_at": list[str],
    "experiments": list[str],
    "hosts": dict[str, Any],
    "settings": dict[str, Any],
    "versions": dict[str, Any],
    "controller": dict[str, Any],
}
_EXPERIMENT_TYPES: dict[str, Any] = {
    "name": str,
    "title": str,
    "system": str,
    "iterations": int,
    "seed": int,
    "clients": int,
    "key_prefix": str,
    "members": dict[str, dict[str, Any]],
    "faults": list[dict[str, Any]],
    "repeats": list[dict[str, Any]],
    "origin_wall_ns": int,
    "workload": dict[str, Any],
    "before": dict[str, Any],
    "after": dict[str, Any],
    "convergence": dict[str, Any] | None,
}
_RunFile = msgspec.defstruct("_RunFile", [(key, _RUN_TYPES.get(key, Any)) for key in RUN_KEYS])
_ExperimentFile = msgspec.defstruct(
    "_ExperimentFile", [(key, _EXPERIMENT_TYPES.get(key, Any)) for key in EXPERIMENT_KEYS]
)


class _JudgedCheck(msgspec.Struct):
    verdict: Verdict


class _VerdictFile(msgspec.Struct):
    verdict: Verdict
    checks: list[_JudgedCheck]
    judged: dict[str, str] = {}  # older verdicts say nothing of it


@dataclass(frozen=True)
class Dump:
    """Every key of one member, without the experiment's key prefix."""

    member: str
    path: Path
    header: dict[str, Any]
    entries: Mapping[str, Entry]


@dataclass(frozen=True)
class Experiment:
    """One experiment's folder. The big files are read when asked for."""

    name: str
    path: Path
    info: dict[str, Any]  # experiment.json, with EXPERIMENT_KEYS
    verdict: dict[str, Any] | None  # verdict.json; None only where the loader was told not to need it

    @property
    def members(self) -> list[str]:
        """The members' names, in the order of experiment.json."""
        return list(self.info["members"])

    @property
    def member_at(self) -> dict[str, str]:
        """The member that serves clients at each "host:port"."""
        return {
            str(given.get("address") or given.get("client_url", "")).split("://")[-1]: name
            for name, given in self.info["members"].items()
        }

    @property
    def load_generators(self) -> list[dict[str, Any]]:
        """The hosts of the clients, as experiment.json has them; older folders do not say."""
        return list(self.info["workload"].get("load_generators", []))

    @property
    def logs(self) -> list[Path]:
        """The servers' logs, by host name; there may be none."""
        return sorted(self.path.glob(LOG_FILES))

    def history(self) -> tuple[dict[str, Any], Rows]:
        """Return the history's meta object and its rows."""
        # Here and not above: the rest works where there is no pyarrow.
        from .parquet import open_history

        return open_history(self.path)

    def watch(self) -> Rows:
        """Return what its watch was told, WATCH_COLUMNS; LabError where that cannot be read."""
        from .watched import open_watch

        return open_watch(self.path)

    def events(self) -> list[Event]:
        """Return the events in the order of their wall time."""
        return read_events(self.path / EVENTS_FILE)

    def events_as_filed(self) -> list[Event]:
        """Return the events in the order of their file."""
        return list(_events_of(self.path / EVENTS_FILE))

    def dump(self, member: str, others: Sequence[Dump] = ()) -> Dump:
        """Return the keys of one member.

        :param others: of other members, as far as they were read before: as a rule the same, which is kept once
        """
        return read_dump(self.path / keys_file(member), self.info["key_prefix"], others)

    def read_verdict(self) -> dict[str, Any]:
        """Return verdict.json as it is on disk now."""
        return read_verdict(self.path / VERDICT_FILE)


@dataclass(frozen=True)
class Run:
    """A run's folder."""

    path: Path
    info: dict[str, Any]  # run.json, with RUN_KEYS
    experiments: list[Experiment]  # in the order they ran
    verdict: dict[str, Any] | None  # verdict.json of the run; None only where the loader was told not to need it

    @property
    def left_out(self) -> dict[str, str]:
        """Return why an experiment was not run, by its name: its system was not whole any more."""
        return self.info.get("left_out") or {}

    @property
    def stream(self) -> dict[str, Any]:
        """Return name and options of its workload, which all its experiments have; empty for the usual one."""
        return next((each.info["stream"] for each in self.experiments if "stream" in each.info), {})


def load_run(path: str | Path, *, need_verdicts: bool = True) -> Run:
    """Load ``results/RUN``. The checkers, which write the verdicts, pass ``need_verdicts=False``."""
    path = Path(path)
    info = read_run(path)
    experiments = [load_experiment(path / name, need_verdict=need_verdicts) for name in info["experiments"]]
    return Run(path, info, experiments, read_verdict(path / VERDICT_FILE) if need_verdicts else None)


def read_run(path: Path) -> dict[str, Any]:
    """Return run.json of a run's folder."""
    if not path.is_dir():
        raise LabError(f"results folder {path} does not exist; give a folder under results/, or run the lab first")
    info = read_json(path / RUN_FILE, "the run's description")
    _check_keys(path / RUN_FILE, info, _RunFile)
    names = info["experiments"]
    if not names or not all(name == Path(name).name for name in names):
        raise LabError(f"{path / RUN_FILE}: experiments has to list folder names, it is {names!r}; {_FETCH_AGAIN}")
    if len(set(names)) != len(names):
        raise LabError(f"{path / RUN_FILE}: experiments names one of {names!r} twice; {_FETCH_AGAIN}")
    return info


def load_experiment(path: str | Path, *, need_verdict: bool = True) -> Experiment:
    """Load one experiment's folder; the history has to be there, events and dumps may be missing."""
    path = Path(path)
    if not path.is_dir():
        raise LabError(f"experiment folder {path} is missing; {_FETCH_AGAIN}")
    info = read_json(path / EXPERIMENT_FILE, "the experiment's description")
    _check_keys(path / EXPERIMENT_FILE, info, _ExperimentFile)
    if info["name"] != path.name:
        raise LabError(f"{path / EXPERIMENT_FILE} is for experiment {info['name']}, not {path.name}; {_FETCH_AGAIN}")
    if not any((path / name).is_file() for name in (HISTORY_FILE, HISTORY_LINES_FILE)):
        raise LabError(f"{path / HISTORY_FILE} is missing; {_FETCH_AGAIN}")
    return Experiment(path.name, path, info, read_verdict(path / VERDICT_FILE) if need_verdict else None)


def read_json(path: Path, what: str) -> dict[str, Any]:
    """Return the JSON object in a file; the mark that some editors put before it (BOM) does no harm."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise LabError(f"{path} ({what}) is missing; {_FETCH_AGAIN}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{path} ({what}) cannot be read: {error}; {_FETCH_AGAIN}") from error
    try:
        value = json.loads(text)
    except ValueError as error:
        state = "is empty" if not text.strip() else f"is damaged or cut short ({error})"
        raise LabError(f"{path} ({what}) {state}; {_FETCH_AGAIN}") from error
    if not isinstance(value, dict):
        raise LabError(f"{path} ({what}) is not a JSON object; {_FETCH_AGAIN}")
    return value


def read_json_lines(path: Path) -> Iterator[Any]:
    """Yield the value of each line; a last line without its newline counts as cut short."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    raise LabError(f"{path} is cut short in line {number}; {_FETCH_AGAIN}")
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise LabError(f"{path} is damaged in line {number} ({error}); {_FETCH_AGAIN}") from error
    except FileNotFoundError as error:
        raise LabError(f"{path} is missing; {_FETCH_AGAIN}") from error
    except OSError as error:
        raise LabError(f"{path} cannot be read: {error.strerror or error}; {_FETCH_AGAIN}") from error


def read_events(path: Path) -> list[Event]:
    """Return the events of a file, ordered by ``wall_ns``."""
    return sorted(_events_of(path), key=lambda event: event.wall_ns)


def _events_of(path: Path) -> Iterator[Event]:
    for number, line in enumerate(read_json_lines(path), 1):
        try:
            event = Event(line["wall_ns"], line["source"], line["event"], line.get("data") or {})
        except (TypeError, KeyError, AttributeError) as error:
            raise LabError(f"{path}: line {number} is not an event ({error!r}); {_FETCH_AGAIN}") from error
        if not isinstance(event.wall_ns, int):
            raise LabError(f"{path}: wall_ns of line {number} is not a whole number; {_FETCH_AGAIN}")
        if not isinstance(event.data, dict):
            raise LabError(f"{path}: data of line {number} is no object; {_FETCH_AGAIN}")
        yield event


def read_dump(path: Path, key_prefix: str, others: Sequence[Dump] = ()) -> Dump:
    """Return every key of one member. The header has to be of this member and prefix, and to count the keys right.

    :param others: with the same prefix; where what stands below the headers is the same, the entries are shared
    """
    lines = read_json_lines(path)
    header = next(lines, None)
    if not isinstance(header, dict):
        raise LabError(f"{path} does not start with a header object; {_FETCH_AGAIN}")
    for name, wanted in (("member", path.stem), ("prefix", key_prefix)):
        if header.get(name, wanted) != wanted:
            raise LabError(f"{path} is of {name} {header[name]!r}, not {wanted!r}; {_FETCH_AGAIN}")
    same = next((other.entries for other in others if _same_below_the_header(path, other.path)), None)
    try:
        entries = _entries_of(path, lines, key_prefix) if same is None else same
    except RepeatedKeyError as error:
        raise LabError(f"{path}: line {error.number + 2} repeats the key {error.key!r}; {_FETCH_AGAIN}") from error
    if header.get("count", len(entries)) != len(entries):
        raise LabError(f"{path} has {len(entries)} keys, its header says {header['count']}; {_FETCH_AGAIN}")
    return Dump(path.stem, path, header, entries)


def _same_below_the_header(one: Path, other: Path) -> bool:
    try:
        with one.open("rb") as first, other.open("rb") as second:
            first.readline()
            second.readline()
            while (some := first.read(_BYTES_AT_ONCE)) == second.read(_BYTES_AT_ONCE):
                if not some:
                    return True
    except OSError:
        pass  # whoever reads the lines says so
    return False


def _entries_of(path: Path, lines: Iterator[Any], key_prefix: str) -> Mapping[str, Entry]:
    entries = Entries()
    try:
        for number, line in enumerate(lines, 2):
            if not isinstance(line, list) or len(line) != 4 or not isinstance(line[0], str):
                raise LabError(f"{path}: line {number} is not [key, value, version, mod_revision]; {_FETCH_AGAIN}")
            entries.add(line[0].removeprefix(key_prefix), *line[1:])
    finally:
        entries.finish()  # a key that is repeated above what is damaged is told first
    return entries


def read_verdict(path: Path) -> dict[str, Any]:
    """Return a verdict.json, of an experiment or a run; LabError where it is missing, damaged or none of this lab."""
    if not path.is_file():
        raise LabError(f"{path} is missing; verify the run first: ansible-playbook playbooks/verify.yml")
    verdict = read_json(path, "the verdict")
    _check_version(path, verdict.get("schema_version", SCHEMA_VERSION))  # older verdicts lack it
    if misfit(verdict, _VerdictFile):
        raise LabError(f"{path} is not a verdict of this lab; verify again: ansible-playbook playbooks/verify.yml")
    return verdict


def _check_version(path: Path, version: Any) -> None:
    if version != SCHEMA_VERSION:
        raise LabError(
            f"{path} has schema {version!r}, this version of the lab reads {SCHEMA_VERSION}; "
            "use the version that wrote it, or repeat the run"
        )


def _check_keys(path: Path, value: dict[str, Any], kind: type[msgspec.Struct]) -> None:
    _check_version(path, value.get("schema_version"))
    found = misfit(value, kind)
    if found:
        raise LabError(f"{path}{found.of_a_file}; {_FETCH_AGAIN}")
