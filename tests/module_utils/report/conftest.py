# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from printed import KINDS, Content, Printed, leave_out_pictures, printed_once


@pytest.fixture(scope="session", params=list(KINDS))
def printed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Printed:
    return printed_once(request.param, tmp_path_factory)


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory) -> Printed:
    return printed_once("single", tmp_path_factory)


@pytest.fixture(scope="session")
def repeated(tmp_path_factory: pytest.TempPathFactory) -> Printed:
    return printed_once("repeated", tmp_path_factory)


@pytest.fixture(scope="session")
def invalid(tmp_path_factory: pytest.TempPathFactory) -> Printed:
    return printed_once("invalid", tmp_path_factory)


@pytest.fixture(scope="module")
def valid_content(single: Printed) -> Content:
    return single.built()


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_out_pictures(monkeypatch)
