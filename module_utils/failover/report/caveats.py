# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a reader in a hurry has to know before comparing anything: sentences for the cover, with the run's numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..actions.registry import ACTIONS
from ..sentences import listing, plural
from .system_facts import is_replicated, title_of

# From this share on a system's healthy throughput is said to differ between two experiments.
STEADY_SHARE = 0.02


def caveats(
    controller: Mapping[str, Any], experiments: Sequence[Mapping[str, Any]], left_out: Mapping[str, str]
) -> list[str]:
    """Return the sentences that apply to this run.

    :param controller: of run.json; ``container_runtime`` or ``hypervisor`` tell that all members share one machine
    :param experiments: as the report tells them
    :param left_out: why an experiment was not run, by its name
    """
    found = [
        *(f"{name} was left out: {why}." for name, why in left_out.items()),
        _replicas(bool(controller.get("container_runtime") or controller.get("hypervisor")), experiments),
        _drift(experiments),
        _compared(experiments),
    ]
    return [text for text in found if text]


def emulated(controller: Mapping[str, Any]) -> str:
    """Say in large letters what is not to be believed where the hosts are emulated, empty where they are not.

    :param controller: of run.json
    """
    if controller.get("accelerator") != "tcg":
        return ""
    return (
        "The hosts are emulated: every time in this report, and every rate, is the emulator's and means nothing. What "
        "it says of the data, the verdict, holds."
    )


def _replicas(one_machine: bool, experiments: Sequence[Mapping[str, Any]]) -> str:
    """Say so where a server without replicas stands beside systems that keep several."""
    members = {experiment["system"]: len(experiment["members"]) for experiment in experiments}
    alone = [title_of(system) for system, count in members.items() if count == 1]
    several = [(title_of(system), count) for system, count in members.items() if count > 1]
    if not alone or not several:
        return ""
    replicated = listing([f"{plural(count, 'replica')} of {name}" for name, count in several])
    where = ", all on one disk" if one_machine else ""
    return (
        f"{listing(alone)} is a single server without replicas and stands beside {replicated}{where}: it writes once "
        "what they write several times, and when it fails nobody takes over. Their throughput, latency and "
        "outages do not compare two systems of one kind."
    )


def _drift(experiments: Sequence[Mapping[str, Any]]) -> str:
    """Say how much the throughput moved while nothing was wrong, within and between experiments."""
    rates = [(e["name"], e["system"], e["healthy_ops_per_s"]) for e in experiments if e["healthy_ops_per_s"]]
    if not rates:
        return ""
    name, _, widest = max(rates, key=lambda row: float(row[2]["drift"]))
    text = (
        f"Throughput is not steady while nothing is wrong: in {name} it moved between {widest['least']:,.0f} and "
        f"{widest['most']:,.0f} op/s, {widest['drift'] * 100:.0f} % of its mean"
    )
    between = []
    for system in dict.fromkeys(system for _, system, _ in rates):
        means = [(rate["mean"], name) for name, own, rate in rates if own == system]
        (low, low_name), (high, high_name) = min(means), max(means)
        if len(means) > 1 and high - low > STEADY_SHARE * high:
            between.append(f"healthy {title_of(system)} had {low:,.0f} op/s in {low_name}, {high:,.0f} in {high_name}")
    return f"{'; '.join([text, *between])}. Smaller differences mean nothing."


def _compared(experiments: Sequence[Mapping[str, Any]]) -> str:
    """Say what the actions of this run have to say before their outages are compared."""
    told = []
    for action in ACTIONS.values():
        struck = {e["system"] for e in experiments for fault in e["faults"] if fault["action"] == action.name}
        if struck:
            told.append(action.compared(replicated=any(map(is_replicated, struck))))
    return " ".join(text for text in told if text)
