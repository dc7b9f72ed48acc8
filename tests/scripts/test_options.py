# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ansible-playbook's options as the front door reads them: as its own parser does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from _options import (
    LISTING,
    PART,
    Option,
    list_only,
    naming_the_lab,
    read_options,
    variables_given,
    without_resume,
    words_of,
)
from ansible.cli.playbook import PlaybookCLI

ROOT = Path(__file__).resolve().parent.parent.parent


def read(*words: str) -> list[Option]:
    options = read_options(list(words))
    assert options is not None
    return options


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["-Kv"], ["-K"]),
        (["-vvvC"], []),
        (["-vvb", "--become-u", "me"], ["-b", "--become-user=me"]),
        (["-lx", "-l", "y", "--lim=z", "--tags", "a", "-tb", "--skip=c"], []),
        (["--list-ho", "--step", "--start-at-task", "x", "--flush"], []),
        (["-e", "a=1", "-eb=2", "--extra=c=3"], ["-e", "a=1", "-e", "b=2", "--extra-vars=c=3"]),
        (["-i", "one", "-itwo", "--inventory-file=three"], ["-i", "one", "-i", "two", "--inventory-file=three"]),
        (["--ssh-common-args=-o x", "-e-x=1"], ["--ssh-common-args=-o x", "-e-x=1"]),
        # A value that looks like an option is none.
        (["-e", "x", "-i", "--", "-C"], None),
        (["-f", "many", "-e", "@more.yml"], ["-f", "many", "-e", "@more.yml"]),
    ],
)
def test_only_what_chooses_a_part_is_dropped(words: list[str], kept: list[str] | None) -> None:
    options = read_options(words)
    assert (options if options is None else words_of(naming_the_lab(options))) == kept


@pytest.mark.parametrize("words", [["--no-such-option"], ["-e"], ["--ssh", "x"], ["-k", "--conn-pass-file", "x"]])
def test_what_ansible_playbook_refuses_is_left_to_it(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert read_options(words) is None
    assert capsys.readouterr() == ("", "")


def test_help_is_not_given_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert [option.name for option in read("--help", "--version")] == ["help", "version"]
    assert capsys.readouterr() == ("", "")


def test_what_is_written_again_means_the_same() -> None:
    words = ["-Kvve", "a=1 b=2", "--extra=-c=3", "-lx", "--ssh-common=-o y", "-i", "z", "--list-tas"]
    again = read(*words_of(read(*words)))
    assert again == read(*words)


def test_the_options_are_ansibles() -> None:
    cli = PlaybookCLI(["ansible-playbook"])
    cli.init_parser()
    assert {*PART, *LISTING} <= {action.dest for action in cli.parser._actions}


def test_the_variables_that_are_given() -> None:
    given = ["-e", "a=1 b='2 3'", "-ec=4", "--extra={d: 5, e: 6}", "-e", "@f.yml", "-e", "{broken", "-e", "[]"]
    assert variables_given(read(*given)) == ["a", "b", "c", "d", "e"]


def test_a_run_to_go_on_with_is_named_once() -> None:
    given = read("-eresume=latest", "--extra=resume=x", "-e", "seed=7 resume=y", "-C")
    assert words_of(without_resume(given)) == ["-e", "seed=7 resume=y", "-C"]


@pytest.mark.parametrize(("word", "listing"), [("--list-tag", True), ("--syntax", True), ("--check", False)])
def test_listing_is_known(word: str, listing: bool) -> None:
    assert list_only(read(word)) is listing


def test_without_options_ansible_is_not_imported() -> None:
    code = "import sys; sys.path.insert(0, 'scripts'); import _front; from _options import read_options"
    code += "; read_options([]); sys.exit('ansible' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
