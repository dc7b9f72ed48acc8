# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Threats to validity: what may make the report's figures mean less than they seem to, with this run's numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...actions.registry import ACTIONS
from ...sentences import listing, milliseconds, plural
from ...shapes import RetryPolicy
from ...workloads.base import Sharing
from ...workloads.registry import workload_of
from ..outage.repetition import LEAST_REPEATS
from ..system_facts import acknowledged, fence_prices, known_bugs, title_of
from .base import Chapter, Told

# From here on the client's own CPU time is likely to bound the throughput.
CPU_BOUND_SHARE = 0.7

# Outages that are told one by one; of more the section on them has the figures.
MOST_EXAMPLES = 3
# Share of the clients' time from which on the load generator itself is a bottleneck.
OWN_SHARE = 0.1


# How virtual machines on one machine differ from machines of their own.
VIRTUAL = (
    ": each has a kernel, a page cache, a disk and a clock of its own, and its power can be cut; but all disks are "
    "files on one disk, and all processors its cores. The network between members is memory, and the servers' work "
    "competes with the client's for CPU."
)


class Threats(Chapter):
    """What may make the report's figures mean less than they seem to."""

    anchor = "threats"
    title = "Threats to validity"

    def compute(self, told: Told) -> dict[str, Any]:
        """Return those that apply to this run."""
        info = told.run.info
        return {"threats": threats(info["controller"], info["hosts"], info, told.experiments, told.run.stream)}


def threats(
    controller: Mapping[str, Any],
    hosts: Mapping[str, Mapping[str, Any]],
    run: Mapping[str, Any],
    experiments: Sequence[Mapping[str, Any]],
    stream: Mapping[str, Any],
) -> list[dict[str, str]]:
    """Return the threats that apply to this run, each with ``title`` and ``text``, the weightiest first.

    :param stream: name and options of its workload
    """
    found = [
        _one_machine(controller, hosts),
        _client_bound(experiments),
        _closed_loop(run, experiments),
        _repetition(experiments),
        _elections(experiments),
        _tails(experiments),
        _clocks(controller, hosts, experiments),
        _durability(experiments),
        _known_bugs(hosts, experiments),
        _fence(run, experiments),
        _locks(run),
        _scope(experiments, stream),
    ]
    return [{"title": title, "text": text} for title, text in (threat for threat in found if threat is not None)]


def _one_machine(controller: Mapping[str, Any], hosts: Mapping[str, Mapping[str, Any]]) -> tuple[str, str] | None:
    """Containers of one machine share what real members do not."""
    runtime, hypervisor = controller.get("container_runtime"), controller.get("hypervisor")
    if not runtime and not hypervisor:
        return None
    cores, memory = controller.get("cores"), controller.get("memory_mb")
    size = ", ".join(
        part
        for part in (
            plural(cores, "core") if cores else "",
            f"{memory / 1024:,.0f} GiB of memory" if isinstance(memory, int | float) else "",
        )
        if part
    )
    where = f"on one machine{f' ({size})' if size else ''}"
    if hypervisor:
        return ("One machine", f"All {len(hosts)} hosts are virtual machines of {hypervisor} {where}{VIRTUAL}")
    return (
        "One machine",
        f"All {len(hosts)} hosts are containers {where}: they share its kernel, "
        "disk, page cache, CPU and clock. The network between members is memory; a round trip costs tens of "
        "microseconds rather than the milliseconds of separate machines. A fault of the machine itself (power, disk, "
        "kernel) is not tested, and the servers' work competes with the client's for CPU.",
    )


