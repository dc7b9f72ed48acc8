# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from failover.measured.columns import MS
from failover.measured.percentiles import latency_summary
from failover.report.chapters.latency import survival_curve
from failover.report.content import build
from failover.report.figures import convergence, lanes, latency, outage, outages, over_time, spreads, style
from failover.report.figures.distances import since
from failover.report.outage.repetition import repeated
from failover.report.render import TEMPLATES
from failover.results.read import load_run
from failover.sentences import milliseconds
from printed import Content
from test_report_repetition import fault
from verified import verified_run


def text_of(svg: str) -> str:
    """Return the words of a figure."""
    return " ".join(
        element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")
    )


def description_of(svg: str) -> str:
    """Return what a figure says to those who do not see it."""
    return next(element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("desc"))


def test_the_figures_of_a_run_are_there(valid_content: Content) -> None:
    assert set(valid_content[1]) == {
        "e1-time",
        "e2-time",
        "e3-time",
        "latency",
        "outages",
        "e3-outage1",
        "e3-outage1-lanes",
        "e3-convergence",
    }


def test_the_lanes_name_every_wait_its_length_and_what_bounds_it(valid_content: Content) -> None:
    content, drawings = valid_content
    told = content["experiments"][2]["faults"][0]["lanes"]
    words = text_of(drawings["e3-outage1-lanes"])
    assert told["lanes"]
    for lane in told["lanes"]:
        assert f"{lanes.SIDES[lane['side']][1]}: {lane['label']}" in words
        assert f"{milliseconds(lane['duration_ms'])} ms" in words
        assert (lane["bound"] or "") in words
    assert f"{milliseconds(told['after_able_ms'])} ms of it after the new leader was there" in words
    assert "ran beside it" in words


def test_what_no_wait_covers_is_drawn_as_unexplained(valid_content: Content) -> None:
    told = valid_content[0]["experiments"][2]["faults"][0]["lanes"]
    whole = {**told, "critical": [piece for piece in told["critical"] if piece["lane"] is not None]}
    assert "unexplained" not in text_of(lanes.draw(whole, "F1", "x"))
    hole = {**told, "critical": [{**told["critical"][-1], "lane": None}]}
    assert "unexplained" in text_of(lanes.draw(hole, "F1", "x"))


def test_the_lanes_of_repeats_have_a_bar_for_each(tmp_path: Path) -> None:
    path = verified_run(tmp_path / "run", iterations=900, experiments=["E2-etcd"], repeats=3)
    content, drawings = build(load_run(path), lambda _: None)
    (group,) = content["experiments"][0]["repetition"]
    words = text_of(drawings[f"{group['anchor']}-lanes"])
    after = group["lanes"]["after_able"]
    told = f"{milliseconds(after['min_ms'])} to {milliseconds(after['max_ms'])}"
    lane = group["lanes"]["lanes"][0]
    assert f"({milliseconds(lane['min_ms'])} to {milliseconds(lane['max_ms'])})" in words
    assert f"median {milliseconds(after['median_ms'])} ms ({told}) of it after {group['lanes']['able']}" in words
    # Repeats over time: numbered, without moments that would cover each other.
    words = text_of(drawings["e1-time"])
    assert "without the idle time between repeats" in words
    assert "leader elected" not in words


def test_the_cover_has_every_outage_with_its_background(valid_content: Content) -> None:
    content, drawings = valid_content
    words, told = text_of(drawings["outages"]), description_of(drawings["outages"])
    (row,) = [row for row in content["outages"] if row["struck"]]
    assert f"{row['what']}: {row['experiment']}" in words
    assert f"{milliseconds(row['gap']['median_ms'])} ms" in words
    assert "healthy gaps: median to p99, tick: longest" in words
    assert f"longest {milliseconds(row['healthy_gap_ms']['longest'])} ms" in told


def test_an_outage_that_did_not_end_is_a_lower_bound(valid_content: Content) -> None:
    row = valid_content[0]["outages"][0]
    gap = {**row["gap"], "endless": 1, "points": [{**row["gap"]["points"][0], "ended": False}]}
    words = text_of(outages.draw([{**row, "gap": gap}], "x"))
    assert "did not end" in words
    assert "≥ " in words


