# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the options of a workload, which come from YAML or from the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..shapes import LabError


def whole_number(options: Mapping[str, Any], name: str, usual: int, *, least: int, most: int) -> int:
    """Return a whole number from ``least`` to ``most``, ``usual`` where none is given; LabError for anything else."""
    given = options.get(name, usual)
    try:
        number = int(given) if isinstance(given, str) else given
    except ValueError:
        number = given
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
        raise LabError(f"{name} of the workload is {given!r}: it has to be a whole number from {least:,} to {most:,}")
    return number


def mix(options: Mapping[str, Any], usual: Mapping[str, int]) -> dict[str, int]:
    """Return the option ``mix``: how many operations of a hundred are of which kind; LabError for anything else.

    :param usual: the mix where none is given; its kinds are those that the workload has
    """
    given = options.get("mix", usual)
    known = ", ".join(usual)
    if not isinstance(given, Mapping) or any(kind not in usual for kind in given):
        raise LabError(f"mix of the workload is {given!r}: it has to give percentages by kind, of {known}")
    shares = {kind: whole_number(given, kind, 0, least=0, most=100) for kind in usual}
    if sum(shares.values()) != 100:
        raise LabError(f"mix of the workload makes {sum(shares.values())} %: {known} have to make 100 together")
    return shares
