# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The workloads that there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..shapes import LabError
from . import ycsb
from .append import Append
from .base import Workload
from .name_service import NameService
from .packed import Stream
from .register import Register

WORKLOADS: dict[str, Workload] = {
    workload.name: workload for workload in (NameService(), Register(), Append(), *ycsb.CORE)
}
# What runs where none is named.
USUAL = NameService.name


def workload_of(settings: Mapping[str, Any] | None) -> tuple[Workload, dict[str, Any]]:
    """Return the workload that is named, and its own options.

    :param settings: its name and its own options, as RunSettings has them; the usual one where nothing is given

    Raises :class:`LabError` where there is none of that name, or it does not know one of the options.
    """
    options = dict(settings or {})
    name = options.pop("name", USUAL)
    if not isinstance(name, str) or name not in WORKLOADS:
        raise LabError(f"Unknown workload {name!r}. Known are {', '.join(WORKLOADS)}.")
    chosen = WORKLOADS[name]
    unknown = [option for option in options if option not in chosen.options]
    if unknown:
        raise LabError(
            f"The workload {name} has no option {', '.join(map(str, unknown))}. Its options are "
            f"{', '.join(chosen.options) or 'none'}."
        )
    return chosen, options


def create_simulation(iterations: int, seed: int, workload: Mapping[str, Any] | None = None) -> Stream:
    """Return the operations of a workload, in order.

    :param workload: as for :func:`workload_of`, which raises, too

    Raises :class:`LabError` unless ``iterations`` is a whole number above 0 and ``seed`` a whole number.
    """
    if isinstance(iterations, bool) or not isinstance(iterations, int) or iterations <= 0:
        raise LabError(f"iterations is {iterations!r}: it has to be a whole number above 0, for example 1000")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise LabError(f"seed is {seed!r}: it has to be a whole number, for example 123")
    chosen, options = workload_of(workload)
    return chosen.operations(iterations, seed, options)
