# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether what is planted into recorded runs is caught and named, and whether a blind check is told."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from failover.checks import registry as checks_registry
from failover.checks.base import Case, Checker
from failover.results.files import SELFTEST_FILE
from failover.selftest import trials
from failover.selftest.base import Planted, Site
from failover.selftest.registry import CLASSES, KINDS, kinds_of
from failover.selftest.shared import overwritten
from failover.selftest.told import lines, run_selftest, sentence
from failover.selftest.trials import Options, Result, plants_of, plants_of_kind, selftest
from failover.shapes import Check, HistoryRow, LabError, Verdict
from shared_run import make_shared_run

RUNS = Path(__file__).resolve().parents[2] / "fixtures/runs"
OF_WATCH = ("missed-event", "doubled-event", "reordered-event")
OF_FILES = ("cut-file", "foreign-file", "edited-verdict")


def unpacked(name: str, folder: Path) -> Path:
    with zipfile.ZipFile(RUNS / f"{name}.zip") as kept:
        kept.extractall(folder / name)
    return folder / name


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Recorded runs of real labs."""
    folder = tmp_path_factory.mktemp("kept")
    return {name: unpacked(name, folder) for name in ("repeats", "single", "ghosts")}


WORKLOADS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "names": ({}, {}),
    "register": ({"name": "register", "keys": 40}, {}),
    "crowded register": ({"name": "register", "keys": 3}, {"clients": 6}),
    "register on one server": ({"name": "register", "keys": 40}, {"system": "mysql"}),
    "old reads": ({"name": "register", "keys": 40}, {"read_consistency": "serializable"}),
    "append": ({"name": "append", "lists": 4, "elements": 40}, {}),
    "scans": ({"name": "ycsb_e", "records": 100}, {}),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs of other workloads, of which there is no recorded one."""
    folder = tmp_path_factory.mktemp("made")
    return {
        name: make_shared_run(folder / name.replace(" ", "-"), workload, **options)
        for name, (workload, options) in WORKLOADS.items()
    }


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def missed(result: Result) -> list[dict[str, Any]]:
    return [each for row in result.rows for each in row.missed]


@pytest.mark.parametrize("name", ["repeats", "single"])
def test_everything_planted_into_a_recorded_run_is_caught_and_named(kept: dict[str, Path], name: str) -> None:
    before = digests(kept[name])
    result = selftest(kept[name], Options(plants=9, histories=0))
    assert missed(result) == []
    assert result.verdict is Verdict.VALID
    planted = {(row.fault, row.system): row.planted for row in result.rows}
    systems = {system for _, system in planted}
    assert systems == ({"etcd", "mysql", "mysql_cluster"} if name == "repeats" else {"etcd", "mysql"})
    assert {fault for fault, _ in planted} == set(CLASSES)
    # These runs are of earlier days, whose answers had no revisions, and without a watch; and MySQL does not count the
    # writes of a key.
    nowhere = {(fault, system) for (fault, system), count in planted.items() if not count}
    expected = {(fault, system) for system in systems for fault in ("older-store", *OF_WATCH)}
    expected |= {("applied-twice", system) for system in systems - {"etcd"}} | {("diverged-member", "mysql")}
    assert nowhere == expected
    assert {count for count in planted.values() if count} == {9}
    assert all(bool(row.not_planted) == (row.planted == 0) for row in result.rows)
    assert digests(kept[name]) == before


# What a healthy run of a workload has no place for.
NOWHERE = {
    "names": set(),
    "register": set(),
    # None of its keys was removed after the last write.
    "crowded register": {"resurrected"},
    "register on one server": {"diverged-member", "older-store", *OF_WATCH},
    "old reads": {"stale"},
    "append": {"resurrected"},
    "scans": {"applied-twice", "resurrected", "stale"},
}


@pytest.mark.parametrize("name", WORKLOADS)
def test_everything_planted_into_other_workloads_is_caught_and_named(made: dict[str, Path], name: str) -> None:
    # Where all clients are at three keys, it takes seconds to explain what was planted into files.
    plants = 3 if name == "crowded register" else 20
    result = selftest(made[name], Options(plants=plants, histories=0))
    assert missed(result) == []
    assert {row.fault for row in result.rows if not row.planted} == NOWHERE[name]
    assert sum(row.planted for row in result.rows) > 5 * plants


