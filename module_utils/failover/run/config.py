# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What one experiment's workload is run with, and whether it can begin so."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from ..shapes import Arrivals, FaultSpec, LabError, ReadConsistency, RetryPolicy, RunSettings, Target
from ..systems.endpoints import split_endpoint
from ..systems.loop import FailoverPolicy
from ..systems.registry import SYSTEMS

_Choice = TypeVar("_Choice", bound=StrEnum)


@dataclass(frozen=True)
class RunnerConfig:
    """One experiment's workload."""

    experiment: str
    key_prefix: str
    settings: RunSettings  # of the run
    target: Target
    work_dir: Path
    faults: Sequence[FaultSpec] = ()
    repeats: int = 1  # of this experiment
    processes: int = 1  # that share the clients, beside this one if there is more than one
    source: str = field(default_factory=socket.gethostname)  # who stamps the clients' events

    @property
    def policy(self) -> FailoverPolicy:
        """Return the clients' patience; LabError where it makes no sense."""
        return policy_of(self.settings)


def policy_of(settings: RunSettings) -> FailoverPolicy:
    """Return what a run's clients do about what fails; LabError where it makes no sense."""
    return FailoverPolicy(
        attempt_timeout_ms=settings.attempt_timeout_ms,
        connect_timeout_ms=settings.connect_timeout_ms,
        operation_budget_ms=settings.operation_budget_ms,
        retry_policy=one_of(RetryPolicy, "retry_policy", settings.retry_policy),
        read_consistency=one_of(ReadConsistency, "read_consistency", settings.read_consistency),
    )


def need_in_definition(definition: Mapping[str, Any], keys: Sequence[str]) -> None:
    """Raise LabError where an experiment's definition lacks one of these keys."""
    missing = [key for key in keys if key not in definition]
    if missing:
        raise LabError(f"definition lacks {', '.join(missing)}; give it as experiment_plan_info returns it")


def processes_of(asked: int) -> int:
    """Return how many processes share a host's clients: as many as it has cores, where 0 are asked for."""
    return asked or os.cpu_count() or 1


def one_of(choices: type[_Choice], name: str, value: str) -> _Choice:
    """Return the choice that a setting names; LabError where it names none."""
    try:
        return choices(value)
    except ValueError:
        raise LabError(f"{name} is {value}; it has to be one of {', '.join(choices)}") from None


def check_config(config: RunnerConfig) -> None:
    """Raise :class:`LabError` where a run with ``config`` could not begin."""
    settings, target = config.settings, config.target
    _ = config.policy
    if target.system not in SYSTEMS:
        raise LabError(f"system is {target.system!r}; known are {', '.join(SYSTEMS)}")
    if settings.clients < 1:
        raise LabError(f"clients is {settings.clients}; it has to be at least 1")
    if not 0 <= settings.rate < float("inf"):
        raise LabError(f"rate is {settings.rate}; it has to be 0 (closed loop) or operations per second")
    one_of(Arrivals, "arrivals", settings.arrivals)
    if config.repeats < 1:
        raise LabError(f"repeats is {config.repeats}; it has to be at least 1")
    if config.processes < 1:
        raise LabError(f"processes is {config.processes}; it has to be at least 1")
    if not settings.stall_timeout_s > 0:
        raise LabError(f"stall_timeout_s is {settings.stall_timeout_s}; it has to be more than 0 seconds")
    if not target.endpoints:
        raise LabError(f"endpoints of {config.experiment} is empty; give at least one host:port")
    for endpoint in target.endpoints:
        split_endpoint(endpoint)
    try:
        SYSTEMS[target.system].check(target)
    except LabError as error:
        raise LabError(f"{config.experiment}: {error}") from error
