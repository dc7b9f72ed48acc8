# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a key of a fault's data, or of one of its steps, may hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..shapes import LabError


@dataclass(frozen=True)
class Choice:
    """A key of a fault's data that takes one of a few words."""

    key: str
    field: str  # of FaultSpec, and of every record
    values: tuple[str, ...]
    default: str

    def read(self, name: str, fault: Mapping[str, Any]) -> str:
        """Return the word; LabError where it is none of them.

        :param name: of the fault, as messages begin
        """
        value: str = fault.get(self.key, self.default)
        if value not in self.values:
            raise LabError(f"{name} has the unknown {self.key} {value!r}. Known are {', '.join(self.values)}.")
        return value


@dataclass(frozen=True)
class Number:
    """A key of a fault's data that takes a whole number; it stands among the ``options`` of FaultSpec."""

    key: str
    least: int
    most: int
    default: int | None = None  # None: not there unless it is given

    def read(self, name: str, fault: Mapping[str, Any]) -> int | None:
        """Return the number; LabError where it is out of bounds, or none.

        :param name: of the fault, as messages begin
        """
        value = self.default if fault.get(self.key) is None else fault[self.key]
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not self.least <= value <= self.most:
            bounds = f"from {self.least:,} to {self.most:,}"
            raise LabError(f"{name}: {self.key} is {value!r}, and has to be a whole number {bounds}.")
        return value


@dataclass(frozen=True)
class Share:
    """A key of a fault's data that takes a share like ``50%``; it stands among the ``options`` of FaultSpec, in %."""

    key: str

    def read(self, name: str, fault: Mapping[str, Any]) -> float | None:
        """Return the percentage, None where none is given; LabError where it is none between 0 and 100.

        :param name: of the fault, as messages begin
        """
        value = fault.get(self.key)
        if value is None:
            return None
        given = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value) if isinstance(value, str) else None
        if given is None or not 0 < float(given[1]) <= 100:
            raise LabError(f"{name}: {self.key} is {value!r}, and has to be a share like 50%, of more than 0 %.")
        return float(given[1])


@dataclass(frozen=True)
class Word:
    """A key of a fault's data that takes one of a few words.

    Among the ``options`` of FaultSpec it is the word's number, from 1.
    """

    key: str
    values: tuple[str, ...]

    def read(self, name: str, fault: Mapping[str, Any]) -> int | None:
        """Return the word's number, None where none is given; LabError where it is none of them.

        :param name: of the fault, as messages begin
        """
        value = fault.get(self.key)
        if value is None:
            return None
        if value not in self.values:
            raise LabError(f"{name}: {self.key} is {value!r}, and has to be {' or '.join(self.values)}.")
        return self.values.index(value) + 1


@dataclass(frozen=True)
class Listed:
    """A key of a fault's data that its action reads by itself."""

    key: str
    field: str  # of FaultSpec, and of every record


# What an action may have.
Option = Choice | Number | Share | Word | Listed
