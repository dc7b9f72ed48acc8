# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run needs of its system: clients, a director of faults, a healer, and whoever knows the leader."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ..actions.record import FaultRecord
from ..director.director import FaultDirector
from ..prepare import split_endpoint
from ..progress import LEADER_TIMEOUT_S, EtcdLeader
from ..shapes import Emit, Event, FaultSpec, LabError
from .clients import MakeClient
from .config import RunnerConfig
from .healing import Healer


class Director(Protocol):
    """What the workload needs of a :class:`~.director.director.FaultDirector`."""

    def arm(self) -> None:
        """Get ready."""

    def on_index(self, index: int) -> None:
        """Tell that operation ``index`` is about to be invoked."""

    def close(self, *, heal: bool = False) -> list[FaultRecord]:
        """End, and return the faults' records."""


class Healing(Protocol):
    """What the workload needs of a :class:`~.healing.Healer`."""

    events: list[Event]

    def run(self, faults: Sequence[str] | None, *, records_of: Sequence[str]) -> dict[str, Any]:
        """Heal, wait until the members are equal, and tell how that went."""


# A director is made for the faults of one repeat, with the emit of the run, which is there only when the event file is.
MakeDirector = Callable[[Sequence[FaultSpec], Emit], Director]
MakeHealer = Callable[[], Healing]


def client_maker(config: RunnerConfig) -> MakeClient:
    """Return what makes the clients of the config's system; LabError where its driver is not installed."""
    host, port = split_endpoint(config.target.endpoints[0])
    seeds = tuple(config.target.endpoints[1:])
    # Imported here: each of these needs a driver that only the load generator has, and only one of them is used.
    try:
        if config.target.system == "etcd":
            from ..etcd_client import ClientWithFailover

            return lambda number, emit: ClientWithFailover(
                host, port, seeds=seeds, policy=config.policy, emit=emit, jitter_seed=config.settings.seed + number
            )
        from ..mysql_client import MySQLClient
    except ImportError as error:
        raise LabError(
            f"the {config.target.system} client cannot be loaded on {config.source}: {error}; "
            "provision the load generator with playbooks/up.yml"
        ) from error
    user, password, database = config.target.account.values()
    in_group = config.target.system == "mysql_cluster"
    return lambda number, emit: MySQLClient(
        host,
        port,
        user,
        password,
        database,
        seeds=seeds if in_group else (),
        in_group=in_group,
        policy=config.policy,
        emit=emit,
        jitter_seed=config.settings.seed + number,
    )


def director_maker(config: RunnerConfig, key: bytes) -> MakeDirector | None:
    """Return what makes the directors of the config's faults, None where there are none."""
    if not config.faults:
        return None
    return lambda faults, emit: FaultDirector(faults, config.target.agents, key, emit, config.source)


def healer_maker(config: RunnerConfig, key: bytes, *, timeout_s: float, sample_interval_ms: float) -> MakeHealer:
    """Return what makes the healers that put the system right between two repeats.

    :param timeout_s: how long a heal and the return to equal data may take
    """
    return lambda: Healer(
        config.target, key, timeout_s=timeout_s, sample_interval_ms=sample_interval_ms, source=config.source
    )


class LeaderFinder(Protocol):
    """Tells the progress thread who leads; closed at the end."""

    def ask(self) -> str | None:
        """Return the leader's name, None where nobody is known to lead."""

    def close(self) -> None:
        """Close its connections."""


class _OnlyServer:
    """A single server, which has nobody to lose its lead to."""

    def __init__(self, members: Mapping[str, Mapping[str, Any]]) -> None:
        self._name = next(iter(members), None)

    def ask(self) -> str | None:
        return self._name

    def close(self) -> None:
        """Nothing is open."""


def leader_finder(config: RunnerConfig) -> LeaderFinder:
    """Return what finds the leader of the config's system."""
    if config.target.system == "etcd":
        return EtcdLeader(config.target.members)
    if config.target.system == "mysql":
        return _OnlyServer(config.target.members)
    # Imported here for the same reason as in client_maker.
    from ..mysql_client import GroupLeader

    return GroupLeader(config.target.members, config.target.account, LEADER_TIMEOUT_S)
