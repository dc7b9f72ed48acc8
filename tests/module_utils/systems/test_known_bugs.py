# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from failover.report.system_facts import known_bugs
from failover.systems.etcd.known_bugs import KNOWN_BUGS
from failover.systems.known_bugs import bugs_of


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        ("3.5.2", ["20418", "14370", "13766"]),
        ("v3.5.4", ["20418", "14370"]),
        ("3.5.16", ["20418"]),
        ("3.5.27+dfsg-1", ["20418"]),
        ("3.5.28", []),
        ("3.4.41", ["20418"]),
        ("3.6.8", ["20418"]),
        ("3.6.9", []),
        ("3.7.0", []),
        ("unknown", []),
        ("", []),
    ],
)
def test_a_version_has_the_bugs_that_its_line_has_not_mended_yet(version: str, numbers: list[str]) -> None:
    assert [bug.name.rpartition("#")[2] for bug in bugs_of(KNOWN_BUGS, version)] == numbers


def test_they_are_told_by_system_and_version() -> None:
    assert known_bugs({"etcd": {"3.5.16"}, "mysql": {"8.4.3"}, "gone": {"1.0"}}) == [
        "etcd 3.5.16 has etcd-io/etcd#20418: a leader that is deposed may answer linearizable reads with what another "
        "leader has made old (mended in 3.5.28)."
    ]
