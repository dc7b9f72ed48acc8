# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run needs of its system: clients, a director of faults, a healer, and whoever knows the leader."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..actions.record import FaultRecord
from ..director.aims import ROLES_TIMEOUT_S
from ..director.choreographer import Lead
from ..director.director import Audience, FaultDirector
from ..shapes import ClientEmit, Emit, Event, FaultSpec, LabError
from ..systems.base import Client, ClientIdentity, LeaderFinder, Watcher
from ..systems.endpoints import endpoint_of
from ..systems.fence import Ids
from ..systems.registry import SYSTEMS
from ..systems.steering import Steering
from .clients import MakeClient
from .config import RunnerConfig
from .healing import Healer
from .progress import LEADER_TIMEOUT_S


class Director(Protocol):
    """What the workload needs of a :class:`~.director.director.FaultDirector`."""

    def arm(self, audience: Audience) -> None:
        """Get ready, and say of which operations it wants to hear."""

    def on_index(self, index: int, wall_ns: int | None = None) -> None:
        """Tell that operation ``index`` is about to be invoked, or was at a time."""

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


def client_maker(config: RunnerConfig, steering: Steering | None = None) -> MakeClient:
    """Return what makes the clients of the config's system; making one is a LabError where its driver is missing.

    :param steering: the same for the directors
    """
    system = SYSTEMS[config.target.system]
    led_by = steering or Steering()
    # Of each process of clients its own: two that went on with the same numbers would give them twice.
    ids: defaultdict[int, Ids] = defaultdict(Ids)

    def make(number: int, emit: ClientEmit) -> Client:
        try:
            identity = ClientIdentity(
                f"{config.experiment}/{number}", config.settings.seed + number, ids=ids[os.getpid()], steering=led_by
            )
            return system.client(config.target, config.policy, emit, identity)
        except ImportError as error:
            raise _not_loaded(config, error) from error

    return make


def director_maker(config: RunnerConfig, key: bytes, steering: Steering | None = None) -> MakeDirector | None:
    """Return what makes the directors of the config's faults, None where there are none."""
    if not config.faults:
        return None
    endpoints = {name: endpoint_of(address) for name, address in config.target.addresses.items()}
    lead = Lead(steering or Steering(), endpoints)
    # Whose clients wait longer for an answer has slower members: half of that, as usual.
    patience_s = max(ROLES_TIMEOUT_S, config.settings.attempt_timeout_ms / 2_000)
    agents, source, ca = config.target.agents, config.source, config.target.ca
    return lambda faults, emit: FaultDirector(faults, agents, key, emit, source, lead, patience_s, ca=ca)


def healer_maker(config: RunnerConfig, key: bytes, *, timeout_s: float, sample_interval_ms: float) -> MakeHealer:
    """Return what makes the healers that put the system right between two repeats.

    :param timeout_s: how long a heal and the return to equal data may take
    """
    return lambda: Healer(
        config.target, key, timeout_s=timeout_s, sample_interval_ms=sample_interval_ms, source=config.source
    )


def watcher_of(config: RunnerConfig) -> Watcher | None:
    """Return what watches the config's keys; None where nothing is to, or the system offers nothing like that."""
    if not config.settings.watch:
        return None
    try:
        return SYSTEMS[config.target.system].watcher(config.target, config.key_prefix, config.policy)
    except ImportError as error:
        raise _not_loaded(config, error) from error


def _not_loaded(config: RunnerConfig, error: ImportError) -> LabError:
    return LabError(
        f"the {config.target.system} client cannot be loaded on {config.source}: {error}; "
        "provision the load generator with playbooks/up.yml"
    )


def leader_finder(config: RunnerConfig) -> LeaderFinder:
    """Return what finds the leader of the config's system."""
    return SYSTEMS[config.target.system].leader(config.target, LEADER_TIMEOUT_S)
