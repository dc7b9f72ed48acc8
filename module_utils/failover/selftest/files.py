# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Faults in the files of a results folder, judged as ``verify``, ``verdict`` and ``report`` judge them.

They are planted into a copy that has links in place of the files which stay as they are.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ..checks.verdict import verify, write_run_verdict
from ..results.files import EVENTS_FILE, EXPERIMENT_FILE, HISTORY_FILE, RUN_FILE, VERDICT_FILE, keys_file
from ..results.judged import judged_of_experiment, read_judgement
from ..results.parquet import META_KEY
from ..results.read import Dump, read_json
from ..results.write import write_json_atomic
from ..shapes import LabError, Verdict
from .base import InMemory, Kind, Site
from .judging import Judged, unless_broken

_DAY_NS = 86_400 * 1_000_000_000
# Places of which each is drawn by its number: where in a file it is cut.
_CUTS = 1_000


class Copy:
    """A run's folder of which some files are its own, and the others links."""

    def __init__(self, folder: Path, site: Site) -> None:
        self.folder = folder
        self.experiment = folder / site.name

    @property
    def name(self) -> str:
        """Return the experiment's name."""
        return self.experiment.name

    def own(self, path: Path) -> Path:
        """Return a file that is no link any more, so that it can be changed."""
        whole = path.resolve()
        path.unlink()
        shutil.copyfile(whole, path)
        return path

    def replace(self, path: Path, other: Path) -> None:
        """Put another file into a file's place."""
        path.unlink()
        shutil.copyfile(other, path)


@contextmanager
def copied(site: Site) -> Iterator[Copy]:
    """Return a copy of the run's folder, for as long as it is needed."""
    run = site.folder.parent.resolve()
    with tempfile.TemporaryDirectory(prefix="failover-lab-selftest-") as place:
        folder = Path(place) / run.name
        for path in sorted(run.rglob("*")):
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(run).parts):
                link = folder / path.relative_to(run)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(path.resolve())
        yield Copy(folder, site)


@dataclass(frozen=True)
class FilePlant:
    """Something planted into the files of a copy."""

    where: str
    site: Site
    change: Callable[[Copy], None]
    judge: Callable[[Copy], Judged]

    def judged(self) -> Judged:
        """Make the copy, plant, and judge it."""
        with copied(self.site) as copy:
            self.change(copy)
            return unless_broken(lambda: self.judge(copy))


def judge_file(copy: Copy, name: str, *, again: bool, words: Sequence[str] = ()) -> Judged:
    """Judge a copy with one file that is not what it was.

    The verdict that is there may not be repeated, and the file has to be named. And where the files are checked again,
    they may not be valid.

    :param name: of the file, relative to the run's folder
    :param again: whether checking the files again can tell, too
    :param words: of which one is enough to say in such a check which file it is, beside its path
    """
    try:
        _, differences = read_judgement(copy.folder)
        stale, said = not differences.none, differences.sentence
    except LabError as error:
        stale, said = True, str(error)
    caught, named, found = stale, name in said, f"the verdict: {said or 'taken for one on these files'}"
    if again:
        try:
            told = verify(copy.folder, copy.name)
            wrong, summaries = told["verdict"] != Verdict.VALID.value, [c["summary"] for c in _amiss(told)]
        except LabError as error:
            wrong, summaries = True, [str(error)]
        caught = caught and wrong
        named = named and any(word in text for text in summaries for word in (name, *words))
        found += f"; checked again: {' '.join(summaries) or 'valid'}"
    return Judged(caught, caught and named, found)


def _amiss(told: dict[str, Any]) -> list[dict[str, Any]]:
    return [check for check in told["checks"] if check["verdict"] != Verdict.VALID.value]


class _Files(Kind):
    """A fault in files; every results folder has them."""

    def fits(self, site: Site) -> bool:
        return True


