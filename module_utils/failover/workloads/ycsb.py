# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The core workloads of the Yahoo! Cloud Serving Benchmark.

Mixes and distributions are those of workloads/workloada to workloadf of YCSB and of Cooper et al., "Benchmarking cloud
serving systems with YCSB", 2010; the draws are this lab's own.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from random import Random
from typing import Any

from ..shapes import LabError
from .base import RETRIEVE, SCAN, WRITE, Draw, Sharing, Workload
from .options import mix, whole_number
from .packed import CODE_OF, Stream

# Records that are there before the first operation, and characters of a value: YCSB's own numbers of both are 1,000.
# A value of 100 is one of the ten fields that a record has there.
RECORDS = 1000
VALUE_CHARS = 100
# Keys that a SCAN asks for at most; how many is drawn from 1 on, all alike (YCSB's maxscanlength, uniform).
SCAN_LENGTH = 100
# What clients take in one answer (4 MiB, gRPC's own limit), and what a key costs in it beside its value.
SCAN_MOST_BYTES = 4_000_000
SCAN_KEY_BYTES = 100
# Kinds beside RETRIEVE and WRITE (an update): a WRITE of a new key, and a read of a key with its update behind it.
INSERT = "INSERT"
MODIFY = "MODIFY"
# YCSB's constant of the zipfian distribution; and of its hotspot distribution, how many of the keys are hot and how
# many of the operations go there.
ZIPFIAN_CONSTANT = 0.99
HOT_KEYS, HOT_OPERATIONS = 0.2, 0.8

# Chooses which of so many records an operation is about.
Choose = Callable[[int], int]


class _Zipfian:
    """Draws ranks from 0 on, of which rank r comes up in proportion to 1 / (r + 1) ** ZIPFIAN_CONSTANT."""

    def __init__(self, source: Random) -> None:
        self._random = source.random
        self._sums: list[float] = [0.0]  # of the weights of the first n ranks

    def __call__(self, ranks: int) -> int:
        sums = self._sums
        while len(sums) <= ranks:
            sums.append(sums[-1] + len(sums) ** -ZIPFIAN_CONSTANT)
        return bisect_right(sums, self._random() * sums[ranks], 1, ranks) - 1


def _zipfian(source: Random, records: int) -> Choose:
    """Choose popular records that are scattered over all; one that came later is as popular as any."""
    rank, places = _Zipfian(source), list(range(records))
    source.shuffle(places)

    def draw(count: int) -> int:
        found = rank(count)
        return places[found] if found < records else found

    return draw


def _latest(source: Random, _records: int) -> Choose:
    """Choose the records that came last most often."""
    rank = _Zipfian(source)
    return lambda count: count - 1 - rank(count)


def _uniform(source: Random, _records: int) -> Choose:
    return source.randrange


def _hotspot(source: Random, _records: int) -> Choose:
    """Choose most often from the first records."""

    def draw(count: int) -> int:
        hot = max(1, int(count * HOT_KEYS))
        if hot == count or source.random() < HOT_OPERATIONS:
            return source.randrange(hot)
        return source.randrange(hot, count)

    return draw


DISTRIBUTIONS: dict[str, Callable[[Random, int], Choose]] = {
    "zipfian": _zipfian,
    "latest": _latest,
    "uniform": _uniform,
    "hotspot": _hotspot,
}


