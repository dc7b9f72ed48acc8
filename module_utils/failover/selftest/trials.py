# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A selftest: faults planted into a recorded run, each alone, and whether the checks caught and named them."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..results.files import EXPERIMENT_FILE
from ..results.judged import read_judgement
from ..results.read import read_json, read_run
from ..shapes import EXIT_STATUS, LabError, Verdict
from .base import Kind, Planted, Site
from .orders import Compared, compare
from .registry import CLASSES, kinds_of


@dataclass(frozen=True)
class Options:
    """What is asked of a selftest."""

    plants: int = 30  # of each class of faults for each system
    seed: int | None = None  # of the places; None: the run's
    only: str | None = None  # a plant to repeat alone: "EXPERIMENT/CLASS/NUMBER"
    histories: int = 100_000  # small ones, for which the search for an order is compared with trying every order

    def __post_init__(self) -> None:
        """Raise :class:`LabError` where a number makes no sense."""
        if self.plants < 1:
            raise LabError(f"selftest_plants is {self.plants}: it has to be a whole number above 0, for example 30")
        if self.histories < 0:
            raise LabError(f"selftest_histories is {self.histories}: it has to be 0 or more")


@dataclass
class Row:
    """What became of one class of faults on one system: a row of the table."""

    fault: str
    system: str
    planted: int = 0
    caught: int = 0
    named: int = 0
    took_s: float = 0.0
    not_planted: str = ""  # why none was
    missed: list[dict[str, Any]] = field(default_factory=list)  # those that were not caught, or not named


@dataclass
class Result:
    """What became of a selftest."""

    run: str  # name of its folder
    seed: int
    options: Options
    rows: list[Row]
    orders: Compared | None
    took_s: float

    @property
    def verdict(self) -> Verdict:
        """Return valid where all was caught and named, invalid where anything was not, unknown where nothing was."""
        if any(row.missed for row in self.rows) or (self.orders is not None and self.orders.disagreed):
            return Verdict.INVALID
        if not any(row.planted for row in self.rows):
            return Verdict.UNKNOWN
        return Verdict.VALID

    def as_dict(self) -> dict[str, Any]:
        """Return what selftest.json says."""
        return {
            "schema_version": 1,
            "run": self.run,
            "seed": self.seed,
            "plants": self.options.plants,
            "only": self.options.only,
            "verdict": self.verdict.value,
            "exit_status": EXIT_STATUS[self.verdict],
            "rows": [asdict(row) for row in self.rows],
            "orders": None if self.orders is None else asdict(self.orders),
            "took_s": round(self.took_s, 1),
        }


