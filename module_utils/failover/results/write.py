# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writing the JSON files of a results folder; standard library only, as hosts do so, too."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..shapes import Event, LabError


def write_json_atomic(path: str | Path, value: Any) -> None:
    """Write JSON so that a reader sees the old file or the new one, never a half; LabError where it cannot."""
    write_text_atomic(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_text_atomic(path: str | Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one, never a half; LabError where it cannot."""
    with replacing(Path(path)) as part:
        part.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a place for what replaces a file in one step once it is whole; LabError where it cannot."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        discard(part)
        raise LabError(
            f"{path} cannot be written: {error.strerror or error}; check the space and the rights in {path.parent}"
        ) from error


def line_of(event: Event) -> str:
    """Return an event as one line of events.jsonl."""
    return json.dumps(event.as_dict(), ensure_ascii=False, separators=(",", ":")) + "\n"


def append_events(path: str | Path, events: Iterable[Event]) -> None:
    """Append events to a file; LabError where the disk does not take them."""
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.writelines(map(line_of, events))
    except OSError as error:
        raise LabError(
            f"{path} cannot be written: {error.strerror or error}; check the space and the rights in "
            f"{Path(path).parent}"
        ) from error


def discard(part: Path) -> None:
    """Remove a half that was written, if there is one: where the file system is read-only there is none."""
    with contextlib.suppress(OSError):
        part.unlink(missing_ok=True)
