# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from _front import PLAYBOOKS, warn_of_unknown_variables
from _options import read_options
from failover.checks.verdict import verify
from failover.report.chapters.reproduce import commands
from failover.report.commands import LINE, command, experiments_option, limits_option
from failover.report.content import build
from failover.report.provenance import provenance
from failover.report.render import render_html
from failover.results.read import load_run
from printed import KINDS, Content, Printed, Quiet
from verified import verified_run
from weasyprint import HTML

ROOT = Path(__file__).parents[3]
CSS = ROOT / "module_utils" / "failover" / "report" / "templates" / "report.css"
NAMES = [f"E{number}-{system}" for number in range(1, 13) for system in ("etcd", "mysql_cluster")]


def copied_from(pdf: Path) -> str:
    return subprocess.run(["pdftotext", pdf, "-"], capture_output=True, text=True, check=True).stdout


def as_pasted(copied: str) -> list[str]:
    """Return the words of a command as the shell reads what is pasted."""
    pasted = subprocess.run(["bash", "-c", rf"printf '%s\0' {copied}"], capture_output=True, text=True, check=True)
    return pasted.stdout.split("\0")[:-1]


def printed_commands(typed: str, folder: Path) -> str:
    """Return commands as they are copied from a PDF that has nothing else."""
    pdf = folder / "commands.pdf"
    HTML(string=f"<style>{CSS.read_text(encoding='utf-8')}</style><pre>{typed}</pre>").write_pdf(pdf)
    # The page number is not part of it.
    return copied_from(pdf).rpartition("1/1")[0].strip()


def commands_of(pdf: Path) -> list[list[str]]:
    """Return the words of each command that the chapter "How to reproduce" has."""
    lines = iter(copied_from(pdf).partition("The same seed and iterations give")[2].splitlines())
    found = []
    for line in lines:
        if not line.startswith(("./scripts/", "git ", "cd ")):
            continue
        # What a shell would wait for: the rest after a backslash, or of a quoted word.
        while line.endswith("\\") or line.count("'") % 2:
            line = f"{line}\n{next(lines)}"
        found.append(as_pasted(line))
    return found


