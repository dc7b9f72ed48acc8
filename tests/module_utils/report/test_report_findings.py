# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the checks found wrong becomes cards: each key once, members as columns, an owner, a proof, what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from failover.report.content import build
from failover.report.render import render_html
from failover.results.read import load_run
from planted.defects import PLANTS, Defect
from planted.parts import Planted
from planted.run import make_run
from verified import verified_run

pytestmark = pytest.mark.usefixtures("without_pictures")


def told(path: Path, plant: str, **options: Any) -> tuple[Planted, list[dict[str, Any]], str]:
    """Plant a defect; return it, the cards and the page."""
    options = {"iterations": 1200, "experiments": ["E2-etcd"], **options}
    made = make_run(path, plant=plant, **options)
    verified_run(path, plant=plant, **options)
    content, drawings = build(load_run(path), lambda _: None)
    assert set(drawings) >= {card["anchor"] for card in content["findings"]}
    return made, content["findings"], render_html(content, drawings)


def test_ghosts_are_the_clients_and_their_revisions_prove_it(tmp_path: Path) -> None:
    made, cards, page = told(tmp_path / "run", "ghosts", clients=4, repeats=2)
    (card,) = cards
    assert (card["class"], card["owner"], card["verdict"]) == ("late-duplicate", "client", "unknown")
    assert (card["title"], card["count"]) == ("2 deleted keys came back", 2)
    assert card["checks"] == [f"keys on etcd{n}" for n in (1, 2, 3)]
    assert sorted(key["key"] for key in card["keys"]) == sorted(made.details["keys"])
    for key in card["keys"]:
        create, delete = key["operations"][0], key["operations"][-1]
        assert [attempt["ended"] for attempt in create["attempts"]] == ["no answer", "acknowledged"]
        assert create["attempts"][0]["member"] == "etcd2"
        assert (delete["kind"], key["deleted_ms"]) == ("DELETE", delete["end_ms"])
        assert set(key["members"]) == {"etcd1", "etcd2", "etcd3"}
        stray = key["stray"]
        assert (stray["own"], stray["idle_repeat"]) == (0, 1)
        assert key["deleted_ms"] < stray["before_ms"]
        assert stray["after_ms"] < stray["before_ms"]
    assert card["proof"] == [
        "Both had an attempt at etcd2 that got no answer, and were sent again.",
        "Both were deleted, by acknowledged DELETEs.",
        "Both have version 1: etcd counts from a key's creation, so this is one write after the DELETE.",
        "Both have a revision assigned during the heal, while no client sent anything: the write had been sent before.",
        "The 3 members hold the same: the write went through their log.",
    ]
    # Each key once in what did not pass, however many members have it.
    section = page[page.index('id="open"') : page.index('id="notebook"')]
    section = re.sub(r"<svg.*?</svg>", "", section, flags=re.DOTALL)
    for key in made.details["keys"]:
        assert section.count(key) == 1


@pytest.mark.parametrize(
    ("plant", "kind", "owner", "word"),
    [
        ("lost_key", "lost", "server", "acknowledged the write"),
        ("wrong_value", "wrong-value", "server", "no request of the stream carried this value"),
        ("extra_key", "phantom", "lab", "somebody else wrote"),
        ("refused_and_resurrected", "resurrected", "server", "no request that could have put the key back"),
        ("diverged_node", "wrong-value", "server", "no request of the stream"),
        ("missing_read", "lost", "server", "acknowledged the write"),
        ("duplicate_apply", "applied twice", "server", "more writes of the key"),
        ("failed_delete_applied", "lost", "server", "acknowledged the write"),
    ],
)
def test_every_finding_has_an_owner_a_proof_and_a_way_on(
    tmp_path: Path, plant: str, kind: str, owner: str, word: str
) -> None:
    made, cards, page = told(tmp_path / "run", plant)
    (card,) = cards
    assert (card["class"], card["owner"], card["verdict"], card["count"]) == (kind, owner, "invalid", 1)
    assert card["keys"][0]["key"] == made.details["key"]
    assert word in card["whose"]
    assert card["todo"].endswith(".")
    assert f'id="{card["anchor"]}"' in page


def test_members_that_differ_are_one_row_with_a_column_each(tmp_path: Path) -> None:
    made, (card,), _ = told(tmp_path / "run", "diverged_node")
    held = card["keys"][0]["members"]
    assert held["etcd3"]["value"] == made.details["value"]
    assert held["etcd1"] == held["etcd2"] != held["etcd3"]
    assert "members equal" in card["checks"]
    assert not any("it went through their log" in sentence for sentence in card["proof"])


def test_without_a_whole_history_nobody_is_blamed_but_the_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(parts: Any, made: Planted) -> None:
        PLANTS["lost_key"].change(parts, made)  # type: ignore[misc]
        del parts.rows[len(parts.rows) // 3]

    monkeypatch.setitem(PLANTS, "lost_key_and_row", Defect(change))
    _, cards, _ = told(tmp_path / "run", "lost_key_and_row")
    assert {card["owner"] for card in cards} == {"lab"}


def test_a_valid_run_has_no_cards(tmp_path: Path) -> None:
    run = verified_run(tmp_path / "run", iterations=300, experiments=["E1-mysql"])
    assert build(load_run(run), lambda _: None)[0]["findings"] == []


def test_wrong_answers_that_are_of_no_key_are_told_by_their_check_alone(tmp_path: Path) -> None:
    made, cards, page = told(tmp_path / "run", "old_read")
    assert cards == []
    section = page[page.index('id="open"') : page.index('id="notebook"')]
    assert f"<td>{made.details['revision']:,}</td>" in re.sub(r"<td[^>]*>", "<td>", section)
