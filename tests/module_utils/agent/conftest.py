# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from failover.agent.wire import AgentClient
from fault_doubles import KEY, AgentProcess, FakeCluster, FakeManager


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[FakeManager]:
    made = FakeManager(tmp_path)
    made.add("etcd2.service")
    yield made
    made.close()


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    made = FakeCluster()
    yield made
    made.close()


@pytest.fixture
def agents() -> Iterator[list[AgentProcess]]:
    """The agents that a test started; ended after it."""
    made: list[AgentProcess] = []
    yield made
    for agent in made:
        agent.close()


@pytest.fixture
def start(
    tmp_path: Path, manager: FakeManager, cluster: FakeCluster, agents: list[AgentProcess]
) -> Callable[..., AgentClient]:
    """Start the agent of etcd2, which leads, and connect to it."""

    def make(**settings: Any) -> AgentClient:
        defaults = {"address": cluster.members["etcd2"].url}
        agents.append(AgentProcess(tmp_path, manager, "etcd2", **(defaults | settings)))
        agents[-1].await_ready()
        return AgentClient("etcd2", agents[-1].address, KEY, timeout_s=20)

    return make
