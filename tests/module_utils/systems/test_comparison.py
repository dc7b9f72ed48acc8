# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from failover.systems.comparison import why_different


def test_a_difference_is_one_sentence() -> None:
    compared = {"equal": True, "revision": 7, "hashes": {"a": 1, "b": 1}, "errors": {}}
    assert why_different(compared) == []
    compared |= {"equal": False, "hashes": {"a": 1, "b": 2, "c": None}, "errors": {"c": "connection refused"}}
    assert why_different(compared) == ["the members' data differ at revision 7: a 1, b 2, c connection refused"]
