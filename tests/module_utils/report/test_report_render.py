# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import errno
import json
import re
import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from failover.report import content as report_content
from failover.report import render, write_report
from failover.results.files import REPORT_HTML_FILE, REPORT_JSON_FILE, REPORT_PDF_FILE
from failover.results.parquet import read_parquet, write_parquet
from failover.results.read import load_run
from failover.shapes import LabError
from fontTools.ttLib import TTFont
from printed import Content, Printed, Quiet
from pypdf import PdfReader
from verified import verified_run


@pytest.fixture(scope="module")
def pdf_text(single: Printed) -> str:
    """The PDF's text, in one line."""
    pages = PdfReader(single.pdf).pages
    return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in pages))


@pytest.fixture(scope="module")
def page(single: Printed) -> str:
    return single.html.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def numbers(single: Printed) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((single.folder / REPORT_JSON_FILE).read_text(encoding="utf-8"))
    return found


def test_pdf_has_the_verdict_the_run_and_its_figures(pdf_text: str, numbers: dict[str, Any]) -> None:
    fault = numbers["experiments"][2]["faults"][0]
    for words in (
        "Valid:",
        "run-single",
        "no operation was acknowledged for",
        "* longest time without an acknowledged (ok) operation",
        "Tinted: none acknowledged (ok).",
        "time without an acknowledged operation",
        "The client reports 1 failed attempt, 1 failover started and 1 completed.",
        "stop etcd2 (leader) at operation 240",
        f"{fault['gap']['duration_ms']:.1f} ms",
        "The rows are not comparable",
        "1,396.94",
        "22,457",
        "473",
        "leader elected",
        "client failover completed",
        "innodb_flush_log_at_trx_commit",
        "Threats to validity",
        "Closed loop",
        numbers["judged"]["files"][0]["sha256"],
        "./scripts/lab run -e iterations=2000 -e seed=123",
    ):
        assert words in pdf_text, words


def test_pdf_shows_the_percentiles(pdf_text: str, numbers: dict[str, Any]) -> None:
    for experiment in numbers["experiments"]:
        for summary in experiment["latency"]["by_kind"].values():
            row = " ".join(render.milliseconds(summary[f"{name}_ms"]) for name in ("p50", "p90", "p99", "p99.9", "max"))
            assert row in pdf_text


def test_pdf_embeds_its_fonts_and_has_outline_and_numbers(single: Printed) -> None:
    reader = PdfReader(single.pdf)
    fonts = {
        str(font.get_object()["/BaseFont"]).split("+")[1]
        for sheet in reader.pages
        for font in sheet["/Resources"]["/Font"].values()
    }
    assert {"Lab-Serif", "Lab-Serif-Bold", "Lab-Sans", "Lab-Sans-Bold", "Lab-Mono"} <= fonts
    assert all(font.startswith("Lab-") for font in fonts), fonts
    title, sections = reader.outline
    assert title.title == "run-single"
    assert len([section for section in sections if not isinstance(section, list)]) == 10
    assert f"2 / {len(reader.pages)}" in reader.pages[1].extract_text()
    assert all(float(sheet.mediabox.width) == pytest.approx(595.3, abs=0.5) for sheet in reader.pages)


def test_bold_text_is_set_in_the_bold_font(single: Printed) -> None:
    weights = {}
    for sheet in PdfReader(single.pdf).pages:
        for font in sheet["/Resources"]["/Font"].values():
            descendant = font.get_object()["/DescendantFonts"][0].get_object()
            data = descendant["/FontDescriptor"].get_object()["/FontFile2"].get_object().get_data()
            name = str(font.get_object()["/BaseFont"]).split("+")[1]
            weights[name] = TTFont(BytesIO(data))["OS/2"].usWeightClass
    assert weights["Lab-Serif"] == weights["Lab-Sans"] == 400
    assert weights["Lab-Serif-Bold"] == weights["Lab-Sans-Bold"] == 700


def test_html_needs_nothing_from_outside(page: str) -> None:
    for reference in re.findall(r'(?:href|src)\s*=\s*"([^"]*)"|url\("?([^")]*)"?\)', page):
        target = reference[0] or reference[1]
        assert target.startswith(("#", "data:")), target
    assert "<script" not in page
    assert "@import" not in page


