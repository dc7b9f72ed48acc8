# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All clients of a run: in the process that leads it, in processes of their own, and on further load generators.

One process of Python uses one core. With more than one process for the clients, the first one leads them and the
faults and does nothing else; each of the others has its own interpreter, and a share of the clients. Of further load
generators all processes are such. A key is one load generator's, whoever of its clients work on it.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..results.history import HistoryWriter
from ..shapes import Emit, LabError
from ..systems.steering import Steering
from .channel import Channel
from .clients import MakeClient, Stop
from .config import RunnerConfig
from .group import Group, LocalGroup, Work
from .joining import Joining, accept, digest_of, listen
from .processes import end_worker, fork_worker
from .worker import MakeGroup, Worker
from .worker_group import WorkerGroup


@dataclass(frozen=True)
class Others:
    """Further load generators, which join the one that leads."""

    names: Sequence[str] = ()
    address: str = ""  # "host:port" on which they do
    key: bytes = field(default=b"", repr=False)  # of the lab
    timeout_s: float = 60.0  # how long they may take


NO_OTHERS = Others()


def clients_of(generator: int, generators: int, clients: int) -> range:
    """Return the numbers of the clients of a load generator; both count from 0, the one that leads is 0."""
    return range(generator, clients, generators)


def groups_of(clients: Sequence[int], processes: int) -> list[Sequence[int]]:
    """Share a load generator's clients out over so many processes, or as many as there are clients."""
    used = min(processes, len(clients))
    return [clients[first::used] for first in range(used)]


