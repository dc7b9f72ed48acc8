# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from failover.report import anatomy, figures
from failover.report.content import build
from failover.report.figures import style
from failover.report.repetition import repeated
from failover.results import load_run
from test_report_repetition import fault
from verified import verified_run

Content = tuple[dict[str, Any], dict[str, str]]


@pytest.fixture(scope="module")
def valid_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return verified_run(tmp_path_factory.mktemp("results") / "run-valid")


@pytest.fixture(scope="module")
def valid_content(valid_run: Path) -> Content:
    return build(load_run(valid_run), lambda _: None)


def text_of(svg: str) -> str:
    """Return the words of a figure."""
    return " ".join(
        element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")
    )


def test_the_figures_of_a_run_are_there(valid_content: Content) -> None:
    assert set(valid_content[1]) == {
        "e1-time",
        "e2-time",
        "e3-time",
        "latency",
        "e3-outage1",
        "e3-outage1-anatomy",
        "e3-convergence",
    }


def test_the_anatomy_names_every_phase_with_its_length_and_share(valid_content: Content) -> None:
    content, drawings = valid_content
    words = text_of(drawings["e3-outage1-anatomy"])
    for phase in content["experiments"][2]["faults"][0]["anatomy"]["phases"]:
        assert f"{phase['label']} ({phase['letter']})" in words
        assert f"{phase['duration_ms']:,.2f} ms · {phase['share'] * 100:.1f} %" in words


def test_what_is_unexplained_is_hatched(valid_content: Content) -> None:
    fault = valid_content[0]["experiments"][2]["faults"][0]
    phases = fault["anatomy"]["phases"]

    def drawn(part: str) -> str:
        last = {**phases[-1], "part": part}
        return figures.anatomy.draw({**fault, "anatomy": {**fault["anatomy"], "phases": [last]}}, "x")

    assert "<pattern" in drawn("unexplained")
    assert "unexplained" in text_of(drawn("unexplained"))
    assert "<pattern" not in drawn("clients")


def test_every_part_of_an_outage_has_a_colour() -> None:
    parts = {anatomy.BEFORE, anatomy.SERVERS, anatomy.CLIENTS, anatomy.HEAL, anatomy.UNEXPLAINED}
    assert set(figures.anatomy.PARTS) == parts
    assert len({colour for colour, _ in figures.anatomy.PARTS.values()}) == len(parts)


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
    assert figures.over_time._apart(ticks, 10.0) == [(1000, 1.0), (2000, 9.7), (4000, 10.5)]


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
    words = text_of(figures.outage.draw(fault, operations, "x"))
    assert "fail or unknown" in words
    assert "ok after more than one attempt" not in words
    retried = {**operations, "outcome": ["ok", "ok"]}
    assert "ok after more than one attempt" in text_of(figures.outage.draw(fault, retried, "x"))


def test_the_line_of_the_fault_is_drawn_in_its_colour(valid_content: Content) -> None:
    for name in ("e3-time", "e3-outage1"):
        assert style.VERMILLION.lower() in valid_content[1][name].lower()


def test_every_repeat_is_a_point_of_the_figure() -> None:
    """Each point is one use of its marker; a measure that nobody has takes no room."""
    (group,) = repeated([fault(number, 100.0 * number) for number in range(1, 8)])
    drawn = figures.spreads.draw([(None, group["measures"])], "x")
    words = text_of(drawn)
    assert "service gap (no ok operation)" in words
    assert "member caught up, since the heal" in words
    assert "member back" not in words
    points = sum(len(measure["points"]) for measure in group["measures"])
    assert drawn.count("<use") >= points
    assert "median" in words


def test_systems_are_told_apart_by_name_and_marker() -> None:
    (group,) = repeated([fault(number) for number in (1, 2)])
    words = text_of(figures.spreads.draw([("etcd", group["measures"]), ("mysql", group["measures"])], "x"))
    assert {"etcd", "mysql"} <= set(words.split())


def test_measures_of_zero_have_a_place() -> None:
    (group,) = repeated([fault(1, delay_ms=0.0), fault(2, delay_ms=-0.1)])
    assert "<svg" in figures.spreads.draw([(None, group["measures"])], "x")


def test_repeats_are_numbered_over_time(tmp_path: Path) -> None:
    path = verified_run(tmp_path / "run", iterations=900, experiments=["E2-etcd"], repeats=3)
    words = text_of(build(load_run(path), lambda _: None)[1]["e1-time"])
    assert "without the idle time between repeats" in words
    assert "leader elected" not in words  # thirty of them would cover each other


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
    assert figures.convergence._silences(series, 450.0) == [(2.0, 300.0)]
    assert figures.convergence._silences({"t_ms": [2.0], "lag": [None]}, 450.0) == [(2.0, 450.0)]
    assert figures.convergence._silences({"t_ms": [2.0, 5.0], "lag": [0, 0]}, 450.0) == []
