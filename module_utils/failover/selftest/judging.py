# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether checks say of what was planted what they have to, and name it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..checks import registry
from ..checks.base import Case, Checker
from ..shapes import Check, LabError, Verdict

Evidence = Mapping[str, Any]


class Accusation(NamedTuple):
    """A check that has to be invalid, and whether its evidence names what was planted, and nothing else."""

    check: str
    names: Callable[[Evidence], bool]


class Judged(NamedTuple):
    """What became of something planted."""

    caught: bool
    named: bool
    found: str  # what was said of it, for people


def judge_all(case: Case) -> list[Check]:
    """Return all checks of a case."""
    return [check for checker in registry.CHECKERS if checker.applies(case) for check in checker.judge(case)]


def unless_broken(judging: Callable[[], Judged]) -> Judged:
    """Return what is judged; where the checks themselves break down, that is no catch but what was missed."""
    try:
        return judging()
    except (MemoryError, OSError):
        raise  # nothing that was planted does that
    except LabError as error:
        return Judged(False, False, f"refused: {error}")
    except Exception as error:
        return Judged(False, False, f"broke down: {type(error).__name__}: {error}")


def judge(case: Case, accusations: Sequence[Accusation]) -> Judged:
    """Judge a case by the checks that have to accuse it; an invalid is never hidden by what the others say."""
    wanted = {accusation.check for accusation in accusations}
    checkers = [checker for checker in registry.CHECKERS if _makes_any(checker, wanted) and checker.applies(case)]
    checks = {check.name: check for checker in checkers for check in checker.judge(case)}
    caught = named = True
    said = []
    for check_name, names in accusations:
        check = checks.get(check_name)
        accuses = check is not None and check.verdict is Verdict.INVALID
        caught = caught and accuses
        named = named and check is not None and accuses and names(check.evidence)
        told = f"{check.verdict.value}: {check.summary}" if check is not None else "there is no such check"
        said.append(f"{check_name}: {told}")
    return Judged(caught, named, "; ".join(said))


def _makes_any(checker: Checker, wanted: Iterable[str]) -> bool:
    """Whether a checker makes one of these checks."""
    return any(name == checker.name or (checker.each and name.startswith(f"{checker.name} ")) for name in wanted)


def only(evidence: Evidence, where: str) -> Mapping[str, Any]:
    """Return the one thing that evidence lists; nothing where it lists none, or more."""
    found = evidence.get(where) or {}
    if found.get("count") != 1:
        return {}
    listed: Mapping[str, Any] = found["listed"][0]
    return listed


def names_one(where: str, **wanted: Any) -> Callable[[Evidence], bool]:
    """Return whether evidence lists exactly one thing, which says this: ``index`` is that of its operation."""

    def named(evidence: Evidence) -> bool:
        thing = only(evidence, where)
        return bool(thing) and all(_said(thing, name) == value for name, value in wanted.items())

    return named


def _said(thing: Mapping[str, Any], name: str) -> Any:
    if name == "index" and "operation" in thing:
        return thing["operation"]["index"]
    return thing.get("class" if name == "kind" else name)