class Crew:
    """All clients of a run. One thread uses it, but for what the faults' director asks."""

    def __init__(
        self,
        config: RunnerConfig,
        work: Work,
        make_client: MakeClient,
        steering: Steering,
        *,
        stop: Stop,
        emit: Emit,
        others: Others,
    ) -> None:
        """Share the clients out, and start the processes of this host.

        :param steering: that ``make_client`` gives to the clients
        :param others: see :meth:`gather`
        """
        self._config = config
        self._stop = stop
        self._emit = emit
        self._steering = steering
        self._others = others
        self._listening = listen(others.address) if others.names else None
        self._workers: list[WorkerGroup] = []
        self._processes_of = {config.source: 0, **dict.fromkeys(others.names, 0)}
        self._workers_of: dict[str, list[WorkerGroup]] = {name: [] for name in self._processes_of}
        self._pids: list[int] = []
        self._catch_up_number = 0

        def make_group(numbers: Sequence[int]) -> MakeGroup:
            return lambda stop, emit: LocalGroup(numbers, config, work, make_client, stop=stop, emit=emit)

        shares = groups_of(self._clients_of(0), config.processes)
        if len(shares) == 1 and not others.names:
            self._processes_of[config.source] = 1
            self.groups: list[Group] = [make_group(shares[0])(stop, emit)]
        else:
            self.groups = []
            for number, channel in enumerate(self._fork([make_group(share) for share in shares]), 1):
                self._take_in(channel, config.source, f"process {number} of the clients of {config.experiment}")
        self.tallies = [tally for group in self.groups for tally in group.tallies]

    def _clients_of(self, generator: int) -> range:
        return clients_of(generator, 1 + len(self._others.names), self._config.settings.clients)

    def _fork(self, makers: Sequence[MakeGroup]) -> list[Channel]:
        """Start a process for each group; return our ends of their channels."""
        pairs = [socket.socketpair() for _ in makers]
        try:
            for make_group, (_, theirs) in zip(makers, pairs, strict=True):
                rest = [end for pair in pairs for end in pair if end is not theirs]
                self._pids.append(
                    fork_worker(
                        theirs,
                        partial(Worker, make_group=make_group, steering=self._steering),
                        closed=[*rest, *([self._listening] if self._listening is not None else [])],
                        ignored=(signal.SIGTERM, signal.SIGINT),
                    )
                )
        except LabError:
            for ours, _ in pairs:
                ours.close()
            self.close()
            raise
        finally:
            for _, theirs in pairs:
                theirs.close()
        return [Channel(ours) for ours, _ in pairs]

    def _take_in(self, channel: Channel, generator: str, name: str) -> WorkerGroup:
        worker = WorkerGroup(name, channel, source=self._config.source, stop=self._stop, emit=self._emit)
        self._workers.append(worker)
        self._workers_of[generator].append(worker)
        self._processes_of[generator] += 1
        self.groups.append(worker)
        self._steering.others = self._workers
        return worker

    # ------------------------------------------------------------ from the run

    def gather(self, digest: str) -> None:
        """Wait for the other load generators; LabError where one does not join.

        :param digest: of the stream
        """
        if self._listening is None:
            return

        def joined(joining: Joining, channel: Channel) -> None:
            name = f"process {joining.process} of the load generator {joining.generator}"
            self.tallies += self._take_in(channel, joining.generator, name).tallies

        try:
            accept(
                self._listening,
                list(self._others.names),
                self._others.key,
                digest_of(self._config, self._others.names, digest),
                timeout_s=self._others.timeout_s,
                ends=self._stop.event.is_set,
                joined=joined,
            )
        finally:
            self._listening.close()
        for worker in self._workers:
            worker.await_ready()

    def connect(self) -> None:
        """Connect all clients; LabError where one cannot be."""
        for group in self.groups:
            group.connect()
        for group in self.groups:
            group.await_connected()

    def begin(self, history: HistoryWriter, origin_ns: int) -> None:
        """Get ready for turns."""
        for group in self.groups:
            group.begin(history, origin_ns)

    def take_turn(self, repeat: range, began_ns: int, on_index: Callable[..., None]) -> None:
        """Begin with the operations of a repeat; ``on_index(index)`` hears of them before they are invoked.

        From other processes it hears ``on_index(index, wall_ns)``, of those only that the director said it expects.
        """
        for group in self.groups:
            group.take_turn(repeat, began_ns, on_index)

    def wait(self, timeout_s: float) -> bool:
        """Wait until the turn of all is over, and tell whether it is; returns early where that of some is."""
        waiting = [group for group in self.groups if not group.wait(0)]
        return not waiting or (waiting[0].wait(timeout_s) and len(waiting) == 1)

    def end_turn(self) -> None:
        """Let nobody begin another operation of this turn."""
        for group in self.groups:
            group.end_turn()

    def settle(self) -> None:
        """Have every client settle the write that is in doubt, unless the run is to end; between two turns only."""
        for group in self.groups:
            if self._stop.event.is_set():
                return
            group.settle()

    def finish(self) -> None:
        """End the clients' threads once their turn is over; safe to call twice."""
        for group in self.groups:
            group.finish()

    def unresolved(self) -> list[dict[str, Any]]:
        """Return the writes that are still in doubt, after the end."""
        return [doubt for group in self.groups for doubt in group.unresolved()]

    @property
    def cpu_s(self) -> float:
        """Return the CPU time of the processes of their own, up to the end of the last turn."""
        return sum(group.cpu_s for group in self.groups)

    def described(self) -> list[dict[str, Any]]:
        """Return each load generator's name, its numbers of clients and processes, and how good its stamps are.

        ``clock_uncertainty_ns`` is by how much they may be wrong, ``clock_moved_ns`` what the clocks drifted apart.
        """
        described = []
        for number, (name, processes) in enumerate(self._processes_of.items()):
            clocks = [worker.clock for worker in self._workers_of[name]]
            described.append(
                {
                    "name": name,
                    "clients": len(self._clients_of(number)),
                    "processes": processes,
                    "clock_uncertainty_ns": max((clock["uncertainty_ns"] for clock in clocks), default=0),
                    "clock_moved_ns": max((clock["moved_ns"] for clock in clocks), key=abs, default=0),
                }
            )
        return described

    def close(self) -> None:
        """Close the clients, and end their processes."""
        if self._listening is not None:
            self._listening.close()
        for group in self.groups:
            group.close()
        for pid in self._pids:
            end_worker(pid)
        self._pids.clear()

    # ------------------------------------------------------------ from the faults' director (its Audience)

    def expect(self, next_at: int, *, tracing: bool) -> None:
        """Say from which index on operations are to be told, or that all are."""
        for worker in self._workers:
            worker.expect(next_at, tracing=tracing)

    def catch_up(self) -> None:
        """Return when what has begun by now was told."""
        self._catch_up_number += 1
        for worker in self._workers:
            worker.catch_up(self._catch_up_number)
        for worker in self._workers:
            worker.await_caught_up(self._catch_up_number)