def test_each_kind_of_plant_is_tried(made: dict[str, Path], kept: dict[str, Path]) -> None:
    """A kind whose places are always none would be a row that proves nothing."""
    folders = [made["names"] / "E1-etcd", made["register"] / "E1-etcd", made["append"] / "E1-etcd"]
    sites = [Site(folder) for folder in (*folders, made["scans"] / "E1-etcd", kept["repeats"] / "E1-etcd")]
    for kind in KINDS:
        assert kind.of in CLASSES
        found = (planted for site in sites if kind.fits(site) for planted in plants_of_kind(site, kind, 5))
        assert next(found, None) is not None, type(kind)


def test_what_one_experiment_has_no_place_for_the_next_one_gets(
    kept: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def few(site: Site, fault: str, seed: int) -> Iterator[Planted]:
        return itertools.islice(plants_of(site, fault, seed), 0 if site.name == "E2-etcd" else None)

    monkeypatch.setattr(trials, "plants_of", few)
    monkeypatch.setattr(trials, "CLASSES", {"lost": "no place"})
    result = selftest(kept["single"], Options(plants=6, histories=0))
    assert [(row.system, row.planted, row.not_planted) for row in result.rows] == [("etcd", 6, ""), ("mysql", 6, "")]
    result = selftest(kept["single"], Options(plants=1, histories=0))
    assert [(row.system, row.planted) for row in result.rows] == [("etcd", 1), ("mysql", 1)]


def test_the_same_seed_chooses_the_same_places_however_many(kept: dict[str, Path]) -> None:
    site = Site(kept["single"] / "E6-mysql")

    def wheres(fault: str, seed: int, count: int) -> list[str]:
        return [planted.where for _, planted in zip(range(count), plants_of(site, fault, seed), strict=False)]

    for fault in ("lost", "stale", "wrong-value", "reordered", "cut-file", "edited-verdict"):
        few, many = wheres(fault, 3, 5), wheres(fault, 3, 12)
        assert many[:5] == few
        assert len(set(many)) == 12
        assert wheres(fault, 4, 12) != many


def test_one_plant_can_be_repeated_alone(kept: dict[str, Path]) -> None:
    folder = kept["single"]
    site = Site(folder / "E6-mysql")
    third = [planted.where for _, planted in zip(range(3), plants_of(site, "stale", 9), strict=False)][-1]
    with pytest.MonkeyPatch.context() as patch:
        blind(patch, "reads")
        result = selftest(folder, Options(only="E6-mysql/stale/3", seed=9))
    [row] = result.rows
    assert (row.fault, row.system, row.planted, row.caught) == ("stale", "mysql", 1, 0)
    [one] = row.missed
    assert (one["plant"], one["seed"], one["where"]) == ("E6-mysql/stale/3", 9, third)
    assert result.orders is None


# ---- a selftest that can fail


class Blind(Checker):
    """A check that finds everything right, or what it was told to find."""

    def __init__(self, checker: Checker) -> None:
        self.checker, self.name, self.each = checker, checker.name, checker.each

    def applies(self, case: Case) -> bool:
        return self.checker.applies(case)

    def judge(self, case: Case) -> list[Check]:
        return [Check(check.name, Verdict.VALID, "All is well.", check.evidence) for check in self.checker.judge(case)]


class Muddled(Blind):
    """A check that finds what is wrong, and names something else."""

    def judge(self, case: Case) -> list[Check]:
        other: Mapping[str, Any] = {"count": 1, "listed": [{"key": "somebody else's", "index": -1}]}
        return [
            Check(check.name, check.verdict, check.summary, dict.fromkeys(check.evidence, other))
            for check in self.checker.judge(case)
        ]


def blind(patch: pytest.MonkeyPatch, name: str, kind: type[Blind] = Blind) -> None:
    checkers = tuple(kind(each) if each.name == name else each for each in checks_registry.CHECKERS)
    patch.setattr(checks_registry, "CHECKERS", checkers)


# What nobody else finds, by the check that finds it: in which run, and which classes.
ALONE = {
    "keys on": ("names", {"lost", "resurrected", "wrong-value", "phantom"}),
    "reads": ("names", {"lost", "stale", "wrong-value"}),
    "applied once": ("names", {"applied-twice"}),
    "history": ("names", {"reordered"}),
    "revisions": ("names", {"older-store"}),
    "members equal": ("names", {"diverged-member"}),
    "linearizable": ("register", {"lost", "resurrected", "stale", "wrong-value", "phantom", "applied-twice"}),
    "lists": ("append", {"lost", "stale", "wrong-value", "phantom", "applied-twice", "reordered"}),
    "scans": ("scans", {"lost"}),
}


@pytest.mark.parametrize("check", ALONE)
@pytest.mark.parametrize("kind", [Blind, Muddled])
def test_a_check_that_is_blind_or_names_something_else_is_told(
    made: dict[str, Path], monkeypatch: pytest.MonkeyPatch, check: str, kind: type[Blind]
) -> None:
    name, classes = ALONE[check]
    blind(monkeypatch, check, kind)
    # Files are judged by all checks, which takes long.
    monkeypatch.setattr(trials, "CLASSES", {fault: why for fault, why in CLASSES.items() if fault not in OF_FILES})
    result = selftest(made[name], Options(plants=6, histories=0))
    assert result.verdict is Verdict.INVALID
    assert result.as_dict()["exit_status"] == 1
    assert {row.fault for row in result.rows if row.missed} == classes
    for row in result.rows:
        assert row.named == row.planted - len(row.missed)
        assert row.caught == (row.named if kind is Blind else row.planted)
    told = "\n".join(lines(result))
    assert ("missed: " if kind is Blind else "caught, but not named: ") in told
    assert f"alone: -e selftest_seed=7 -e selftest_only=E1-etcd/{min(classes)}/" in told
    assert ", all caught" not in sentence(result)


def test_a_check_that_is_gone_or_breaks_down_has_caught_nothing(
    made: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Blind):
        def judge(self, case: Case) -> list[Check]:
            checks = list(self.checker.judge(case))
            if any(check.verdict is not Verdict.VALID for check in checks):
                raise ValueError("not this one")
            return checks

    blind(monkeypatch, "reads", Broken)
    result = selftest(made["names"], Options(plants=4, histories=0))
    found = {row.fault: [each["found"] for each in row.missed] for row in result.rows if row.missed}
    assert found.keys() == {"lost", "stale", "wrong-value"}
    assert set(found["stale"]) == {"broke down: ValueError: not this one"}
    monkeypatch.setattr(
        checks_registry, "CHECKERS", tuple(each for each in checks_registry.CHECKERS if each.name != "reads")
    )
    result = selftest(made["names"], Options(plants=4, histories=0))
    [row] = [row for row in result.rows if row.fault == "stale"]
    assert (row.caught, row.missed[0]["found"]) == (0, "reads: there is no such check")


def test_files_whose_digests_nobody_compares_are_told(made: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from failover.results import judged

    # As if every file had the digest that it had when it was judged.
    folder = made["names"]
    of_then = json.loads((folder / "verdict.json").read_text())["judged"]

    def as_then(path: Path) -> str:
        return next(digest for name, digest in of_then.items() if str(path).endswith(f"/{name}"))

    monkeypatch.setattr(judged, "digest_of_file", as_then)
    result = selftest(folder, Options(plants=10, histories=0))
    assert {row.fault for row in result.rows if row.missed} == set(OF_FILES)


def test_a_search_that_is_wrong_is_told(made: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from failover.checks import linearizability
    from failover.checks.operations import Answer

    monkeypatch.setattr(linearizability, "check_key", lambda calls, initial: (Answer.LINEARIZABLE, None))
    result = selftest(made["names"], Options(plants=1, histories=100))
    assert result.orders is not None
    assert result.orders.disagreed == 100 - result.orders.linearizable > 0
    assert result.verdict is Verdict.INVALID
    assert "the search for an order is wrong on" in sentence(result)
    assert any(line.startswith("wrong on history ") for line in lines(result))


# ---- where it does not begin


def test_it_begins_from_a_valid_run_only(kept: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"The verdict on .* is unknown: a selftest begins from a valid run; give one"):
        selftest(kept["ghosts"], Options())
    copy = tmp_path / "run"
    shutil.copytree(kept["single"], copy)
    with (copy / "E2-etcd" / "nodes" / "etcd1.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(LabError, match=r"since the verdict, E2-etcd/nodes/etcd1.jsonl changed; a selftest begins"):
        selftest(copy, Options())
    with pytest.raises(LabError, match="does not exist; give a folder"):
        selftest(tmp_path / "nothing", Options())


def test_an_experiment_that_is_not_valid_any_more_is_refused(
    made: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Strict(Blind):
        def judge(self, case: Case) -> list[Check]:
            return [Check(self.name, Verdict.INVALID, "Nothing is right.", {})]

    blind(monkeypatch, "reads", Strict)
    with pytest.raises(LabError, match=r"E1-etcd is invalid \('reads'\): a selftest begins from a valid run"):
        selftest(made["names"], Options())


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"plants": 0}, "selftest_plants is 0: it has to be a whole number above 0"),
        ({"histories": -1}, "selftest_histories is -1: it has to be 0 or more"),
        ({"only": "E2-etcd"}, "EXPERIMENT/CLASS/NUMBER, for example E2-etcd/lost/1"),
        ({"only": "E2-etcd/lost/0"}, "it has to be EXPERIMENT/CLASS/NUMBER"),
        ({"only": "E2-etcd/lots/1"}, "it has to be EXPERIMENT/CLASS/NUMBER"),
        ({"only": "E3-etcd/lost/1"}, "it has to be EXPERIMENT/CLASS/NUMBER"),
        ({"only": "E2-etcd/older-store/1"}, "E2-etcd has 0 places for 'older-store'; there is no plant 1"),
    ],
)
def test_what_makes_no_sense_is_one_line(kept: dict[str, Path], asked: dict[str, Any], words: str) -> None:
    with pytest.raises(LabError, match=words) as error:
        run_selftest(kept["single"], asked)
    assert "\n" not in str(error.value)


def test_where_nothing_can_be_planted_nothing_is_shown(kept: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("failover.selftest.trials.kinds_of", lambda fault: [])
    result = selftest(kept["single"], Options(histories=0))
    assert result.verdict is Verdict.UNKNOWN
    assert result.as_dict()["exit_status"] == 2
    assert sentence(result).startswith("Nothing could be planted")


# ---- what is told


def test_it_is_written_beside_the_runs(kept: dict[str, Path]) -> None:
    folder = kept["single"]
    place = folder.parent / SELFTEST_FILE
    told = run_selftest(folder, {"plants": 2, "histories": 50}, write=False)
    assert (told["changed"], told["file"], place.exists()) == (False, str(place), False)
    told = run_selftest(folder, {"plants": 2, "histories": 50})
    kept_there = json.loads(place.read_text())
    place.unlink()
    assert (told["verdict"], kept_there["verdict"], kept_there["exit_status"]) == ("valid", "valid", 0)
    assert (kept_there["run"], kept_there["seed"], kept_there["plants"]) == ("single", 123, 2)
    assert (kept_there["orders"]["histories"], kept_there["orders"]["disagreed"]) == (50, 0)
    planted = sum(row["planted"] for row in kept_there["rows"])
    assert told["sentence"] == f"{planted} faults planted, all caught and named."
    assert told["lines"][0].split() == ["fault", "system", "planted", "caught", "named"]
    assert ["lost", "etcd", "2", "2", "2"] in [line.split() for line in told["lines"]]
    assert "not planted here: there is one member only, or no key" in "\n".join(told["lines"])


def test_a_folder_may_be_named_from_where_the_user_stands(
    kept: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(kept["single"].parent)
    monkeypatch.setattr(trials, "CLASSES", {"foreign-file": ""})
    result = selftest(Path("single"), Options(plants=20, histories=0))
    assert missed(result) == []
    assert [row.planted for row in result.rows] == [20, 20]


def test_each_class_has_a_kind() -> None:
    assert all(kinds_of(fault) for fault in CLASSES)


def test_a_value_counts_as_overwritten_only_where_that_is_certain() -> None:
    def row(index: int, kind: str, value: str | None, begin: int, end: int, **more: Any) -> HistoryRow:
        made = HistoryRow(index, 0, kind, "k", value, begin, begin, end, "ok", 1, "", None, None, None)
        return made._replace(**more)

    one, two = row(0, "WRITE", "1", 0, 10), row(1, "WRITE", "2", 20, 30)
    assert overwritten([one, two], 31) == ["1"]
    assert overwritten([one, two], 30) == []  # not acknowledged before
    assert overwritten([one, two._replace(invoke_ns=10)], 31) == []  # at the same time
    assert overwritten([one, two._replace(outcome="unknown")], 31) == []
    assert overwritten([one, row(1, "CAS", "2", 20, 30, affected=0)], 31) == []
    assert overwritten([one, row(1, "CAS", "2", 20, 30, affected=1)], 31) == ["1"]
    assert overwritten([one, row(1, "DELETE", None, 20, 30, affected=1)], 31) == ["1"]
    # Somebody else gave that value, too, and may have done so last.
    assert overwritten([one, two, row(2, "WRITE", "1", 5, 6, outcome="unknown")], 31) == []
