# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every key of one member, in a file: the evidence that the checkers hold against the history.

The file's first line is a header object (``member``, ``system``, ``prefix``, ``count``, ``wall_ns``, ``revision``),
each other line ``[key without the prefix, value, version, mod_revision]``. It appears as a whole or not at all, and is
read and written page by page. A member that does not answer is a finding: ``available`` is false, with the reason.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..shapes import LabError

# How long one page of keys may take, in s; reading 2,000 keys takes milliseconds.
PAGE_TIMEOUT_S = 5.0
# How long emptying a prefix or a table may take, in s: one transaction over all keys of an earlier run.
EMPTYING_TIMEOUT_S = 60.0

Row = tuple[str, str, int | None, int | None]


def header(member: str, system: str, prefix: str, count: int, revision: int | None) -> dict[str, Any]:
    """Return the first line of a dump."""
    return {
        "member": member,
        "system": system,
        "prefix": prefix,
        "count": count,
        "wall_ns": time.time_ns(),
        "revision": revision,
    }


def unavailable(member: str, dest: Path, reason: str, *, write: bool) -> dict[str, Any]:
    """Say that there is no dump. What an earlier one left at ``dest`` is not of now, and readers must not find it."""
    stale = dest.exists()
    if stale and write:
        dest.unlink()
    return {
        "member": member,
        "available": False,
        "reason": reason,
        "count": None,
        "revision": None,
        "sha256": None,
        "dest": str(dest),
        "changed": stale,
    }


def write_dump(dest: Path, header: dict[str, Any], rows: Iterator[Any], *, write: bool) -> dict[str, Any]:
    """Write header and rows to ``dest`` by way of a file beside it; LabError where that fails or rows are missing."""
    member, count = header["member"], header["count"]
    result = {
        "member": member,
        "available": True,
        "reason": None,
        "count": count,
        "revision": header["revision"],
        "sha256": None,
        "dest": str(dest),
        "changed": True,
    }
    if not write:
        return result
    part = dest.with_name(f".{dest.name}.{os.getpid()}.part")
    digest = hashlib.sha256()
    written = -1  # the header is no row
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            for value in _chain(header, rows):
                line = (json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
                digest.update(line)
                file.write(line)
                written += 1
        if written != count:
            raise LabError(f"{member} returned {written:,} keys after announcing {count:,}; collect its keys again")
        os.replace(part, dest)
    except OSError as error:
        raise LabError(
            f"{dest} cannot be written: {error.strerror or error}; check the space and the rights in {dest.parent}"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()
    return {**result, "sha256": digest.hexdigest()}


def _chain(header: dict[str, Any], rows: Iterator[Any]) -> Iterator[Any]:
    yield header
    yield from rows