def _client_bound(experiments: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """Say how much of the time the client itself was computing."""
    shares = [(e["name"], e["client_cpu_share"]) for e in experiments if e["client_cpu_share"] is not None]
    if not shares:
        return ("The client's share", "The client's CPU time was not recorded, so what it bounds is unknown.")
    listed = ", ".join(f"{share * 100:.0f} % in {name}" for name, share in shares)
    hosts = max((experiment["load_generators"] for experiment in experiments), key=len)
    processes = max((generator["processes"] for generator in hosts), default=1)
    highest = max(share for _, share in shares) / (processes * max(1, len(hosts)))
    judgement = (
        "so throughput is bounded by the client in part, and says less about the servers."
        if highest >= CPU_BOUND_SHARE
        else "the rest of the time it waited for the servers, the network or a turn on a core."
    )
    return (
        "The client's share",
        f"{_generator(hosts, processes)} Its CPU time over the wall time was {listed}; {judgement} A client "
        f"in a compiled language gets more operations per second from the same servers.{_own_delays(experiments)}",
    )


def _generator(hosts: Sequence[Mapping[str, Any]], processes: int) -> str:
    """Say what the load generator is."""
    if len(hosts) > 1:
        off_ms = max(host["clock_uncertainty_ns"] for host in hosts) / 1e6
        return (
            f"The load generator is {len(hosts)} hosts with up to {processes} Python processes each, and the first "
            f"leads. Times of operations of the others are right within {milliseconds(off_ms)} ms."
        )
    if processes > 1:
        return f"The load generator is {processes} Python processes with clients, and one that leads them."
    return "One Python process is the load generator."


def _own_delays(experiments: Sequence[Mapping[str, Any]]) -> str:
    """Say how long the generator took between operations, and where that was much of the clients' time."""
    delays = {e["name"]: e["own_delay"] for e in experiments if e["own_delay"] is not None}
    if not delays:
        return ""
    told = "; ".join(
        f"{milliseconds(delay['p50_ms'])} ms in {name} (p99 {milliseconds(delay['p99_ms'])}, longest "
        f"{milliseconds(delay['max_ms'])}), {delay['share'] * 100:.1f} % of its clients' time"
        for name, delay in delays.items()
    )
    slow = [name for name, delay in delays.items() if delay["share"] >= OWN_SHARE]
    limits = f" So in {listing(slow)} the generator was a bottleneck: the servers can do more." if slow else ""
    return f" From the moment at which an operation could be sent it took, at the median, {told}.{limits}"


def _closed_loop(run: Mapping[str, Any], experiments: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """Without a rate, an outage delays only the operations in flight."""
    if run["rate"]:
        return None
    missed = [
        (experiment["name"], fault)
        for experiment in experiments
        for fault in experiment["faults"]
        if fault["shown"] and fault["operations_not_sent"] is not None
    ]
    example = "".join(
        f" In {name} about {plural(round(fault['operations_not_sent']), 'operation')} would have been due during "
        f"the {_missed(fault['gap'])}"
        for name, fault in missed[:MOST_EXAMPLES]
    )
    return (
        "Closed loop",
        f"No rate was set: {_clients(run['clients'])} the next operation when the last one is done. An outage then "
        "delays only the operations in flight, so percentiles understate what users who arrive at their own "
        f"pace would see (coordinated omission).{example} The time without an acknowledged operation does not have "
        "this weakness; a run with a rate measures latency from the intended start.",
    )


def _missed(gap: Mapping[str, Any]) -> str:
    """Say what became of the operations that were due in a gap."""
    if gap["ended"]:
        return f"{gap['duration_ms']:,.1f} ms without an acknowledged one; they were sent later and count as fast."
    return f"last {gap['duration_ms']:,.1f} ms, in which none was acknowledged."


def _clients(count: int) -> str:
    return "the one client sends" if count == 1 else f"each of the {count} clients sends"


def _repetition(experiments: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Say how often each experiment ran, and what determined the length of its outages."""
    counts = sorted({experiment["repeats"] for experiment in experiments})
    if counts and counts[-1] > 1:
        return ("Repeats on one lab", _repeated(experiments, counts))
    outages = [(e["name"], fault) for e in experiments for fault in e["faults"] if fault["gap"]]
    if len(experiments) == 1:
        text = (
            "The experiment ran once. There is no spread of repeated runs, so a difference of a few percent from "
            "another run means nothing"
        )
    else:
        text = (
            f"Each of the {len(experiments)} experiments ran once, one after the other on the same hosts. There is no "
            "spread of repeated runs, so differences of a few percent between experiments mean nothing"
        )
    if outages:
        text += f", and the length of {'the' if len(outages) == 1 else 'each'} outage is one sample"
    reasons = [fault["length"] for _, fault in outages[:MOST_EXAMPLES] if fault["length"]]
    return ("One run of each", " ".join([f"{text}.", *reasons]))


def _repeated(experiments: Sequence[Mapping[str, Any]], counts: Sequence[int]) -> str:
    """Say what repeats on the same hosts prove, and what determined the lengths of their outages."""
    times = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    text = (
        f"Each fault was repeated {times} times, one after the other on the same hosts, in one stream of operations, "
        "on data that grow from repeat to repeat."
    )
    groups = [(experiment, group) for experiment in experiments for group in experiment["repetition"]]
    if any(measure["low_ms"] is not None for _, group in groups for measure in group["measures"]):
        text += (
            " The intervals say how far a median would move with other repeats on this lab. They say nothing of other "
            "machines, and a difference between two systems that is smaller than their intervals means nothing."
        )
    else:
        text += (
            f" Fewer than {LEAST_REPEATS} repeats of a fault do not say how far its median would move with others: a "
            "difference between two systems whose points overlap means nothing."
        )
    reasons = [(experiment, group) for experiment, group in groups if group["length"]]
    told = [
        f"{group['fault']} of {experiment['name']}: {group['length']}" for experiment, group in reasons[:MOST_EXAMPLES]
    ]
    return " ".join([text, *told])


def _elections(experiments: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """Elections that no fault of ours explains."""
    unexplained = [(e["name"], len(e["elections_unexplained"])) for e in experiments if e["elections_unexplained"]]
    if not unexplained:
        return None
    listed = ", ".join(f"{count} in {name}" for name, count in unexplained)
    return (
        "Elections without a fault",
        f"Elections outside the time of any fault: {listed}. Slow disks or a starved CPU cause such "
        "elections; the latency figures of these experiments include them.",
    )


def _tails(experiments: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """How few operations the high percentiles rest on."""
    counts = [
        (summary["count"], kind, experiment["name"])
        for experiment in experiments
        for kind, summary in experiment["latency"]["by_kind"].items()
        if summary["count"]
    ]
    if not counts:
        return None
    count, kind, name = min(counts)
    above = count // 1000
    if above:
        rest = f"so {above:,} {'lies' if above == 1 else 'lie'} above its p99.9; its maximum is a single operation."
    elif count >= 100:
        rest = "so its p99.9 is its maximum, a single operation."
    else:
        rest = "so its p99 and its p99.9 are its maximum, a single operation."
    return (
        "Thin tails",
        "p99.9 is an observed value with at most one operation in a thousand above it. The smallest group, "
        f"{kind} in {name}, has {plural(count, 'operation')}, {rest}",
    )


def _durability(experiments: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """Say what an acknowledgement means, where that is not the same for the systems that are compared."""
    text = acknowledged({experiment["system"] for experiment in experiments})
    return ("What an acknowledgement means", text) if text else None


def _known_bugs(
    hosts: Mapping[str, Mapping[str, Any]], experiments: Sequence[Mapping[str, Any]]
) -> tuple[str, str] | None:
    """Name the bugs that the versions that ran are known to have."""
    versions: dict[str, set[str]] = {experiment["system"]: set() for experiment in experiments}
    for host in hosts.values():
        system = host.get("system")
        version = host.get("versions", {}).get(system)
        if system in versions and version:
            versions[system].add(str(version))
    told = known_bugs(versions)
    if not told:
        return None
    return (
        "Known bugs of these versions",
        f"{' '.join(told)} A finding of that kind is no news to its developers; that there is none says only that "
        "this run did not meet it.",
    )


def _fence(run: Mapping[str, Any], experiments: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """Say what it costs that no write takes effect late, which applications may do without."""
    prices = fence_prices({experiment["system"] for experiment in experiments})
    if run.get("retry_policy") != RetryPolicy.SAFE or not prices:
        return None
    return (
        "The fence",
        "Under the retry policy safe no attempt of a write takes effect once the operation is over. That has a price, "
        "which an application that retries blindly does not pay. In turns with such clients, on two cores "
        f"(benchmarks/clients.py), safe made these shares of their throughput with 1, 8 and 32 clients: {prices}.",
    )


def _locks(run: Mapping[str, Any]) -> tuple[str, str] | None:
    """Say whether the numbers have TLS in them; runs of versions without a choice had none and do not say so."""
    if "tls" not in run:
        return None
    if run["tls"]:
        return (
            "Locked doors",
            "All connections were encrypted, the servers on them verified, and every request came with an account "
            "(tls was true). Latencies have that in them, and so has an outage in which a client connects "
            "anew. docs/locks.md has the price; a run with tls=false has numbers without it.",
        )
    return (
        "Open doors",
        "Nothing was encrypted, no server was verified, and no accounts were made where a system needs none (tls was "
        "false), as in the notebook. Whoever secures a system pays for it; docs/locks.md has the price.",
    )


def _clocks(
    controller: Mapping[str, Any], hosts: Mapping[str, Mapping[str, Any]], experiments: Sequence[Mapping[str, Any]]
) -> tuple[str, str]:
    """Where the moments of the outage get their times from."""
    text = (
        "Operations are timed by the client's monotonic clock, events by whoever acted, on the wall clock of its host"
    )
    if controller.get("container_runtime"):
        text += ", which all containers share with the machine"
    text += (
        ". Log lines of the servers are stamped when they are written, which can be later than what they tell by the "
        "time it takes to write them."
    )
    clocks = [clock for experiment in experiments for clock in experiment["clocks"]]
    if clocks:
        furthest = max(clocks, key=lambda clock: abs(clock["offset_ms"]))
        text += (
            f" Before the experiments with faults the hosts' clocks were compared with the load generator's: the "
            f"furthest, {furthest['host']}, was {furthest['offset_ms']:+,.3f} ms away, measured to "
            f"{furthest['uncertainty_ms']:,.3f} ms"
        )
        text += (
            "; offsets larger than their error are subtracted in this report."
            if any(clock["corrected"] for clock in clocks)
            else ", so nothing is corrected."
        )
    elif not controller.get("container_runtime"):
        text += (
            f" How far the clocks of the {len(hosts)} hosts are apart is not recorded: moments stamped by different "
            "hosts may be off by that much."
        )
    return ("Times of events", text)


def _scope(experiments: Sequence[Mapping[str, Any]], stream: Mapping[str, Any]) -> tuple[str, str]:
    """Say what was not tried."""
    actions = sorted({fault["action"] for experiment in experiments for fault in experiment["faults"]})
    healthy = sorted({e["system"] for e in experiments} - {e["system"] for e in experiments if e["faults"]})
    text = f"The faults of this run: {', '.join(actions) if actions else 'none'}. "
    text += "".join(f"{caveat} " for action in actions if (caveat := ACTIONS[action].caveat))
    if healthy:
        names = " and ".join(title_of(system) for system in healthy)
        text += f"{names} had no fault here, so the run says nothing about its failover. "
    workload, options = workload_of(stream)
    longest = workload.longest_value(options)
    keys = (
        "Each key is written through one client at a time, values are short (an IPv4 address),"
        if workload.sharing is Sharing.ONE_CLIENT
        else f"All clients share the keys, of up to {longest:,} characters each,"
    )
    return (
        "Scope",
        f"{text}{keys} connections are not encrypted, and the servers have no other load. Nothing is concluded about "
        "other workloads or faults.",
    )
