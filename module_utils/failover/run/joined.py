# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The clients of a load generator that does not lead: its processes join the one that does, and do what it says."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..shapes import Emit, LabError
from ..systems.steering import Steering
from ..workloads.registry import create_simulation
from ..workloads.stream import stream_digest
from .channel import Channel
from .clients import MakeClient, Stop
from .config import RunnerConfig, check_config
from .crew import clients_of, groups_of
from .group import LocalGroup, work_of
from .joining import Joining, digest_of, join
from .open_files import allow_connections
from .processes import LEFT_ALONE, fork_worker
from .timeline import FollowedTimeline
from .worker import Worker


def join_workload(
    config: RunnerConfig,
    *,
    make_client: MakeClient,
    steering: Steering,
    name: str,
    generators: Sequence[str],
    lead: str,
    key: bytes,
    timeout_s: float,
) -> dict[str, Any]:
    """Run this load generator's clients until the one that leads has no more to do.

    LabError where it cannot be joined, or one of the processes ended before its time.

    :param config: the same as there, but for the number of processes
    :param name: of this load generator, one of the others
    :param generators: all of them, first the one that leads
    :param lead: "host:port" on which that one waits for others
    :param key: of the lab
    :param timeout_s: how long it may take until it is there
    :returns: ``clients`` and ``processes``, their numbers
    """
    check_config(config)
    settings = config.settings
    clients = clients_of(generators.index(name), len(generators), settings.clients)
    groups = groups_of(clients, config.processes)
    allow_connections(len(clients), len(config.target.members))
    operations = create_simulation(settings.iterations, settings.seed, settings.workload)
    work = work_of(settings, operations, len(generators))

    def make_worker(channel: Channel, numbers: Sequence[int]) -> Worker:
        followed = FollowedTimeline()

        def make_group(stop: Stop, emit: Emit) -> LocalGroup:
            return LocalGroup(numbers, config, work, make_client, stop=stop, emit=emit, timeline=followed)

        return Worker(channel, make_group, steering, followed)

    digest = digest_of(config, generators[1:], stream_digest(operations))
    channels: list[Channel] = []
    try:
        for process in range(1, len(groups) + 1):
            joining = Joining(name, process, len(groups))
            channels.append(join(lead, joining, key, digest, timeout_s=timeout_s))
        _work(channels, [partial(make_worker, numbers=numbers) for numbers in groups], name)
    finally:
        for channel in channels:
            channel.connection.close()
    return {"clients": len(clients), "processes": len(groups)}


def _work(channels: Sequence[Channel], makers: Sequence[Callable[[Channel], Worker]], name: str) -> None:
    """Start a process at each channel, and wait for their end."""
    pids = []
    for channel, make_worker in zip(channels, makers, strict=True):
        rest = [other.connection for other in channels if other is not channel]
        # The end is for the one that leads to say, whatever signal comes here.
        ignored = (signal.SIGTERM, signal.SIGINT)
        pids.append(fork_worker(channel.connection, make_worker, closed=rest, ignored=ignored))
    for channel in channels:
        channel.connection.close()
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    if set(statuses) == {LEFT_ALONE}:
        raise LabError(f"The load generator that leads {name} ended before its time; see there")
    if any(statuses):
        worst = max(statuses, key=abs)
        raise LabError(
            f"A process of the clients on {name} ended before its time, with status {worst}; see its journal"
        )
