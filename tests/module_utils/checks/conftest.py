# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from failover.checks.verdict import verify_experiment
from failover.shapes import Check
from planted.parts import Planted
from planted.run import make_run


@pytest.fixture
def plant(tmp_path: Path) -> Callable[..., tuple[Planted, dict[str, Check]]]:
    """Plant a defect in one experiment and return what was planted and that experiment's checks by name."""

    def make(name: str | None, experiment: str = "E2-etcd", **options: Any) -> tuple[Planted, dict[str, Check]]:
        options = {"iterations": 2000, **options}
        made = make_run(tmp_path / "run", experiments=[experiment], plant=name, **options)
        return made, {check.name: check for check in verify_experiment(made.path / experiment)}

    return make
