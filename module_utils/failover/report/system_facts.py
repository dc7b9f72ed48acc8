# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the report asks of systems by their names, also where a folder has one that is not known any more."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..sentences import listing
from ..systems.known_bugs import bugs_of
from ..systems.registry import SYSTEMS

# Versions that the cover shows, as far as they are recorded, whatever the case of their letters; the appendix has all.
COVER_VERSIONS = {
    *("python", "ansible", "ansible-core", "failover-lab"),
    *(name for system in SYSTEMS.values() for name in system.versions),
}
# Effective settings that the cover shows; the appendix has all.
COVER_SETTINGS = {name for system in SYSTEMS.values() for name in system.cover_settings}
# What a key's version of 1 shows where it was written again after a DELETE, and whose own hash stands beside the
# digests of the keys.
VERSION_ONE = "; ".join(system.first_version for system in SYSTEMS.values() if system.first_version)
SERVER_HASH = "; ".join(system.own_hash for system in SYSTEMS.values() if system.own_hash)


def title_of(system: str) -> str:
    """Return how sentences name a system; one that is not known by its name."""
    return SYSTEMS[system].phrase if system in SYSTEMS else system


def is_replicated(system: str) -> bool:
    """Tell whether another member takes over; of a system that is not known that is assumed."""
    return system not in SYSTEMS or SYSTEMS[system].several


def acknowledged(systems: Collection[str]) -> str:
    """Say what an acknowledgement means; empty where it means the same for all these systems."""
    if len(systems) < 2 or not any(name in SYSTEMS and SYSTEMS[name].in_memory for name in systems):
        return ""
    meanings = " ".join(SYSTEMS[name].acknowledges for name in SYSTEMS if name in systems)
    return f"Every system acknowledges a write when it is on a disk. {meanings} This run does not test that."


def undurable(system: str, effective: Mapping[str, Any]) -> list[str]:
    """Name the recorded settings with which a loss of power takes what was acknowledged, with their values."""
    if system not in SYSTEMS:
        return []
    known = {setting_name(name): str(value).lower() for name, value in effective.items()}
    return [
        f"{name} = {known[name]}"
        for name, durable in SYSTEMS[system].durable_with
        if known.get(name, durable) != durable
    ]


def known_bugs(versions: Mapping[str, Collection[str]]) -> list[str]:
    """Tell the known bugs of the versions that ran, a sentence each.

    :param versions: of each system
    """
    return [
        f"{SYSTEMS[system].phrase} {version} has {bug.name}: {bug.says} (mended in {bug.mended(version)})."
        for system in versions
        if system in SYSTEMS
        for version in sorted(versions[system])
        for bug in bugs_of(SYSTEMS[system].known_bugs, version)
    ]


def fence_prices(systems: Collection[str]) -> str:
    """Say what the fence of writes costs on these systems; empty where nobody measured it."""
    told = [
        f"{listing([f'{share:.2f}' for share in SYSTEMS[name].fence_price])} on {SYSTEMS[name].phrase}"
        for name in SYSTEMS
        if name in systems and SYSTEMS[name].fence_price
    ]
    return "; ".join(told)


def setting_name(name: str) -> str:
    """Return a setting's name in one spelling: ETCD_HEARTBEAT_INTERVAL and heartbeat-interval are one setting."""
    plain = name.lower().replace("-", "_")
    return next((plain.removeprefix(f"{system}_") for system in SYSTEMS if plain.startswith(f"{system}_")), plain)


def bounds(system: str, fault: Mapping[str, Any], effective: Mapping[str, Any]) -> dict[str, str]:
    """Name the recorded settings of a system's servers that bound the waits of an outage, by wait (see outage/lanes).

    :param fault: as the report tells it
    :param effective: its recorded settings
    :returns: nothing of a system that is not known
    """
    if system not in SYSTEMS:
        return {}
    return SYSTEMS[system].waits(fault, {setting_name(name): value for name, value in effective.items()})