def test_times_that_cannot_be_told_are_not_drawn_as_if_they_were(valid_content: Content) -> None:
    content = valid_content[0]
    experiment = content["experiments"][2]
    told = {"gap": None, "marks": [], "healed_s": None, "lanes": None, "untold": "a clock was set"}
    unknown = {**experiment, "faults": [{**experiment["faults"][0], **told}]}
    limits = {"ops_per_s": 1000.0, "latency_low_ms": 0.1, "latency_high_ms": 1000.0}
    drawn = over_time.draw(unknown, limits, "x")
    assert "the length of its outage is unknown" in text_of(drawn)
    assert "leader elected" not in text_of(drawn)
    assert "opacity: 0.05" not in drawn  # no band of the time that a member was away
    assert "opacity: 0.05" in over_time.draw(experiment, limits, "x")
    assert "the length of the outage is unknown" in description_of(drawn)
    row = next(row for row in content["outages"] if row["struck"])
    nothing = {**row["gap"], "n": 0, "points": []}
    assert "unknown" in text_of(outages.draw([{**row, "gap": nothing, "untold": 1}], "x"))
    assert "none seen" in text_of(outages.draw([{**row, "gap": nothing, "untold": 0}], "x"))


def test_every_figure_says_what_it_shows_with_its_numbers(valid_content: Content) -> None:
    for name, svg in valid_content[1].items():
        root = ElementTree.fromstring(svg)
        assert root.get("role") == "img"
        labels = (root.get("aria-labelledby") or "").split()
        assert labels == [f"{name}-title", f"{name}-desc"]
        assert [element.get("id") for element in list(root)[:2]] == labels
        assert re.search(r"\d", description_of(svg)), name


def test_colours_are_variables_that_paper_does_not_need(valid_content: Content) -> None:
    for svg in valid_content[1].values():
        assert "var(--figure-ink, " in svg
        assert "#000000" not in svg  # black on a dark screen
        assert "var(" not in style.without_variables(svg)


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG 2.2 defines it."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_dark_page_has_a_colour_for_every_variable_that_stands_out() -> None:
    css = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    dark = dict(re.findall(r"--figure-(\w+): (#\w{6})", css[css.index("prefers-color-scheme: dark") :]))
    assert set(dark) == set(style.VARIABLES.values())
    assert f"--paper: {dark['paper']}" in css
    for name, colour in dark.items():
        if name not in ("paper", "light"):
            # What a figure needs to be understood has at least 3:1 against the page (WCAG 2.2, 1.4.11).
            assert (luminance(colour) + 0.05) / (luminance(dark["paper"]) + 0.05) >= 3, name


def test_a_percentile_that_few_operations_decide_is_dotted() -> None:
    few, many = (np.arange(1, count + 1) * MS for count in (400, 30_000))
    drawn = {}
    for name, latency_ns in (("few", few), ("many", many)):
        curve, summary = survival_curve(latency_ns), latency_summary(latency_ns)
        experiment = {"name": name, "latency": {"curves": {"CREATE": curve}, "by_kind": {"CREATE": summary}}}
        drawn[name] = latency.draw([experiment], ["CREATE"], "latency", "x")
    assert f"longest {milliseconds(400.0)} ms" in description_of(drawn["few"])
    assert milliseconds(400.0) in text_of(drawn["few"]).split()
    assert "fewer than 10 operations decide" in text_of(drawn["few"])
    small = re.compile(rf"<use[^>]*stroke-width: {latency.SMALL_EDGE}\b")
    # Of 400 operations p99, p99.9 and the maximum; of 30,000 the maximum alone.
    assert len(small.findall(drawn["few"])) == 3
    assert len(small.findall(drawn["many"])) == 1


def test_throughput_marks_fault_election_and_recovery_in_words(valid_content: Content) -> None:
    content, drawings = valid_content
    marks = {mark["name"]: mark["since_fault_ms"] for mark in content["experiments"][2]["faults"][0]["marks"]}
    words = text_of(drawings["e3-time"])
    assert "stop etcd2 (leader) at operation 240" in words
    assert f"+{marks['leader_elected']:.1f} ms  leader elected: etcd3, term 5" in words
    assert f"+{marks['first_ok_write']:.1f} ms  first ok write" in words
    assert "operations completed so far" in words


def test_labels_of_operations_that_an_outage_crowds_do_not_run_into_each_other() -> None:
    ticks = [(1000, 1.0), (2000, 9.7), (3000, 9.8), (4000, 10.5)]
    assert over_time._apart(ticks, 10.0) == [(1000, 1.0), (2000, 9.7), (4000, 10.5)]


def test_a_healthy_experiment_has_no_marks(valid_content: Content) -> None:
    assert "leader" not in text_of(valid_content[1]["e1-time"])


def test_the_outage_has_a_letter_for_every_moment_in_its_window(valid_content: Content) -> None:
    content, drawings = valid_content
    letters = [mark["letter"] for mark in content["experiments"][2]["faults"][0]["marks"] if mark["in_window"]]
    words = text_of(drawings["e3-outage1"]).split()
    assert set(letters) <= set(words)
    assert "time since the fault (ms)" in text_of(drawings["e3-outage1"])


