# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Limits that a user sets to figures of the report: ``{"outage_ms": 2000}``, or one by what it is for.

A limit is a number for all experiments, or a mapping of numbers by name: of an experiment, of an action (for its
faults, or for experiments with such a fault), or of a system. Where several names fit, the first of these counts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from .actions.registry import ACTIONS
from .measured.figures import FIGURES, Figure
from .sentences import did_you_mean, listing, to_thousandths
from .shapes import LabError
from .systems.registry import SYSTEMS

# A figure's name -> its limit, or name of an experiment, an action or a system -> its limit.
Limits = Mapping[str, float | Mapping[str, float]]

EXAMPLE = {"limits": {"outage_ms": 2000}}


def option(limits: Limits) -> str:
    """Return the option of ansible-playbook that gives these limits."""
    return f"-e '{json.dumps({'limits': limits})}'"


def read_limits(given: Any, where: str = "limits") -> Limits:
    """Return limits as they were given or recorded; none for None.

    :param where: what they are to the user, the begin of the line
    :raises LabError: where they are none
    """
    wrong = wrong_limits(given, where=where)
    if wrong:
        raise LabError(wrong[0])
    return {name: dict(limit) if isinstance(limit, Mapping) else limit for name, limit in (given or {}).items()}


def wrong_limits(given: Any, experiments: Collection[str] | None = None, where: str = "limits") -> list[str]:
    """Return what is wrong with limits, each as one line.

    :param experiments: that there are; None where any name may be one
    """
    if given is None:
        return []
    if not isinstance(given, Mapping):
        return [
            f"{where} is {_shown(given)}: it must be a mapping of figures to their limits. "
            f"Try -e '{json.dumps(EXAMPLE)}'."
        ]
    unknown = [str(name) for name in given if name not in FIGURES]
    if unknown:
        return [
            f"{where} has no figure {', '.join(unknown)}: figures are {', '.join(FIGURES)}."
            f"{did_you_mean(unknown, FIGURES)}"
        ]
    lines = []
    for name, limit in given.items():
        by_name = limit if isinstance(limit, Mapping) else {"": limit}
        lines += [
            f"{where}: {' of '.join(filter(None, (name, str(of))))} is {_shown(number)}, and has to be a number of at "
            f"least 0{_for_text(number)}."
            for of, number in by_name.items()
            if not _is_limit(number)
        ]
        if isinstance(limit, Mapping) and experiments is not None:
            lines += _unknown_names(f"{where}: {name}", [str(of) for of in limit], experiments)
    return lines


def limit_of(figure: Figure, limit: float | Mapping[str, float], names: Iterable[Sequence[str]]) -> float | None:
    """Return the limit of a figure where these names fit; None where it has none there.

    :param limit: of the figure, as it was given
    :param names: the names that fit, those that count first in front; of several beside each other, the strictest limit
        counts
    """
    if not isinstance(limit, Mapping):
        return limit
    strictest = max if figure.least else min
    found = ([limit[name] for name in beside if name in limit] for beside in names)
    return next((strictest(numbers) for numbers in found if numbers), None)


def limits_told(limits: Limits) -> list[str]:
    """Say each limit in words: "outage_ms at most 2,000", "ops_per_s at least 500 of etcd, 300 of mysql"."""
    told = []
    for name, limit in limits.items():
        by_name = limit if isinstance(limit, Mapping) else {"": limit}
        numbers = [f"{to_thousandths(number)}{f' of {of}' if of else ''}" for of, number in by_name.items()]
        told.append(f"{name} {FIGURES[name].bound} {', '.join(numbers)}")
    return told


def refuse_other_limits(given: Any, judged: Any, folder: Any) -> None:
    """Raise LabError where limits are given and a verdict was judged with others: nobody holds its figures to them.

    :param given: None where none are given
    :param judged: those that the verdict was judged with
    :param folder: of the run
    """
    wanted = None if given is None else read_limits(given)
    if wanted is None or wanted == (judged or {}):
        return
    with_others = f"was judged with the limits {_shown(judged)}" if judged else "was judged without limits"
    raise LabError(
        f"The run in {folder} {with_others}. To judge it with those given now: ./scripts/lab verify -e "
        f"results_run={folder} {option(wanted)}"
    )


def _is_limit(number: Any) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number) and number >= 0


def _for_text(number: Any) -> str:
    """Say how a number is given that came as text."""
    return f", as in -e '{json.dumps(EXAMPLE)}'" if isinstance(number, str) else ""


def _unknown_names(where: str, names: Sequence[str], experiments: Collection[str]) -> list[str]:
    known = [*experiments, *ACTIONS, *SYSTEMS]
    unknown = [name for name in names if name not in known]
    if not unknown:
        return []
    return [
        f"{where} has a limit for {listing(unknown)}, which is no experiment, action or system: actions are "
        f"{', '.join(ACTIONS)}, systems {', '.join(SYSTEMS)}, and ./scripts/lab experiments lists the experiments."
        f"{did_you_mean(unknown, known)}"
    ]


def _shown(value: Any) -> str:
    return json.dumps(value, default=str)
