# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether lists grew as their clients were told.

No two elements are equal, so the longest list that anybody saw is the order in which they took effect, and everything
else is compared with it. What is found so is all there is to find: operations that fit into that order and into time
are linearizable, as each read has its place behind the last element that it shows.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple

from ..results.read import Dump
from ..shapes import LIST_SEPARATOR, Check, HistoryRow, Kind, Outcome, Verdict
from ..workloads.base import Content, value_of
from .base import Case, Checker
from .contradiction import described
from .counterexample import Counterexample
from .model import FORKED, LATE_DUPLICATE, LOST, PHANTOM, REORDERED, STALE, TWICE_LISTED
from .operations import Action, Call
from .words import classes_told, listed, names, verdict_of


class Seen(NamedTuple):
    """A list as somebody saw it."""

    elements: tuple[str, ...]
    begin_ns: float
    end_ns: float
    at: int | None  # of the read; None: as a member holds it at the end
    by: str


class Part(NamedTuple):
    """An operation that others contradict."""

    source: HistoryRow | Seen
    found: str = ""  # of a list that was seen: what of it matters


class Wrong(NamedTuple):
    """Something that is wrong with a list."""

    kind: str  # a class of wrong observation
    found: str  # what shows it, for people
    at: int | None  # of the operation that shows it
    # The fewest operations that show it: forgetting any one of them is enough, but for what else is wrong.
    parts: tuple[Part, ...]


@dataclass
class SeenList:
    """What is known of one list."""

    appends: dict[str, HistoryRow] = field(default_factory=dict)  # by element
    seen: list[Seen] = field(default_factory=list)


class Lists(Checker):
    """Each acknowledged element stands once in its list, where it belongs, and all readers saw that one list."""

    name = "lists"
    how = (
        "The longest list that anybody saw is held against all others, which have to be its beginnings. Each "
        "acknowledged element has to be there once, in each member at the end, and in every read that began after it "
        "was acknowledged, behind those that were acknowledged before it was sent."
    )

    def applies(self, case: Case) -> bool:
        """Whether the keys hold lists."""
        return case.workload.content is Content.LIST

    def judge(self, case: Case) -> list[Check]:
        """Judge list by list."""
        resent = {value_of(case.recorded.operations[index]) for index in case.sent_again}
        found: list[tuple[float, str, list[Wrong]]] = []
        lists = elements = reads = 0
        for begun_at, key, own in _lists(case):
            lists += 1
            elements += len(own.appends)
            reads += sum(each.at is not None for each in own.seen)
            # First what no late effect of a first attempt explains.
            amiss = sorted(wrong_in(own, resent), key=lambda each: each.kind == LATE_DUPLICATE)
            if amiss:
                found.append((begun_at, key, amiss))
        wrong = {key: amiss for _, key, amiss in sorted(found, key=itemgetter(0))}
        evidence: dict[str, Any] = {"lists": lists, "elements": elements, "reads": reads}
        told = f"{lists:,} lists with {elements:,} elements appended and {reads:,} reads"
        if wrong:
            worst = {key: found[0] for key, found in wrong.items()}
            evidence["by_class"] = dict(Counter(each.kind for each in worst.values()))
            evidence["wrong"] = listed(list(wrong), lambda key: _told(case, key, wrong[key]))
            first = next(iter(wrong))
            summary = f"Of {told}, wrong: {classes_told(evidence['by_class'])} ({names(wrong)}). {worst[first].found}"
            return [Check(self.name, verdict_of(evidence["by_class"]), summary, evidence)]
        if case.unreadable:
            summary = f"{told}; {case.unread}."
            return [Check(self.name, Verdict.UNKNOWN, summary, evidence)]
        summary = f"{told}: each acknowledged element is where it has to be."
        return [Check(self.name, Verdict.VALID, summary, evidence)]


def _told(case: Case, key: str, found: Sequence[Wrong]) -> dict[str, Any]:
    first = found[0]
    told: dict[str, Any] = {
        "key": key,
        "class": first.kind,
        "expected": None,
        "found": first.found,
        "more": len(found) - 1,
    }
    if case.explains:
        told["contradiction"] = _contradiction(case, first)
    return told if first.at is None else {**told, "operation": case.recorded.describe(first.at)}