class Cut(_Files):
    """A file ends too soon."""

    of = "cut-file"

    def places(self, site: Site) -> Sequence[tuple[str, int]]:
        """Return each file that is judged, again and again."""
        own = [HISTORY_FILE, EVENTS_FILE, EXPERIMENT_FILE, VERDICT_FILE, *map(keys_file, site.members)]
        names = [*(f"{site.name}/{name}" for name in own), RUN_FILE, VERDICT_FILE]
        return [(name, number) for number in range(_CUTS) for name in names]

    def plant(self, site: Site, place: tuple[str, int], source: random.Random) -> FilePlant | None:
        """Draw where it ends: before its last sign, which may be the end of a line only."""
        name, _ = place
        path = site.folder.parent / name
        if not path.is_file():
            return None  # an older folder, with the history in another form
        size = path.stat().st_size
        kept = source.randrange(size - 1)
        if name.endswith(EVENTS_FILE):
            # Cut between two lines after the workload's end it looks whole; its digest tells, and nothing else.
            with path.open("rb") as file:
                file.seek(max(0, kept - 1))
                if kept and file.read(1) == b"\n":
                    kept += 1

        def cut(copy: Copy) -> None:
            with copy.own(copy.folder / name).open("rb+") as file:
                file.truncate(kept)

        # Of a verdict it is not asked what the files say.
        again = not name.endswith(VERDICT_FILE)
        return FilePlant(
            f"{name} cut after {kept} of {size} bytes", site, cut, lambda copy: judge_file(copy, name, again=again)
        )


class Foreign(_Files):
    """A file of another run, or of another experiment or member, is in a file's place."""

    of = "foreign-file"

    def places(self, site: Site) -> Sequence[tuple[str, str]]:
        """Return what is put where: a file, and whose it is instead."""
        days = [f"{days:+d} days" for days in (*range(-30, 0), *range(1, 31))]
        found = [(name, other) for name in (HISTORY_FILE, EVENTS_FILE) for other in days]
        # Keys that were read later are not known by that, only by their digest.
        found += [(keys_file(member), other) for member in site.members for other in days if other.startswith("-")]
        found += [
            (keys_file(member), keys_file(other))
            for member in site.members
            for other in site.members
            if other != member
        ]
        others = [
            path.parent
            for path in sorted(site.folder.parent.glob(f"*/{EXPERIMENT_FILE}"))
            if path.parent.name != site.name
        ]
        found += [(name, str(other / name)) for other in others for name in (HISTORY_FILE, EXPERIMENT_FILE)]
        return found

    def plant(self, site: Site, place: tuple[str, str], source: random.Random) -> FilePlant | None:
        """Put it there."""
        name, other = place
        if not (site.folder / name).is_file():
            return None
        days = int(other.removesuffix(" days")) if other.endswith(" days") else 0
        if days:
            where = f"{site.name}/{name} of a run {days:+d} days from this one"
        else:
            whole = site.folder / other
            where = f"{site.name}/{name} is {whole.relative_to(site.folder.parent)}"
            if not whole.is_file():
                return None

        def change(copy: Copy) -> None:
            path = copy.experiment / name
            if days:
                _shift(copy.own(path), days * _DAY_NS)
            else:
                copy.replace(path, (site.folder / other).resolve())

        # What an event's time contradicts is the history; a history's origin, the experiment.
        words = {HISTORY_FILE: "belongs to another run", EVENTS_FILE: "among the events"}.get(name)
        again = [words] if words else []
        return FilePlant(
            where, site, change, lambda copy: judge_file(copy, f"{site.name}/{name}", again=True, words=again)
        )


