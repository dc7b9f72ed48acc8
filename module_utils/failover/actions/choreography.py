# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..host.service import MainProcess
from ..shapes import LabError
from .base import Action, Host
from .options import Listed
from .record import FaultRecord
from .steps import cuts_after, read_steps


class Choreography(Action):
    """A fault whose steps are data: what is cut, paused, waited for and mended, in an order (steps.py)."""

    name = "choreography"
    past = "led through a choreography"
    options = (Listed("steps", "steps"),)
    ends_process = False

    def problem(self, host: Host, record: FaultRecord) -> str | None:
        """Return why packets cannot be held up."""
        return host.isolation.problem()

    def inject(self, host: Host, process: MainProcess, record: FaultRecord) -> str:
        """Do nothing yet: the director asks for one step after the other."""
        return "steps"

    def step(self, host: Host, process: MainProcess, record: FaultRecord, step: Mapping[str, Any]) -> None:
        """Do one step other than a wait; what was done before is in the record.

        :param step: as read_steps returns it, with the addresses of the ``peers`` where it is not about all
        """
        if step["do"] == "pause":
            host.service.suspend(process)
        elif step["do"] == "resume":
            host.service.resume(process)
        elif step["do"] in ("cut", "mend"):
            host.isolation.hold_up(cuts_after([*record.steps_done, step], host.isolation.peers))
        elif step["do"] == "force":
            host.force()

    def heal(self, host: Host, record: FaultRecord, timeout_s: float) -> None:
        """Let everything through, and every process go on."""
        host.isolation.mend()
        host.service.resume()
        super().heal(host, record, timeout_s)

    def resolve(self, name: str, fault: Mapping[str, Any], members: Sequence[str]) -> dict[str, Any]:
        """Read the steps; they end with a heal of their own."""
        if "heal" in fault:
            raise LabError(f"{name}: a choreography heals after its last step. Leave heal out.")
        if len(members) < 2:
            raise LabError(f"{name}: a choreography is about a member and its peers, and a system of one has none.")
        return {"steps": read_steps(name, fault.get("steps")), "heal": "steps"}

    def doubts(self, record: FaultRecord) -> list[str]:
        """Say which step was not come to."""
        doubts = super().doubts(record)
        if record.steps_ended is not None:
            doubts.append(record.steps_ended)
        return doubts

    def told(self, who: str, record: FaultRecord) -> str:
        """Say how many steps there were, as there is no signal."""
        return f"{who} was led through {len(record.steps)} steps"

    def compared(self, *, replicated: bool) -> str:
        """Say that its outage is made of waits."""
        return "The outage of a choreography is as long as its steps make it."
