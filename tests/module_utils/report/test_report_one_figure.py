# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One figure has one value, wherever a report tells it: cover, tables, sentences, report.json.

Runs are planted with values that are all different and chosen so that every second way to compute a figure gives
another number: the host takes the heal up 1 ms after it was requested, the heal is planned for 30 s and comes sooner,
one fault lands late, keys are written twice on all members. What is true comes from the planted files, not from the
report's code. Each figure is looked for by all the wordings that tell it; a wording that tells another value, or a
place that tells none, fails. A new sentence about a figure is a new pattern here.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from failover.checks.verdict import verify
from failover.report.content import build
from failover.report.render import render_html
from failover.results.parquet import read_parquet
from failover.results.read import load_run
from planted.parts import MS
from planted.run import make_run
from printed import leave_out_pictures

STOPPED = "E2-etcd"
NUMBER = r"(\d[\d,]*(?:\.\d+)?)"


@dataclass
class Report:
    """A planted run and all that its report says."""

    path: Path
    content: dict[str, Any]
    text: str  # of the page, tags taken out, one line a block; then every string of report.json

    @property
    def experiment(self) -> dict[str, Any]:
        """What was planted of the experiment with the stop."""
        found: dict[str, Any] = json.loads((self.path / STOPPED / "experiment.json").read_text())
        return found

    def events(self, name: str) -> list[int]:
        """Return the times of the events of one name, in ns since the experiment's origin."""
        lines = (self.path / STOPPED / "events.jsonl").read_text().splitlines()
        found = [event for event in map(json.loads, lines) if event["event"] == name]
        return sorted(event["wall_ns"] - self.experiment["origin_wall_ns"] for event in found)

    def completions(self) -> list[int]:
        """Return when operations were acknowledged, in ns since the origin."""
        rows = read_parquet(self.path / STOPPED / "history.parquet")[1].to_pylist()
        return sorted(row["complete_ns"] for row in rows if row["outcome"] == "ok")

    def outages_ms(self) -> list[float]:
        """Return the gap that each fault lies in or makes, found by hand."""
        gaps = list(pairwise(self.completions()))
        return [max(b - a for a, b in gaps if b > struck and a < struck + 45 * MS) / MS
                for struck in self.events("fault.signal_sent")]  # fmt: skip

    def healthy_ms(self) -> list[float]:
        """Return the gaps before the fault of each repeat, found by hand."""
        struck = self.events("fault.signal_sent")
        begun = [0, *self.events("repeat.started")[1:]]
        if len(begun) < len(struck):
            begun = [repeat["began_ns"] for repeat in self.experiment["repeats"]]
        spans = list(zip(begun, struck, strict=True))
        return sorted(
            (b - a) / MS
            for start, end in spans
            for a, b in pairwise([at for at in self.completions() if start <= at <= end])
        )


