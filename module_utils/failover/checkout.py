# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which commit of the lab this is, so that a report can say from what a run can be repeated."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

TIMEOUT_S = 10
# Over https any user in the address may be a token; over ssh a user is no secret, a password is.
PUBLIC_URL = re.compile(r"https?://[^@?#\s]+|ssh://([^@:/?#\s]+@)?[^@?#\s]+|[^@:/?#\s]+@[^@:/?#\s]+:[^@?#\s]+")


def describe_checkout(folder: Path) -> dict[str, Any] | None:
    """Return ``commit``, ``dirty`` (files differ from it) and ``origin`` of a git checkout; None where it is none.

    ``origin`` is the address to clone from: None where there is none over http or ssh, or it carries credentials.
    """
    top = _git(folder, "rev-parse", "--show-toplevel")
    # Unpacked within somebody else's repository, the lab has no commit of its own.
    if top is None or Path(top).resolve() != folder.resolve():
        return None
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    changes = _git(folder, "status", "--porcelain")
    if commit is None or changes is None:
        return None
    origin = _git(folder, "remote", "get-url", "origin") or ""
    return {"commit": commit, "dirty": bool(changes), "origin": origin if PUBLIC_URL.fullmatch(origin) else None}


def _git(folder: Path, *words: str) -> str | None:
    """Return what git says; None where there is no git, or it fails."""
    # A repository named by the environment, as within a hook, is not that of the folder.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    # A checkout of another account is only read; its monitor is not started.
    options = ["-c", f"safe.directory={folder.resolve()}", "-c", "core.fsmonitor=false"]
    try:
        done = subprocess.run(
            ["git", *options, "-C", folder, *words],
            env=environment | {"GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
