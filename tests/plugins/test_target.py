# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from failover.module_options import target_options
from fragments import documented_options


def test_it_documents_what_the_modules_take() -> None:
    documented, taken = documented_options("target"), target_options()
    assert list(documented) == list(taken)
    assert list(documented["target"]["suboptions"]) == list(taken["target"]["options"])