def test_only_operations_that_were_ok_in_the_end_get_the_ring_of_those_retried(valid_content: Content) -> None:
    fault = valid_content[0]["experiments"][2]["faults"][0]
    operations = {
        "row": [0, 1],
        "invoke_ms": [0.0, 1.0],
        "complete_ms": [1.0, 9.0],
        "kind": ["CREATE", "DELETE"],
        "outcome": ["ok", "unknown"],
        "attempts": [1, 3],
    }
    words = text_of(outage.draw(fault, operations, "x"))
    assert "fail or unknown" in words
    assert "ok after more than one attempt" not in words
    retried = {**operations, "outcome": ["ok", "ok"]}
    assert "ok after more than one attempt" in text_of(outage.draw(fault, retried, "x"))


def test_the_line_of_the_fault_is_drawn_in_its_colour(valid_content: Content) -> None:
    for name in ("e3-time", "e3-outage1"):
        assert style.VERMILLION.lower() in valid_content[1][name].lower()


def test_every_repeat_is_a_point_of_the_figure() -> None:
    """Each point is one use of its marker; a measure that nobody has takes no room."""
    (group,) = repeated([fault(number, 100.0 * number) for number in range(1, 8)])
    drawn = spreads.draw([(None, group["measures"])], "x")
    words = text_of(drawn)
    assert "service gap (no ok operation)" in words
    assert "member caught up, since the heal" in words
    assert "member back" not in words
    points = sum(len(measure["points"]) for measure in group["measures"])
    assert drawn.count("<use") >= points
    assert "median" in words


def test_systems_are_told_apart_by_name_and_marker() -> None:
    (group,) = repeated([fault(number) for number in (1, 2)])
    words = text_of(spreads.draw([("etcd", group["measures"]), ("mysql", group["measures"])], "x"))
    assert {"etcd", "mysql"} <= set(words.split())


def test_measures_of_zero_have_a_place() -> None:
    (group,) = repeated([fault(1, delay_ms=0.0), fault(2, delay_ms=-0.1)])
    assert "<svg" in spreads.draw([(None, group["measures"])], "x")


def test_ids_are_unique_over_all_figures(valid_content: Content) -> None:
    ids = [found for svg in valid_content[1].values() for found in re.findall(r'\bid="([^"]+)"', svg)]
    assert len(ids) == len(set(ids))


def test_every_reference_has_its_target(valid_content: Content) -> None:
    for svg in valid_content[1].values():
        targets = set(re.findall(r'\bid="([^"]+)"', svg))
        assert set(re.findall(r'href="#([^"]+)"', svg)) | set(re.findall(r"url\(#([^)]+)\)", svg)) <= targets


def test_figures_are_small_and_have_real_text(valid_content: Content) -> None:
    for svg in valid_content[1].values():
        assert len(svg) < 150_000
        assert "<text" in svg
        assert "Lab Sans" in svg


@pytest.mark.parametrize(
    ("wanted", "placed"),
    [
        ([], []),
        ([1.0, 5.0], [1.0, 5.0]),
        ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]),
        ([9.5, 9.6, 9.9], [8.0, 9.0, 10.0]),
    ],
)
def test_letters_are_moved_apart_and_stay_inside(wanted: list[float], placed: list[float]) -> None:
    assert style.moved_apart(wanted, 1.0, 0.0, 10.0) == pytest.approx(placed)


def test_styles_differ_in_colour_and_in_line() -> None:
    assert len({colour for colour, _, _ in style.SERIES}) == len(style.SERIES)
    assert len({str(style) for _, style, _ in style.SERIES}) == len(style.SERIES)
    assert len({marker for _, _, marker in style.SERIES}) == len(style.SERIES)


def test_a_member_that_does_not_answer_is_shown_until_it_does() -> None:
    series = {"t_ms": [2.0, 10.0, 300.0, 400.0], "lag": [None, None, 7, 0]}
    assert convergence._silences(series, 450.0) == [(2.0, 300.0)]
    assert convergence._silences({"t_ms": [2.0], "lag": [None]}, 450.0) == [(2.0, 450.0)]
    assert convergence._silences({"t_ms": [2.0, 5.0], "lag": [0, 0]}, 450.0) == []


@pytest.mark.parametrize(
    ("since_ms", "text"), [(0.0, "0"), (3.25, "+3.2 ms"), (-999.0, "-999.0 ms"), (2500.0, "+2.50 s")]
)
def test_moments_of_a_finding_are_toldsince_its_first_operation(since_ms: float, text: str) -> None:
    assert since(since_ms) == text
