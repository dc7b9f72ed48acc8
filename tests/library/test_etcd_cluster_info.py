# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fault_doubles import FakeCluster

NAMES = ["etcd1", "etcd2", "etcd3"]
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    made = FakeCluster()
    yield made
    made.close()


@pytest.mark.parametrize("check", [False, True])
def test_a_whole_cluster(run_module: Run, cluster: FakeCluster, check: bool) -> None:
    params = {"endpoints": cluster.urls, "expected_members": NAMES, "wait_for": "converged"}
    result = run_module("etcd_cluster_info", params, check=check)
    assert (result["rc"], result["changed"]) == (0, False)
    assert (result["healthy"], result["converged"], result["reasons"], result["leader"]) == (True, True, [], "etcd2")
    assert result["observation"]["members"]["etcd1"]["knows"] == NAMES
    assert result["elapsed_s"] >= 0


def test_a_member_that_is_down_is_data(run_module: Run, cluster: FakeCluster) -> None:
    cluster.members["etcd3"].stop()
    result = run_module("etcd_cluster_info", {"endpoints": cluster.urls})
    assert (result["rc"], result["healthy"], result["converged"]) == (0, False, None)
    assert result["observation"]["members"]["etcd3"]["reachable"] is False


def test_waiting_in_vain_fails_with_one_line_that_names_the_member(run_module: Run, cluster: FakeCluster) -> None:
    cluster.members["etcd3"].stop()
    params = {"endpoints": cluster.urls, "expected_members": NAMES, "wait_for": "healthy", "timeout_s": 0.2}
    result = run_module("etcd_cluster_info", params)
    assert result["rc"] == 1
    assert result["msg"] == (
        f"The etcd cluster was not healthy within 0.2 s: etcd3 ({cluster.members['etcd3'].url}) does not answer: "
        "connection refused. Look at the log of that member with journalctl -u etcd."
    )
    assert result["healthy"] is False


def test_an_endpoint_that_is_no_url_is_named(run_module: Run) -> None:
    result = run_module("etcd_cluster_info", {"endpoints": ["10.0.0.1:2379"]})
    assert result["rc"] == 1
    assert result["msg"].startswith("'10.0.0.1:2379' is not an etcd client URL")