def selftest(folder: Path, options: Options) -> Result:
    """Plant into the run of a results folder, which is not changed.

    Raises :class:`LabError` where the run cannot be read, its verdict is not valid or not on its files, or there is no
    plant of the name that is to be repeated.
    """
    began = time.monotonic()
    run = read_run(folder)
    _refuse_unless_valid(folder)
    chosen = _chosen(options, run["experiments"])
    seed = run["seed"] if options.seed is None else options.seed
    system_of = {
        name: str(read_json(folder / name / EXPERIMENT_FILE, "the experiment's description").get("system"))
        for name in run["experiments"]
    }
    rows: dict[tuple[str, str], Row] = {}
    for name, system in system_of.items():
        if not chosen or chosen[0] == name:
            same = [other for other, its in system_of.items() if its == system]
            # The plants of a system are dealt out to its experiments, and what one has no place for, to the next.
            wanted = -(-options.plants * (same.index(name) + 1) // len(same))
            own = {
                fault: rows.setdefault((fault, system), Row(fault, system))
                for fault in CLASSES
                if not chosen or chosen[1] == fault
            }
            _try_experiment(folder / name, own, seed, chosen[2] if chosen else wanted, only=bool(chosen))
    told = sorted(rows.values(), key=lambda row: (row.system, list(CLASSES).index(row.fault)))
    orders = compare(options.histories, seed) if options.histories and not chosen else None
    return Result(folder.resolve().name, seed, options, told, orders, time.monotonic() - began)


def _refuse_unless_valid(folder: Path) -> None:
    verdict, differences = read_judgement(folder)
    if not differences.none:
        raise LabError(
            f"{folder}: {differences.sentence}; a selftest begins from a valid run, so verify this one first: "
            f"./scripts/lab verify -e results_run={folder}"
        )
    if verdict["verdict"] != Verdict.VALID.value:
        raise LabError(
            f"The verdict on {folder} is {verdict['verdict']}: a selftest begins from a valid run; give one with "
            "-e results_run=FOLDER, or make one: ./scripts/lab run -e iterations=2000"
        )


def _chosen(options: Options, experiments: Sequence[str]) -> tuple[str, str, int] | None:
    """Return experiment, class and number of the plant that is to be repeated."""
    if not options.only:
        return None
    experiment, _, rest = options.only.partition("/")
    fault, _, number = rest.partition("/")
    if experiment not in experiments or fault not in CLASSES or not number.isdecimal() or int(number) < 1:
        raise LabError(
            f"selftest_only is {options.only!r}: it has to be EXPERIMENT/CLASS/NUMBER, for example "
            f"{experiments[0]}/{next(iter(CLASSES))}/1"
        )
    return experiment, fault, int(number)


def _try_experiment(folder: Path, rows: Mapping[str, Row], seed: int, wanted: int, *, only: bool) -> None:
    """Plant into one experiment, by class of faults, until a row has so many; it is in memory as long as this lasts."""
    site = Site(folder)
    for row in rows.values():
        _try_all(row, site, seed, wanted if only else wanted - row.planted, only=only)


def _try_all(row: Row, site: Site, seed: int, plants: int, *, only: bool) -> None:
    """Try so many plants of a class in an experiment, each alone; of one that is repeated only the last."""
    began = time.monotonic()
    number = 0
    for number, planted in zip(range(1, plants + 1), plants_of(site, row.fault, seed), strict=False):
        if only and number < plants:
            continue
        judged = planted.judged()
        row.planted += 1
        row.caught += judged.caught
        row.named += judged.named
        if not judged.named:
            where = {"plant": f"{site.name}/{row.fault}/{number}", "seed": seed, "where": planted.where}
            row.missed.append({**where, "caught": judged.caught, "found": judged.found})
    if only and number < plants:
        raise LabError(f"{site.name} has {number} places for {row.fault!r}; there is no plant {plants}")
    row.not_planted = "" if row.planted else CLASSES[row.fault]
    row.took_s = round(row.took_s + time.monotonic() - began, 3)


def plants_of(site: Site, fault: str, seed: int) -> Iterator[Planted]:
    """Yield the plants of a class in an experiment, at places that the seed chooses, none twice.

    The ways in which it shows take turns. The same seed gives the same plants in the same order, however many are
    taken.
    """
    ways = [plants_of_kind(site, kind, seed) for kind in kinds_of(fault) if kind.fits(site)]
    while ways:
        for way in list(ways):
            planted = next(way, None)
            if planted is None:
                ways.remove(way)
            else:
                yield planted


def plants_of_kind(site: Site, kind: Kind, seed: int) -> Iterator[Planted]:
    """Yield the plants of one kind likewise."""
    name = f"{seed} {site.name} {type(kind).__module__.rpartition('.')[2]} {type(kind).__name__}"
    for number, place in enumerate(_shuffled(kind.places(site), random.Random(name))):
        planted = kind.plant(site, place, random.Random(f"{name} {number}"))
        if planted is not None:
            yield planted


def _shuffled(places: Sequence[Any], source: random.Random) -> Iterator[Any]:
    """Yield all places in a drawn order, without putting all of them into it for the first few."""
    moved: dict[int, int] = {}
    for at in range(len(places)):
        other = source.randrange(at, len(places))
        yield places[moved.get(other, other)]
        moved[other] = moved.get(at, at)
