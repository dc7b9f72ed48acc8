# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many connections a process may have."""

from __future__ import annotations

import resource

import pytest
from failover.run.open_files import OTHERS, allow_connections
from failover.shapes import LabError

INFINITE = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("limits", "asked"),
    [
        ((1024, 65536), [(6000 + OTHERS, 65536)]),
        ((1024, INFINITE), [(6000 + OTHERS, INFINITE)]),
        ((8192, 65536), []),
        ((INFINITE, INFINITE), []),
    ],
)
def test_as_many_as_the_clients_need_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], asked: list[tuple[int, int]]
) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _what: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _what, wanted: given.append(wanted))
    allow_connections(1000, 3)
    assert given == asked


def test_more_than_the_host_allows_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (1024, 1024))
    with pytest.raises(LabError, match=r"clients is 1000: they need 6,128 open files, .* 1,024; .* -e clients=149"):
        allow_connections(1000, 3)