def _shift(path: Path, by_ns: int) -> None:
    """Make a file what it would be of a run at another time."""
    if path.name == HISTORY_FILE:
        table = pq.read_table(path)
        meta = json.loads(table.schema.metadata[META_KEY])
        meta["origin_wall_ns"] += by_ns
        pq.write_table(table.replace_schema_metadata({META_KEY: json.dumps(meta).encode()}), path, compression="zstd")
        return
    with path.open(encoding="utf-8") as file:
        lines = file.readlines()
    shifted = len(lines) if path.name == EVENTS_FILE else 1  # of a member's keys the first line alone has a time
    for number, line in enumerate(lines[:shifted]):
        value = json.loads(line)
        value["wall_ns"] = value.get("wall_ns", 0) + by_ns
        lines[number] = json.dumps(value, ensure_ascii=False) + "\n"
    path.write_text("".join(lines), encoding="utf-8")


class _Edited(_Files):
    """A verdict that was edited by hand."""

    of = "edited-verdict"

    def places(self, site: Site) -> Sequence[int]:
        """Return the numbers of ways to edit it."""
        return range(_CUTS)

    @abstractmethod
    def plant(self, site: Site, place: int, source: random.Random) -> FilePlant | None:
        """Draw what is edited."""


class EditedOnce(_Edited):
    """One verdict.json, of the run or of the experiment, says something else."""

    def plant(self, site: Site, place: int, source: random.Random) -> FilePlant:
        """Draw which of the two, and what."""
        name = source.choice([VERDICT_FILE, f"{site.name}/{VERDICT_FILE}"])
        verdict = read_json(site.folder.parent / name, "the verdict")
        at = source.randrange(len(verdict["checks"]))
        check = verdict["checks"][at]
        way = source.choice(["the verdict", "a check", "a summary", "a check left out"])
        if way == "the verdict":
            verdict["verdict"] = Verdict.UNKNOWN.value
            told = "the verdict is unknown"
        elif way == "a check":
            check["verdict"] = Verdict.INVALID.value
            told = f"{check['name']} is invalid"
        elif way == "a summary":
            check["summary"] += " Indeed."
            told = f"{check['name']} says more"
        else:
            del verdict["checks"][at]
            told = f"{check['name']} is left out"

        def change(copy: Copy) -> None:
            copy.own(copy.folder / name)
            write_json_atomic(copy.folder / name, verdict)

        return FilePlant(f"{name}: {told}", site, change, lambda copy: judge_file(copy, name, again=False))


class Forged(_Edited):
    """The members' keys are wrong, and all verdicts, with their digests, say valid: only checking again can tell."""

    def __init__(self, damages: Sequence[Kind]) -> None:
        """Take the kinds of plants that change what members hold."""
        self.damages = damages

    def plant(self, site: Site, place: int, source: random.Random) -> FilePlant | None:
        """Draw what is wrong with the keys."""
        fitting = [kind for kind in self.damages if kind.fits(site)]
        kind = source.choice(fitting)
        planted = kind.plant(site, source.choice(kind.places(site) or [None]), source) if fitting else None
        if not isinstance(planted, InMemory):
            return None
        accusing = sorted(accusation.check for accusation in planted.accused_by)

        def change(copy: Copy) -> None:
            for member, dump in planted.make().dumps.items():
                _write_keys(copy.own(copy.experiment / keys_file(member)), dump)
            verdict = copy.experiment / VERDICT_FILE
            valid = read_json(verdict, "the verdict") | {"judged": judged_of_experiment(copy.experiment)}
            copy.own(verdict)
            write_json_atomic(verdict, valid)
            write_run_verdict(copy.folder)

        def judge(copy: Copy) -> Judged:
            told = verify(copy.folder, copy.name, write=False)
            differs = told["differs"]
            found = f"checked again: {told['summary']} Otherwise than the verdict: {', '.join(differs) or 'nothing'}"
            caught = told["verdict"] != Verdict.VALID.value and told["changed"]
            return Judged(caught, caught and set(accusing) <= set(differs), found)

        return FilePlant(f"all verdicts and digests forged over {planted.where}", site, change, judge)


def _write_keys(path: Path, dump: Dump) -> None:
    prefix = dump.header.get("prefix", "")
    lines = [dump.header, *([prefix + key, *entry] for key, entry in dump.entries.items())]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