class Ycsb(Workload):
    """One of the core workloads.

    The stream begins with a WRITE of each record (``preload``), which are no iterations. An INSERT is a WRITE of a new
    key. A MODIFY is a RETRIEVE and a WRITE of one key that the same client does one after the other, without a guard,
    as YCSB does.
    """

    sharing = Sharing.ALL_CLIENTS
    options = ("records", "value_size", "scan_length", "distribution", "mix", "preload")

    def __init__(self, letter: str, shares: Mapping[str, int], distribution: str = "zipfian") -> None:
        self.name = f"ycsb_{letter}"
        told = " and ".join(f"{share} % {_WORDS[kind]}" for kind, share in shares.items())
        self.says = f"YCSB's workload {letter.upper()}: {told}, {distribution} keys"
        self._shares = {**dict.fromkeys((RETRIEVE, WRITE, INSERT, MODIFY, SCAN), 0), **shares}
        self._distribution = distribution

    def draws(self, iterations: int, seed: int, options: Mapping[str, Any]) -> Iterator[Draw]:
        """Yield the operations; values begin with the operation's index, so that no two are equal."""
        records = self._records(options)
        size = self._value_size(options)
        longest = whole_number(options, "scan_length", SCAN_LENGTH, least=1, most=10_000)
        shares = mix(options, self._shares)
        kinds, bounds = list(shares), list(accumulate(shares.values()))
        if shares[SCAN] and longest * (size + SCAN_KEY_BYTES) > SCAN_MOST_BYTES:
            raise LabError(
                f"scan_length {longest:,} with value_size {size:,} makes answers of {longest * size / 1e6:,.0f} MB, "
                f"and a client takes {SCAN_MOST_BYTES / 1e6:.0f} MB at most: make one of the two smaller"
            )
        source = Random(seed)
        draw = self._draw(options, source, records)
        index = 0
        if _preload(options):
            for index in range(records):
                yield WRITE, index, _value(index, size)
            index = records
        for _ in range(iterations):
            [kind] = source.choices(kinds, cum_weights=bounds)
            if kind == INSERT:
                yield WRITE, records, _value(index, size)
                records += 1
                index += 1
                continue
            record = draw(records)
            if kind == SCAN:
                yield SCAN, record, str(source.randint(1, longest))
                index += 1
            if kind in (RETRIEVE, MODIFY):
                yield RETRIEVE, record
                index += 1
            if kind in (WRITE, MODIFY):
                yield WRITE, record, _value(index, size)
                index += 1

    def key_name(self, key: int) -> str:
        """Return the name of a record."""
        return f"user{key}"

    def most_operations(self, iterations: int, options: Mapping[str, Any]) -> int:
        """Return the records and the iterations, twice where one may be a MODIFY."""
        each = 2 if mix(options, self._shares)[MODIFY] else 1
        return iterations * each + (self._records(options) if _preload(options) else 0)

    def longest_value(self, options: Mapping[str, Any]) -> int:
        """Return the size of a value."""
        return self._value_size(options)

    def deal(self, operations: Stream, indexes: Sequence[int], clients: int) -> list[Sequence[int]]:
        """Deal operations out one by one, but leave a WRITE behind a RETRIEVE of its key with that one's client."""
        assigned: list[array[int]] = [array("I") for _ in range(clients)]
        write, retrieve = CODE_OF[WRITE], CODE_OF[RETRIEVE]
        kinds, keys = operations.kinds, operations.key_numbers
        client, read = -1, -1  # the key that the operation before read
        for index in indexes:
            code, key = kinds[index], keys[index]
            if code != write or key != read:
                client = (client + 1) % clients
            assigned[client].append(index)
            read = key if code == retrieve else -1
        return [*assigned]

    def _records(self, options: Mapping[str, Any]) -> int:
        return whole_number(options, "records", RECORDS, least=1, most=10_000_000)

    def _value_size(self, options: Mapping[str, Any]) -> int:
        # 20 leave room for the index; etcd takes requests of 1.5 MB at most.
        return whole_number(options, "value_size", VALUE_CHARS, least=20, most=1_000_000)

    def _draw(self, options: Mapping[str, Any], source: Random, records: int) -> Choose:
        chosen = options.get("distribution", self._distribution)
        if not isinstance(chosen, str) or chosen not in DISTRIBUTIONS:
            raise LabError(
                f"distribution of the workload is {chosen!r}: it has to be one of {', '.join(DISTRIBUTIONS)}"
            )
        return DISTRIBUTIONS[chosen](source, records)


def _value(index: int, size: int) -> str:
    return f"{index}-".ljust(size, "v")


_WORDS = {RETRIEVE: "reads", WRITE: "updates", INSERT: "inserts", MODIFY: "read-modify-writes", SCAN: "scans"}


def _preload(options: Mapping[str, Any]) -> bool:
    given = options.get("preload", True)
    words = {"true": True, "yes": True, "false": False, "no": False}
    wanted = words.get(given.lower()) if isinstance(given, str) else given
    if not isinstance(wanted, bool):
        raise LabError(f"preload of the workload is {given!r}: it has to be true or false")
    return wanted


CORE = (
    Ycsb("a", {RETRIEVE: 50, WRITE: 50}),
    Ycsb("b", {RETRIEVE: 95, WRITE: 5}),
    Ycsb("c", {RETRIEVE: 100}),
    Ycsb("d", {RETRIEVE: 95, INSERT: 5}, "latest"),
    Ycsb("e", {SCAN: 95, INSERT: 5}),
    Ycsb("f", {RETRIEVE: 50, MODIFY: 50}),
)
