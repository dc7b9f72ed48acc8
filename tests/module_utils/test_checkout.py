# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from failover.checkout import describe_checkout


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    return subprocess.run(
        ["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "lab"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "file").write_text("as committed")
    git(folder, "add", "file")
    git(folder, "commit", "--quiet", "-m", "first")
    return folder


def test_a_checkout_is_of_its_commit_until_a_file_differs(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    assert describe_checkout(checkout) == {"commit": head, "dirty": False, "origin": None}
    (checkout / "file").write_text("edited")
    assert describe_checkout(checkout) == {"commit": head, "dirty": True, "origin": None}


def test_what_is_no_checkout_of_its_own_has_no_commit(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / "within").mkdir()
    assert describe_checkout(checkout / "within") is None
    assert describe_checkout(tmp_path) is None
    assert describe_checkout(tmp_path / "missing") is None
    monkeypatch.setenv("GIT_DIR", str(checkout / ".git"))
    assert describe_checkout(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert describe_checkout(checkout) is None  # no git


def test_a_repository_without_a_commit_has_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert describe_checkout(tmp_path) is None


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://git.example.org/lab.git", True),
        ("http://git.example.org:8080/lab", True),
        ("ssh://git@git.example.org:2222/lab.git", True),
        ("git@git.example.org:teams/lab.git", True),
        ("https://token@git.example.org/lab.git", False),
        ("https://name:secret@git.example.org/lab.git", False),
        ("https://git.example.org/lab.git?private_token=secret", False),
        ("ssh://name:secret@git.example.org/lab.git", False),
        ("/srv/git/lab.git", False),
        ("file:///srv/git/lab.git", False),
    ],
)
def test_an_address_is_told_where_others_can_clone_from_it_and_it_has_no_credentials(
    checkout: Path, url: str, public: bool
) -> None:
    git(checkout, "remote", "add", "origin", url)
    described = describe_checkout(checkout)
    assert described is not None
    assert described["origin"] == (url if public else None)
