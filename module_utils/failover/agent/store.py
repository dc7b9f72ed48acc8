# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The agent's records of faults on disk, so that a restart of the agent or of the host forgets none."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from ..actions.record import FaultRecord
from ..shapes import SCHEMA_VERSION


class Store:
    """The records on disk, with the wall time at which each held one expires."""

    def __init__(self, folder: str) -> None:
        self._path = Path(folder) / "faults.json"

    def load(self) -> list[tuple[FaultRecord, int]]:
        """Return the records and their expiry; what cannot be read is put aside and named on stderr."""
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            found = [
                (FaultRecord.from_dict(entry["record"]), int(entry["expires_wall_ns"])) for entry in content["faults"]
            ]
            if not all(record.token and record.action and record.member for record, _ in found):
                raise ValueError("a record lacks what it is of")
            return found
        except FileNotFoundError:
            return []
        except (ValueError, TypeError, KeyError) as error:
            aside = self._path.with_suffix(".broken")
            os.replace(self._path, aside)
            print(f"{self._path} cannot be read ({error}); it was moved to {aside}.", file=sys.stderr, flush=True)
            return []

    def save(self, faults: list[dict[str, Any]], *, durable: bool) -> None:
        """Replace the file in one step; ``durable`` also waits until the disk has it.

        :param faults: objects ``{"record": FaultRecord as an agent answers it, "expires_wall_ns": int}``
        """
        content = {"schema_version": SCHEMA_VERSION, "faults": faults}
        temporary = self._path.with_suffix(".new")
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, self._path)