def test_every_anchor_of_the_page_exists_once(page: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_numbers_of_the_cover_lead_to_their_evidence(page: str) -> None:
    cover = page[page.index('<table class="numbers') : page.index("Every number on this page")]
    rows = re.findall(r"<tr>.*?</tr>", cover, flags=re.DOTALL)[1:]
    assert len(rows) == 3
    for row in rows:
        assert all("<a href=" in cell for cell in re.findall(r'<td class="n">.*?</td>', row, flags=re.DOTALL))


def test_json_names_its_schema_and_has_all_numbers(numbers: dict[str, Any], valid_content: Content) -> None:
    assert numbers["schema_version"] == 1
    assert {key: value for key, value in numbers.items() if key != "pdf_pages"} == valid_content[0]


def test_the_same_folder_gives_the_same_report(invalid: Printed, tmp_path: Path) -> None:
    folder = shutil.copytree(invalid.folder, tmp_path / invalid.folder.name)
    write_report(folder, Quiet())
    for name in (REPORT_HTML_FILE, REPORT_JSON_FILE, REPORT_PDF_FILE):
        assert (folder / name).read_bytes() == (invalid.folder / name).read_bytes(), name


@pytest.mark.usefixtures("without_pictures")
def test_a_full_disk_is_said_and_leaves_no_report_of_other_files(
    single: Printed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever finds a report in a folder takes it for the report of that folder, whatever happened in between."""
    folder = shutil.copytree(single.folder, tmp_path / "run-full")

    def full(page: str, path: Path) -> int:
        path.write_bytes(b"%PDF-half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(report_content, "build", lambda run, step: single.built())
    monkeypatch.setattr(render, "render_pdf", full)
    with pytest.raises(LabError, match="No space left on device; check the space"):
        write_report(folder, Quiet())
    assert not [name for name in (REPORT_HTML_FILE, REPORT_JSON_FILE, REPORT_PDF_FILE) if (folder / name).exists()]
    assert not list(folder.glob(".*"))


def test_an_invalid_run_shows_what_failed_first_and_key_by_key(invalid: Printed) -> None:
    page = invalid.html.read_text(encoding="utf-8")
    key = invalid.built()[0]["verdict"]["open"][0]["evidence"]["wrong"]["listed"][0]["key"]
    assert page.index('<section id="open">') < page.index('<section id="notebook">')
    section = page[page.index('id="open"') : page.index('id="notebook"')]
    assert section.count(key) >= 3  # once for every member
    assert "CREATE" in section
    assert "Invalid:" in page[: page.index('id="open"')]


def text_of(page: str) -> str:
    """Return a page's words in one line, without figures and style."""
    plain = re.sub(r"<svg.*?</svg>|<style.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+([.,;:])", r"\1", re.sub(r"\s+", " ", plain))


def with_outage(content: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Return the content, the outage of its last experiment changed."""
    *healthy, faulted = content["experiments"]
    fault = {**faulted["faults"][0], **changed}
    return {**content, "experiments": [*healthy, {**faulted, "faults": [fault], "gap": fault["gap"]}]}


def test_what_is_acknowledged_is_not_called_completed(page: str) -> None:
    """An operation that failed completed, too."""
    words = text_of(page)
    for wrong in ("No operation completed", "no write completed", "without a complet", "none completed"):
        assert wrong not in words


@pytest.mark.usefixtures("without_pictures")
def test_a_service_that_did_not_come_back_is_not_told_as_if_it_had(valid_content: Content) -> None:
    content, drawings = valid_content
    fault = content["experiments"][2]["faults"][0]
    endless = with_outage(
        content,
        gap={**fault["gap"], "duration_ms": 812.4, "ended": False},
        write_gap={**fault["write_gap"], "duration_ms": 845.6, "ended": False},
        recovery={**fault["recovery"], "after_ops_per_s": None, "back_ms": None},
    )
    words = text_of(render.render_html(endless, drawings))
    assert "No operation was acknowledged for at least 812.4 ms, the service did not come back: from" in words
    assert "to the end of the workload; no write was acknowledged for at least 845.6 ms." in words
    assert "op/s before the fault. The client reports" in words
    assert "≥ 812.4" in words
    assert "≥: none was acknowledged after it" in words
    assert "≥" not in text_of(render.render_html(content, drawings))


@pytest.mark.usefixtures("without_pictures")
def test_a_longer_gap_than_that_of_the_fault_is_named_beside_it(valid_content: Content) -> None:
    content, drawings = valid_content
    worse = {**content["experiments"][2], "gap": {"start_s": 1.0, "end_s": 2.0, "duration_ms": 1000.0, "ended": True}}
    words = text_of(render.render_html({**content, "experiments": [worse]}, drawings | {"e1-time": ""}))
    assert "The longest time of E2-etcd without an acknowledged operation is another one: 1,000 ms." in words
    assert "is another one" not in text_of(render.render_html(content, drawings))


@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize("name", ["E1-etcd", "E2-etcd"])
def test_a_history_without_rows_gives_a_report_that_says_so(tmp_path: Path, name: str) -> None:
    path = verified_run(tmp_path / "run", iterations=400, experiments=[name])
    history = path / name / "history.parquet"
    write_parquet(history, read_parquet(history)[0], [])
    page = render.render_html(*report_content.build(load_run(path), lambda _: None))
    words = text_of(page)
    assert f"{name}: no operation was recorded: its history is empty." in words
    assert "no operation was recorded." in words
    assert ("No operation was recorded, so there is no outage to show." in words) is (name == "E2-etcd")
    cover = words[words.index("keys at the end, by member") : words.index("* longest time")]
    assert "not recorded" not in cover
    assert cover.count("\N{EN DASH}") == 6
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(re.findall(r'\bid="([^"]+)"', page))


@pytest.mark.usefixtures("without_pictures")
def test_a_fault_that_did_not_strike_is_told_once_and_by_its_reason(tmp_path: Path) -> None:
    path = verified_run(tmp_path / "run", iterations=600, experiments=["E2-etcd"], plant="missed_fault")
    content, drawings = report_content.build(load_run(path), lambda _: None)
    words = text_of(render.render_html(content, drawings))
    evidence = words[words.index("fired no") :].partition("The notebook")[0]
    assert "etcd2 was not the leader when the fault reached it" in evidence
    assert "not recorded" not in evidence
    assert "The fault did not strike: nothing in the events shows that it did. It says nothing about failover." in words
    fault = content["experiments"][0]["faults"][0] | {"missed": [{"reason": "no majority was left", "attempts": 33}]}
    content["experiments"][0]["faults"] = [fault]
    words = text_of(render.render_html(content, drawings))
    assert "The fault did not strike: no majority was left (33 attempts). It says nothing about failover." in words


@pytest.mark.usefixtures("without_pictures")
def test_what_is_damaged_is_told_on_the_cover(valid_content: Content) -> None:
    content, drawings = valid_content
    first, *others = content["experiments"]
    noted = {**content, "experiments": [{**first, "notes": ["a file is damaged"]}, *others]}
    page = render.render_html(noted, drawings)
    assert '<p class="note"><b>E1-etcd</b>: a file is damaged.</p>' in page[: page.index("<nav ")]
    assert 'class="note"' not in render.render_html(content, drawings)


@pytest.mark.usefixtures("without_pictures")
def test_with_another_load_only_times_and_rates_are_not_comparable(valid_content: Content) -> None:
    content, drawings = valid_content
    table = {**content["notebook"], "same_stream": True, "reasons": ["this run has 4 clients, the notebook one"]}
    words = text_of(render.render_html({**content, "notebook": table}, drawings))
    assert "but times and rates are not comparable: this run has 4 clients, the notebook one." in words
    assert "The rows are not comparable" not in words


@pytest.mark.usefixtures("without_pictures")
def test_text_of_a_run_cannot_become_markup(valid_content: Content) -> None:
    content, drawings = valid_content
    hostile = {**content, "run": {**content["run"], "lab_name": "<script>alert(1)</script>"}}
    assert "<script>" not in render.render_html(hostile, drawings)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "not recorded"), (0.4567, "0.46"), (46.58, "46.6"), (999.96, "1,000.0"), (5012.3, "5,012")],
)
def test_milliseconds_have_as_many_digits_as_they_deserve(value: float | None, text: str) -> None:
    assert render.milliseconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(2.13, "2.1 s"), (71.0, "1 min 11 s"), (162.0, "2 min 42 s"), (None, "not recorded")]
)
def test_durations_read_as_in_the_notebook(value: float | None, text: str) -> None:
    assert render.duration(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (24000, "24,000"),
        (1793000000000000000, "1793000000000000000"),
        (["a", None], "a, not recorded"),
        ({"etcd": 3}, "etcd 3"),
        (1.50, "1.5"),
    ],
)
def test_values_of_any_kind_are_printed_plainly(value: Any, text: str) -> None:
    assert render.plain(value) == text


def test_identifiers_become_words_with_units() -> None:
    assert render.words("memory_mb") == "memory (MB)"
    assert render.words("invoke_ms") == "invoke (ms)"
    assert render.words("os") == "operating system"


def test_times_are_printed_in_utc() -> None:
    assert render.moment("2026-10-26T07:33:20.341096+00:00") == "2026-10-26 07:33:20 UTC"
    assert render.moment("yesterday") == "yesterday"
    assert render.moment(None) == "not recorded"


def test_a_repeated_run_is_told_in_the_page(repeated: Printed) -> None:
    page = repeated.html.read_text(encoding="utf-8")
    assert "E2-etcd, F1: stop of the leader, 2 repeats" in page
    # Of fewer than six repeats nothing is said of intervals, not even that there are none.
    assert "95 %" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    assert re.search(r"<b>Repeat [12] of 2</b>, the one whose outage is the median one", page)
    assert page.count("The anatomy of F1@") == 1