def refuses(words: list[str]) -> str:
    """Return what the front door and Ansible have against a command of scripts/lab; nothing is run."""
    _, verb, *options = words
    playbook = ROOT / "playbooks" / f"{PLAYBOOKS.get(verb, verb)}.yml"
    ansible = [Path(sys.executable).parent / "ansible-playbook", "--syntax-check", playbook, *options]
    done = subprocess.run(ansible, cwd=ROOT, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"status {done.returncode}: {done.stderr}{done.stdout}"


def test_the_commands_in_the_pdf_are_those_of_the_run(printed: Printed, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads((printed.folder / "report.json").read_text(encoding="utf-8"))["reproduce"]
    clone, cd, checkout, run, simulate, *histories, report = commands_of(printed.pdf)
    assert clone == ["git", "clone", told["checkout"]["origin"], cd[1]]
    assert checkout == ["git", "checkout", told["checkout"]["commit"]]
    assert run[:2] == ["./scripts/lab", "run"]
    warn_of_unknown_variables(read_options(run[2:]) or [])
    assert capsys.readouterr().err == ""
    for words in (simulate, *histories):
        # From a folder whose "results" are the lab's.
        program, *options = (word.replace("results/", f"{printed.folder.parent}/") for word in words)
        done = subprocess.run(
            [sys.executable, ROOT / program, *options], capture_output=True, text=True, check=False, timeout=300
        )
        assert (done.returncode, done.stderr) == (0, "")
        if words is simulate:
            assert done.stdout.split()[-1] in printed.html.read_text(encoding="utf-8")  # the digest
    names = KINDS[printed.folder.name.removeprefix("run-")].get("experiments", ["E1-etcd", "E1-mysql", "E2-etcd"])
    assert [Path(words[-1]).parent.name for words in histories] == names
    assert report == ["./scripts/report", f"results/{printed.folder.name}"]


def test_ansible_takes_the_command_that_repeats_the_run(repeated: Printed) -> None:
    (run,) = [words for words in commands_of(repeated.pdf) if words[:2] == ["./scripts/lab", "run"]]
    assert "repeats=2" in run
    assert not refuses(run)


def test_what_is_wrong_would_be_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert "CLI option '-e'" in refuses(["./scripts/lab", "run", "-e", '{"experiments": ['])
    warn_of_unknown_variables(read_options(["-e", "sead=1"]) or [])
    assert "did you mean seed?" in capsys.readouterr().err


def test_the_command_that_judges_files_anew_survives_being_copied_too(tmp_path: Path) -> None:
    # So long a name that the command does not fit one line.
    run = verified_run(tmp_path / f"run-{'long-' * 9}name", iterations=200, experiments=["E1-mysql"])
    told = provenance(load_run(run))[0]["verify"]
    assert "\n" in told
    verify = as_pasted(printed_commands(told, tmp_path))
    assert verify == ["./scripts/lab", "verify", "-e", f"results_run=results/{run.name}"]
    assert not refuses(verify)


@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize(
    ("checkout", "clone", "words"),
    [
        (None, None, "From a clone of the lab, whose commit was not recorded:"),
        (
            {"commit": "8f95194", "dirty": False, "origin": None},
            "git checkout 8f95194",
            "In a clone of the lab, go back to what it was:",
        ),
        (
            {"commit": "8f95194", "dirty": True, "origin": "https://git.example.org/lab"},
            "git clone https://git.example.org/lab failover-lab\ncd failover-lab\ngit checkout 8f95194",
            "Fetch the lab as it was, except for changes that are not in this commit:",
        ),
    ],
)
def test_the_report_says_from_which_commit_to_begin(
    single: Printed, valid_content: Content, checkout: dict[str, Any] | None, clone: str | None, words: str
) -> None:
    run = load_run(single.folder)
    told = commands(replace(run, info={**run.info, "checkout": checkout}))
    assert told["clone"] == clone
    page = render_html({**valid_content[0], "reproduce": told}, valid_content[1])
    assert words in page
    assert clone is None or f"<pre>{clone}</pre>" in page


def test_a_folder_of_before_commits_were_recorded_is_like_one_that_is_no_checkout(single: Printed) -> None:
    run = load_run(single.folder)
    old = replace(run, info={name: value for name, value in run.info.items() if name != "checkout"})
    assert commands(old) == commands(replace(run, info={**run.info, "checkout": None}))


@pytest.mark.parametrize("names", [NAMES[:1], NAMES])
def test_a_command_survives_being_copied_from_the_pdf(names: list[str], tmp_path: Path) -> None:
    options = ["-e iterations=100000", "-e seed=123", "-e clients=8", "-e rate=250.5", "-e sole_server_heal=30s"]
    limits = {"outage_ms": dict.fromkeys(names, 2000), "not_ok": 0}
    typed = command("./scripts/lab run", *options, limits_option(limits), experiments_option(names))
    assert max(map(len, typed.splitlines())) <= LINE
    words = as_pasted(printed_commands(typed, tmp_path))
    assert words[:-3] == shlex.split(" ".join(["./scripts/lab run", *options, "-e"]))
    assert [json.loads(words[-3]), words[-2], json.loads(words[-1])] == [
        {"limits": limits},
        "-e",
        {"experiments": names},
    ]


@pytest.mark.usefixtures("without_pictures")
def test_a_report_says_by_which_limits_it_was_judged(tmp_path: Path) -> None:
    run = verified_run(tmp_path / "run", iterations=400, experiments=["E2-etcd"])
    limits = {"outage_ms": {"etcd": 1}, "ops_per_s": 0.5}
    verify(run, "E2-etcd", limits=limits)
    content, drawings = build(load_run(run), Quiet())
    assert content["limits"] == {"given": limits, "told": ["outage_ms at most 1 of etcd", "ops_per_s at least 0.5"]}
    (given,) = [word for word in shlex.split(content["reproduce"]["run"]) if "limits" in word]
    assert json.loads(given) == {"limits": limits}
    page = render_html(content, drawings)
    for words in (
        "the data is right, but ",
        '<a href="#open">1 limit of yours was missed</a>',
        "0 of 13 checks found the data wrong, 0 could not be decided, and 1 limit of yours was missed, which says "
        "nothing against the data.",
        "outage_ms at most 1 of etcd; ops_per_s at least 0.5",
        "E2-etcd: limit outage (ms)</h3>",
    ):
        assert words in page, words
