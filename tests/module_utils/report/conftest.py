# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from printed import KINDS, Printed, print_report


@pytest.fixture(scope="session", params=list(KINDS))
def printed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Printed:
    return print_report(request.param, tmp_path_factory.mktemp("results"))
