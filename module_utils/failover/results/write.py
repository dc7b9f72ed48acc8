# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writing the JSON files of a results folder; standard library only, as hosts do so, too."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from ..shapes import LabError


def write_json_atomic(path: str | Path, value: Any) -> None:
    """Write JSON so that a reader sees the old file or the new one, never a half; LabError where it cannot."""
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        discard(part)
        raise LabError(
            f"{path} cannot be written: {error.strerror or error}; check the space and the rights in {path.parent}"
        ) from error


def discard(part: Path) -> None:
    """Remove a half that was written, if there is one: where the file system is read-only there is none."""
    with contextlib.suppress(OSError):
        part.unlink(missing_ok=True)
