# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every chapter keeps its contract: what it computes is its own, and the page has it as its table of contents says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from failover.report import render
from failover.report.chapters import registry
from failover.report.chapters.base import Chapter, Told
from failover.report.chapters.registry import CHAPTERS, COVER
from failover.report.content import build
from failover.report.examined import Examined, examine
from failover.report.findings.cards import findings_of
from failover.report.provenance import provenance
from failover.report.render import TEMPLATES, render_html
from failover.results.read import load_run
from jinja2 import ChoiceLoader, DictLoader, Environment
from printed import Content, Printed

pytestmark = pytest.mark.usefixtures("without_pictures")

ALL = (COVER, *CHAPTERS)


def test_every_file_of_a_chapter_is_registered_once_under_its_name() -> None:
    folder = Path(registry.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "base", "registry"}
    assert sorted(files) == sorted(chapter.anchor for chapter in ALL)
    assert [type(chapter).__module__.rpartition(".")[2] for chapter in ALL] == [chapter.anchor for chapter in ALL]
    assert all((TEMPLATES / chapter.template).is_file() for chapter in ALL)


def test_the_table_of_contents_leads_to_the_chapters_in_their_order(invalid: Printed, single: Printed) -> None:
    for printed in (invalid, single):
        content, drawings = printed.built()
        page = render_html(content, drawings)
        standing = [(chapter.anchor, chapter.title) for chapter in CHAPTERS if chapter.stands(content)]
        contents = page[page.index("<nav") : page.index("</nav>")]
        assert re.findall(r'href="#([\w-]+)">([^<]*)</a>', contents) == standing
        assert re.findall(r'<section id="([\w-]+)">\s*<h2>([^<]*)</h2>', page) == standing
        assert {chapter.anchor for chapter in CHAPTERS} - {anchor for anchor, _ in standing} <= {
            chapter.anchor for chapter in CHAPTERS if chapter.optional
        }


def test_every_key_belongs_to_one_chapter(single: Printed) -> None:
    run = load_run(single.folder)
    judged, _ = provenance(run)
    content = single.built()[0]
    examined = [examine(each, f"e{number}", run.info["settings"]) for number, each in enumerate(run.experiments, 1)]
    cards = [card for each in examined for card in findings_of(each.experiment, each.table, each.events or [], "e", {})]
    told = Told(run, judged, content["experiments"], cards)
    computed = [key for chapter in ALL for key in chapter.compute(told)]
    assert sorted([*computed, "schema_version", "run", "experiments"]) == sorted(content)
    of_experiment = [key for chapter in ALL for key in chapter.of_experiment(examined[2])]
    assert len(of_experiment) == len(set(of_experiment))
    assert set(of_experiment) < set(content["experiments"][2])


class Length(Chapter):
    """A chapter that somebody adds."""

    anchor = "length"
    title = "How long it took"

    def of_experiment(self, examined: Examined) -> dict[str, Any]:
        return {"rows": len(examined.columns)}

    def compute(self, told: Told) -> dict[str, Any]:
        return {"all_rows": sum(experiment["rows"] for experiment in told.experiments)}

    def draw(self, content: Any) -> dict[str, str]:
        return {"bar": f"<svg><title>{content['all_rows']}</title></svg>"}


def test_a_new_chapter_needs_its_file_its_template_and_its_row(
    single: Printed, valid_content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_length = (*CHAPTERS, Length())
    monkeypatch.setattr("failover.report.content.CHAPTERS", with_length)
    monkeypatch.setattr(render, "CHAPTERS", with_length)
    content, drawings = build(load_run(single.folder), lambda _: None)
    former = valid_content[0]
    assert content == {
        **former,
        "experiments": [{**each, "rows": each["operations"]} for each in former["experiments"]],
        "all_rows": 6000,
    }
    # report.json keeps its order; what is new stands behind.
    assert list(content) == [*former, "all_rows"]

    given = render._environment()
    text = '<section id="{{ chapter.anchor }}"><h2>{{ chapter.title }}</h2>{{ all_rows }}{{ drawings.bar }}</section>'
    monkeypatch.setattr(render, "_environment", lambda: overlaid(given, {"length.html.j2": text}))
    page = render_html(content, drawings)
    assert '<li><a href="#length">How long it took</a></li>' in page
    assert '<section id="length"><h2>How long it took</h2>6000<svg>' in page


def overlaid(given: Environment, templates: dict[str, str]) -> Environment:
    """Return an environment that has more templates."""
    assert given.loader is not None
    return given.overlay(loader=ChoiceLoader([DictLoader(templates), given.loader]))
