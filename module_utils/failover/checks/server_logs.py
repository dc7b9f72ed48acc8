# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the servers' own logs are there, where they must say something; said only where one does not.

A log without a word is no sign of a quiet server: the report would tell of an outage in which nobody was elected.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..results.files import log_file
from ..shapes import Check, Verdict
from .base import Case, Checker


class ServerLogs(Checker):
    """The logs of a system of which a fault ended a process speak."""

    name = "server logs"
    how = "A member that was stopped or started has to say so in its own log, and so do the others of its system."

    def applies(self, case: Case) -> bool:
        """Whether a process was ended, and what was filed could be read."""
        return bool(case.ended) and case.untold is None

    def judge(self, case: Case) -> Iterator[Check]:
        """Name the logs that say nothing; there is no verdict on them."""
        spoke = {event.source for event in case.events if event.event.startswith("server.")}
        wrong: dict[str, str] = {}
        for member, lines in case.log_lines.items():
            if lines is None:
                wrong[member] = f"{log_file(member)} is not there"
            elif lines == 0:
                wrong[member] = f"{log_file(member)} is empty"
            elif member in case.ended and member not in spoke:
                wrong[member] = f"nothing could be read from the {lines:,} lines of {log_file(member)}"
        if wrong:
            summary = (
                "What the servers themselves say of their stops, starts and elections is missing: "
                f"{'; '.join(wrong.values())}. Check on the host where the log is written, and in which time zone."
            )
            yield Check(self.name, Verdict.UNKNOWN, summary, {"members": wrong, "ended": sorted(case.ended)})