def strings(value: Any) -> Iterator[str]:
    """Yield every text of report.json."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def page_text(page: str) -> str:
    """Return the page as a reader has it: a line a paragraph, caption or table row."""
    page = re.sub(r"<(style|svg|head)\b.*?</\1>", "", page, flags=re.DOTALL)
    page = re.sub(r"</t[dh]>\s*<t[dh][^>]*>", " | ", re.sub(r"\s+", " ", page))
    page = re.sub(r"<(p|tr|h\d|li|figcaption|caption|dd|dt|div)\b[^>]*>", "\n", page)
    return html.unescape(re.sub(r" +", " ", re.sub(r"<[^>]+>", " ", page)))


def report_of(path: Path, change: Callable[[dict[str, Any]], None] | None = None, **options: Any) -> Report:
    """Plant a run, change its experiment.json, verify it, and make its report."""
    make_run(path, iterations=1200, **options)
    if change is not None:
        info = json.loads((path / STOPPED / "experiment.json").read_text())
        change(info)
        (path / STOPPED / "experiment.json").write_text(json.dumps(info))
    for experiment in load_run(path, need_verdicts=False).experiments:
        verify(path, experiment.name)
    with pytest.MonkeyPatch.context() as patched:
        leave_out_pictures(patched)
        content, drawings = build(load_run(path), lambda _: None)
        text = page_text(render_html(content, drawings))
    return Report(path, content, "\n".join([text, *(entry.replace("\n", " ") for entry in strings(content))]))


def due_in_30_s_and_one_is_late(info: dict[str, Any]) -> None:
    for fault in info["faults"]:
        fault |= {"heal": "delay", "heal_after_ms": 30_000.0}
    info["faults"][1]["record"] |= {"index_hit": info["faults"][1]["record"]["index_asked"] + 31, "delay_ms": 47.0}


@pytest.fixture(scope="module", params=["once", "thrice", "seven times"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("one-figure") / "run"
    if request.param == "once":
        return report_of(folder)
    repeats = 3 if request.param == "thrice" else 7
    return report_of(
        folder,
        due_in_30_s_and_one_is_late,
        experiments=["E1-etcd", STOPPED],
        repeats=repeats,
        plant="duplicate_apply_after_retry",
    )


@dataclass(frozen=True)
class Figure:
    """A figure of the run, its true values, and the wordings that tell it."""

    truth: Callable[[Report], list[float]]  # any of these may be told
    told: tuple[str, ...]  # regular expressions; each group is a number
    places: int  # so many must tell it, of a single run and of a repeated one alike
    of_repeats: bool = False  # a single run tells nothing of it


def outages(report: Report) -> list[float]:
    values = report.outages_ms()
    return [*values, median(values)]


def shown_as(value: float, text: str) -> bool:
    """Tell whether a printed number is this value, rounded to as many digits as are printed."""
    digits = len(text.partition(".")[2])
    return abs(float(text.replace(",", "")) - value) <= 0.5 * 10**-digits + 1e-9


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[max(0, -int(-len(values) * share // 1) - 1)]


FIGURES = {
    "outage": Figure(
        outages,
        (
            rf"[Nn]o operation was acknowledged for (?:a median of )?{NUMBER} ms",
            rf"the shortest outage lasted {NUMBER} ms, the longest {NUMBER} ms",
            rf"The {NUMBER} ms of the outage, phase by phase",
            rf"Of the {NUMBER} ms of F1",
            rf"sum: the outage \| *\| {NUMBER} ",
            rf"service gap \(no ok operation\) \|[^|]*\| \d+ \| *\| {NUMBER} \| {NUMBER} \|",
            rf"time without an acknowledged operation \| . \| {NUMBER} ms",
            rf"{STOPPED} F1 stop of the leader[^|]*\| {NUMBER} ",
            rf"due during the {NUMBER} ms without an acknowledged one",
        ),
        5,
    ),
    "members equal": Figure(
        lambda r: [repeat["convergence"]["duration_ms"] for repeat in r.experiment["repeats"]],
        (
            rf"the members were equal {NUMBER} ms after the request to heal",
            rf"equal data {NUMBER} ms after the heal was requested",
            rf"equal data after each of \d+ repeats, {NUMBER} to {NUMBER} ms after the heal was requested",
            rf"all members proven equal \|.*\| {NUMBER} ms after the heal was requested",
            rf"all members equal \| the heal \| \d+ \| *\| {NUMBER} \| {NUMBER} \| (?:\[.*?\] \| |. \| )?{NUMBER}",
            rf"{STOPPED} F1 stop of the leader.*\| {NUMBER}(?: \([^|]*| \[[^|]*)? *$",
        ),
        4,
    ),
    "healed after": Figure(
        lambda r: [
            (healed - struck) / MS / 1000
            for struck, healed in zip(r.events("fault.signal_sent"), r.events("fault.heal_requested"), strict=True)
        ],
        (rf"{NUMBER}(?: to {NUMBER})? s after the fault",),
        1,
    ),
    "faults that struck": Figure(
        lambda r: [len(r.experiment["faults"])],
        (
            r"all (\d+) faults struck",
            r"[Ii]n (\d+) of (\d+) repeats it struck its target",
            r"Sums over the (\d+) repeats",
            r"Each fault was repeated (\d+) times",
        ),
        4,
        of_repeats=True,
    ),
    "faults later than the bound": Figure(
        lambda r: [1],
        (
            r"(\d+) of them later than the placement bound",
            r"faults later than the placement bound\s*\n[ \d|]*\| (\d+) *$",
        ),
        2,
        of_repeats=True,
    ),
    "keys written twice": Figure(
        lambda r: [float(len(r.experiment["repeats"]) > 1)],  # one key, on each of three members
        (
            rf"keys written twice: {NUMBER} again with the same value",
            rf"lost, {NUMBER} again with the same value",
            rf"with the same value: {NUMBER} \(",
            rf"\n {STOPPED} F1 stop of the leader.*\| {NUMBER} \| [^|]*$",
        ),
        1,
    ),
    "healthy gap, longest": Figure(
        lambda r: [r.healthy_ms()[-1]],
        (
            rf"healthy gaps: median [\d.]+ ms, p99 [\d.]+ ms, longest {NUMBER} ms",
            rf"healthy gaps: [\d.]+/[\d.]+/{NUMBER} ms, median/p99/longest",
            rf"{STOPPED} F1 stop of the leader[^|]*\|[^|]*\| [\d.]+ [\d.]+ {NUMBER} ",
        ),
        3,
    ),
    "healthy gap, median": Figure(
        lambda r: [quantile(r.healthy_ms(), 0.5)],
        (
            rf"healthy gaps: median {NUMBER} ms",
            rf"healthy gaps: {NUMBER}/[\d.]+/[\d.]+ ms, median/p99/longest",
            rf"{STOPPED} F1 stop of the leader[^|]*\|[^|]*\| {NUMBER} [\d.]+ [\d.]+ ",
        ),
        3,
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_one_value_wherever_it_is_told(report: Report, name: str) -> None:
    figure = FIGURES[name]
    truth = figure.truth(report)
    places = 0
    for pattern in figure.told:
        for match in re.finditer(pattern, report.text, flags=re.MULTILINE):
            told = [text for text in match.groups() if text]
            places += bool(told)
            for text in told:
                assert any(shown_as(value, text) for value in truth), f"{match[0]!r} tells {text}, true is {truth}"
    if figure.of_repeats and len(report.experiment["repeats"]) == 1:
        assert places == 0
    else:
        assert places >= figure.places, f"{name} is told in {places} places only"


def test_a_fault_that_is_late_is_not_told_as_right_in_every_place(report: Report) -> None:
    (group,) = report.content["experiments"][-1]["repetition"]
    late = sum(fault["record"]["delay_ms"] > 20 for fault in report.experiment["faults"])
    assert group["sums"]["outside_bound"] == late
    assert "repeats as meant" not in report.text


def test_a_run_that_stops_a_node_never_says_that_it_does_not(report: Report) -> None:
    (group,) = [group for group in report.content["notebook"]["groups"] if "node stopped" in group["title"]]
    assert group["experiment"] == STOPPED
    assert "No experiment of this run stops" not in report.text


def test_intervals_are_told_of_six_repeats_or_more(report: Report) -> None:
    assert ("95 %" in report.text) is (len(report.experiment["repeats"]) >= 6)
    told = re.search(r"[Tt]he interval|intervals? of the median|\[ \]:", report.text)
    assert bool(told) is (len(report.experiment["repeats"]) >= 6)


def test_one_value_has_no_median(report: Report) -> None:
    if len(report.experiment["repeats"]) == 1:
        assert "a median of" not in report.text
        assert "medians of the repeats" not in report.text


def test_a_name_of_a_repeat_is_explained_where_the_first_one_stands(report: Report) -> None:
    page = report.text
    first = re.search(r"\bF\d", page)
    assert first is not None
    assert page[first.start() :].startswith("F1 is an experiment")
    if "F1@" in page:
        assert re.search(r"F1@3 is the first fault in the third repeat", page)


def test_the_report_says_signal_only_of_a_signal(report: Report) -> None:
    page = report.text
    assert "SIGTERM sent (the fault)" in page
    assert not re.search(r"after the signal|of the signal|[Tt]he signal was sent", page)
