# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from ..host.packets import DIRECTIONS, FROM
from ..host.service import MainProcess
from ..shapes import LabError
from .base import Action, Host
from .options import Choice
from .record import FaultRecord


class Partition(Action):
    """Cut off from its peers, from the clients, or from both, while it runs."""

    name = "partition"
    past = "partitioned"
    options = (Choice("from", "isolate", FROM, "both"), Choice("direction", "direction", DIRECTIONS, "both"))
    ends_process = False
    drawable = True

    def problem(self, host: Host, record: FaultRecord) -> str | None:
        """Return why packets cannot be dropped."""
        return host.isolation.problem()

    def inject(self, host: Host, process: MainProcess, record: FaultRecord) -> str:
        """Drop its packets."""
        host.isolation.cut(record.isolate or "both", record.direction or "both")
        return "nft"

    def heal(self, host: Host, record: FaultRecord, timeout_s: float) -> None:
        """Let them through."""
        host.isolation.mend()
        super().heal(host, record, timeout_s)

    def resolve(self, name: str, fault: Mapping[str, Any], members: Sequence[str]) -> dict[str, Any]:
        """Refuse to separate a single server from peers that it does not have."""
        fields = super().resolve(name, fault, members)
        if fields["isolate"] == "peers" and len(members) < 2:
            raise LabError(f"{name} separates from peers, and a system of one member has none. Try from: clients.")
        return fields

    def draw(self, source: Random, members: int) -> dict[str, Any]:
        """Draw from whom, where there are peers, and in which direction."""
        return {
            "from": "clients" if members == 1 else source.choice(FROM),
            "direction": source.choice(DIRECTIONS),
        }

    def blocks_clients(self, fault: Mapping[str, Any]) -> bool:
        """Whether it is separated from its clients alone: its peers still hear a leader, and do not replace it."""
        return bool(fault["from"] == "clients")

    def takes_away(self, record: FaultRecord) -> bool:
        """Whether its peers are among those that it is separated from."""
        return bool(record.isolate != "clients")

    def told(self, who: str, record: FaultRecord) -> str:
        """Say it without a signal, as there is none."""
        return f"{who} was partitioned"