def _contradiction(case: Case, wrong: Wrong) -> dict[str, Any]:
    """Tell of the few operations that contradict each other."""
    over_ns = case.recorded.ended_ns
    called = [(call_of_part(part, over_ns), part.source) for part in wrong.parts]
    called.sort(key=lambda each: each[0].begin)
    index_of = {
        call.label: index
        for call, source in called
        if (index := source.at if isinstance(source, Seen) else source.index) is not None
    }
    return described(case, Counterexample(tuple(call for call, _ in called), is_minimal=True), index_of)


def call_of_part(part: Part, over_ns: int) -> Call:
    """Return the operation with its times, and in words what of it matters.

    :param over_ns: when the last operation was over: what members hold was read after it
    """
    source, found = part
    if isinstance(source, HistoryRow):
        end_ns = source.complete_ns if source.outcome == Outcome.OK else None
        label = f"operation {source.index} ({source.kind})"
        return Call(Action.APPEND, source.value, None, source.invoke_ns, end_ns, label)
    if source.at is None:
        return Call(Action.READ, None, None, over_ns + 1, over_ns + 2, f"{source.by}: {found}")
    begin_ns = over_ns if math.isinf(source.begin_ns) else int(source.begin_ns)
    label = f"operation {source.at} (RETRIEVE): {found}"
    return Call(Action.READ, None, None, begin_ns, int(source.end_ns), label)


def _found(seen: Seen, what: str = "") -> str:
    """Say what was found in a list."""
    count = len(seen.elements)
    told = f"{count:,} elements" if count > 1 else f"the element {seen.elements[0]!r}" if count else "no element"
    return f"it found {told}{what}"


def _lists(case: Case) -> Iterator[tuple[float, str, SeenList]]:
    """Yield each list's first operation, its key, its appends, and what was seen of it: one list at a time."""
    seen: set[str] = set()
    for key, rows in case.recorded.by_key():
        first, own = _list_of(rows, may_be_old=case.recorded.reads_may_be_old)
        if first is not None:
            seen.add(key)
            yield first, key, _with_ends(own, key, case.dumps)
    for key in dict.fromkeys(key for dump in case.dumps.values() for key in dump.entries):
        if key not in seen:
            yield math.inf, key, _with_ends(SeenList(), key, case.dumps)


def _list_of(rows: Iterable[HistoryRow], *, may_be_old: bool) -> tuple[int | None, SeenList]:
    """Return the index of a list's first operation that tells anything, and what its operations tell."""
    first, own = None, SeenList()
    for row in rows:
        if row.kind == Kind.APPEND and row.value is not None:
            own.appends[row.value] = row
        elif row.outcome == Outcome.OK:
            begin_ns = -math.inf if may_be_old else row.invoke_ns
            by = f"the read of operation {row.index}"
            own.seen.append(Seen(_elements(row.read), begin_ns, row.complete_ns, row.index, by))
        else:
            continue
        first = row.index if first is None else first
    return first, own


def _with_ends(own: SeenList, key: str, dumps: Mapping[str, Dump]) -> SeenList:
    """Add what the members have of a list at the end."""
    for member, dump in dumps.items():
        value = dump.entries[key].value if key in dump.entries else None
        own.seen.append(Seen(_elements(value), math.inf, math.inf, None, f"{member} at the end"))
    return own


def _elements(value: str | None) -> tuple[str, ...]:
    return () if value is None else tuple(value.split(LIST_SEPARATOR))


def wrong_in(own: SeenList, resent: Collection[str | None]) -> Iterator[Wrong]:
    """Yield what is wrong with one list.

    :param resent: elements of acknowledged appends of which another attempt may take effect late
    """
    longest = max(own.seen, key=lambda seen: len(seen.elements), default=None)
    if longest is None:
        return
    yield from _lost(own)
    for seen in own.seen:
        if seen.elements != longest.elements[: len(seen.elements)]:
            found = f"{longest.by} shows a list of which that of {seen.by} is not the beginning."
            apart = next(n for n, element in enumerate(seen.elements) if element != longest.elements[n])
            parts = tuple(
                Part(each, _found(each, f", of which number {apart + 1:,} is {each.elements[apart]!r}"))
                for each in (seen, longest)
            )
            yield Wrong(FORKED, _sentence(found), seen.at if seen.at is not None else longest.at, parts)
            break
    counts = Counter(longest.elements)
    for element, count in counts.items():
        append = own.appends.get(element)
        if append is None or append.outcome == Outcome.FAIL:
            what = "nobody appended" if append is None else f"operation {append.index} certainly did not append"
            parts = (Part(longest, _found(longest, f", one of them {element!r}, which {what}")),)
            yield Wrong(PHANTOM, _sentence(f"{longest.by} has the element {element}, which {what}."), longest.at, parts)
        elif count > 1:
            kind = LATE_DUPLICATE if element in resent else TWICE_LISTED
            parts = (Part(longest, _found(longest, f", {count} of them {element!r}, which was added once")),)
            found = f"{longest.by} has the element {element} {count} times."
            yield Wrong(kind, _sentence(found), append.index, parts)
    yield from _out_of_time(own, longest, {element for element, count in counts.items() if count > 1})


def _lost(own: SeenList) -> Iterator[Wrong]:
    """Find elements that were acknowledged, or read, and that a member does not have at the end."""
    read: dict[str, Seen] = {}
    for seen in own.seen:
        if seen.at is not None:
            read |= {element: seen for element in seen.elements if element not in read}
    for seen in own.seen:
        if seen.at is None:
            there = set(seen.elements)
            for element, append in own.appends.items():
                if element not in there and (append.outcome == Outcome.OK or element in read):
                    what = "acknowledged" if append.outcome == Outcome.OK else "read"
                    found = f"{seen.by} lacks the element {element}, which was {what}."
                    by = Part(append)
                    if append.outcome != Outcome.OK:
                        by = Part(read[element], _found(read[element], f", one of them {element!r}"))
                    parts = (by, Part(seen, _found(seen, f", and not {element!r}")))
                    yield Wrong(LOST, _sentence(found), append.index, parts)


class _Placed(NamedTuple):
    """An operation at its place in the order: elements at theirs, a read behind the last one that it shows."""

    begin_ns: float
    end_ns: float
    at: int | None
    is_read: bool
    source: HistoryRow | Seen


def _out_of_time(own: SeenList, longest: Seen, doubled: Collection[str]) -> Iterator[Wrong]:
    """Find an operation that was over before one began that stands in front of it: the first of each kind.

    :param longest: the order
    :param doubled: elements that are there more than once, so that one of them may have come at any time
    """
    order = longest.elements
    reads: defaultdict[int, list[_Placed]] = defaultdict(list)
    for seen in own.seen:
        # One that is no beginning of the order has no place in it.
        if seen.at is not None and seen.elements == order[: len(seen.elements)]:
            reads[len(seen.elements)].append(_Placed(seen.begin_ns, seen.end_ns, seen.at, True, seen))
    told: set[str] = set()
    latest: _Placed | None = None  # of those in front, the one that began last
    for place in range(len(order) + 1):
        stages = [reads[place]]
        if place:
            append = own.appends.get(order[place - 1])
            if append is not None:
                is_over = append.outcome == Outcome.OK and order[place - 1] not in doubled
                end_ns = append.complete_ns if is_over else math.inf
                stages.insert(0, [_Placed(append.invoke_ns, end_ns, append.index, False, append)])
        for stage in stages:
            for behind in stage:
                if latest is None or behind.end_ns >= latest.begin_ns:
                    continue
                kind = STALE if latest.is_read else PHANTOM if behind.is_read else REORDERED
                if kind not in told:
                    told.add(kind)
                    found = _ORDER_TOLD[kind].format(latest.at, behind.at)
                    yield Wrong(kind, found, latest.at, _parts(behind.source, latest.source, longest))
            latest = max([*([latest] if latest else []), *stage], key=lambda each: each.begin_ns, default=None)


def _parts(sooner: HistoryRow | Seen, later: HistoryRow | Seen, longest: Seen) -> tuple[Part, ...]:
    """Return what contradicts that one operation was over before another one began, which stands in front of it."""
    if isinstance(sooner, HistoryRow):
        if isinstance(later, Seen):
            return Part(sooner), Part(later, _found(later, f", and not {sooner.value!r}"))
        if longest.end_ns < later.invoke_ns:
            return Part(longest, _found(longest, f", one of them {later.value!r}")), Part(later)
        order = f", {later.value!r} before {sooner.value!r}"
        return Part(sooner), Part(later), Part(longest, _found(longest, order))
    if isinstance(later, Seen):
        return Part(sooner, _found(sooner)), Part(later, _found(later))
    return Part(sooner, _found(sooner, f", one of them {later.value!r}")), Part(later)


_ORDER_TOLD = {
    STALE: "The read of operation {0} does not show what was there before it began: see operation {1}.",
    PHANTOM: "The element of operation {0} was read by operation {1} before it was sent.",
    REORDERED: "The element of operation {0} stands in front of that of operation {1}, which was acknowledged before.",
}


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
