# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cuts a member off from peers or clients, or its host from everybody, with nftables rules in a table of their own.

Packets are dropped and not refused, in connections that exist as well: the other side hears nothing, as behind a broken
switch. Fault agents and ssh stay reachable, as of clients only the port is cut on which the member serves them.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..shapes import LabError

TABLE = "failover_lab"
FROM = ("peers", "clients", "both")
DIRECTIONS = ("both", "in", "out")
# What becomes of a packet: nobody hears of it, or its sender is told that the host cannot be reached. TCP then sends it
# again at an interval that does not grow (RFC 6069), where the host may say so often enough (icmp_ratelimit).
HOW = ("drop", "reject")
# How long nft may take, in s; it takes some milliseconds.
NFT_TIMEOUT_S = 10.0


class IsolationError(LabError):
    """The rules could not be set."""


@dataclass(frozen=True)
class Cut:
    """One peer's packets that are held up."""

    direction: str  # "in" or "out", as the member sees it
    peer: str  # its address
    how: str = "drop"  # one of HOW
    # Only segments with data. A segment that was held up is acknowledged once it comes, so that the next one follows.
    data_only: bool = False

    @property
    def rule(self) -> str:
        """Return it as a rule of nft."""
        other = "saddr" if self.direction == "in" else "daddr"
        segments = " tcp flags & psh == psh" if self.data_only else ""
        verdict = "reject with icmp type host-unreachable" if self.how == "reject" else "drop"
        return f"ip {other} {self.peer}{segments} {verdict}"


@dataclass(frozen=True)
class Isolation:
    """Who a member talks to: IPv4 addresses of its peers and of the clients, and its port for clients."""

    peers: Sequence[str]
    clients: Sequence[str]
    client_port: int
    kept_ports: Sequence[int] = field(default_factory=tuple)  # of the fault agent and sshd, when all else is silent

    def rules(self, isolate: str, direction: str) -> str:
        """Return the script for nft that cuts off.

        :param isolate: from whom, one of FROM
        :param direction: of the packets that are dropped, one of DIRECTIONS, as the member sees it
        """
        chains = []
        for way, own, other in (("in", "dport", "saddr"), ("out", "sport", "daddr")):
            if direction not in (way, "both"):
                continue
            drops = []
            if isolate in ("peers", "both") and self.peers:
                drops.append(f"ip {other} {{ {', '.join(self.peers)} }} drop")
            if isolate in ("clients", "both") and self.clients:
                drops.append(f"ip {other} {{ {', '.join(self.clients)} }} tcp {own} {self.client_port} drop")
            chains.append(f"chain {way}put {{ {_hook(way)} {'; '.join(drops)}; }}")
        return _table(chains)

    def silent_rules(self) -> str:
        """Return the script for nft that lets nothing in and out but what the lab itself needs to come back."""
        ports = ", ".join(map(str, self.kept_ports))
        return _table(
            [
                f"chain {way}put {{ type filter hook {way}put priority -150; policy drop; "
                f"{interface} lo accept; tcp {own} {{ {ports} }} accept; }}"
                for way, interface, own in (("in", "iifname", "dport"), ("out", "oifname", "sport"))
            ]
        )

    def cut(self, isolate: str, direction: str) -> None:
        """Set the rules; IsolationError where that fails."""
        _nft(self.rules(isolate, direction))

    def hold_up(self, cuts: Sequence[Cut]) -> None:
        """Have these cuts in force, and no others; IsolationError where that fails."""
        _nft(
            _table(
                [
                    f"chain {way}put {{ {_hook(way)} {'; '.join(cut.rule for cut in cuts if cut.direction == way)}; }}"
                    for way in ("in", "out")
                    if any(cut.direction == way for cut in cuts)
                ]
            )
        )

    def silence(self) -> None:
        """Let the host fall silent, as without current; IsolationError where that fails."""
        _nft(self.silent_rules())

    @staticmethod
    def mend() -> None:
        """Remove the rules; nothing happens where there are none."""
        _nft(f"table inet {TABLE}\ndelete table inet {TABLE}\n")

    @staticmethod
    def problem() -> str | None:
        """Return why this host cannot cut anybody off, or None where it can."""
        try:
            _nft("list tables\n")
        except IsolationError as error:
            return str(error)
        return None


def _hook(way: str) -> str:
    return f"type filter hook {way}put priority -150; policy accept;"


def _table(chains: Sequence[str]) -> str:
    # Made and removed first, so that an old one is gone; nft does all of a script or nothing.
    return f"table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n{chr(10).join(chains)}\n}}\n"


def _nft(script: str) -> None:
    try:
        done = subprocess.run(
            ["nft", "-f", "-"], input=script, capture_output=True, text=True, timeout=NFT_TIMEOUT_S, check=False
        )
    except FileNotFoundError:
        raise IsolationError("nft is not on this host (package nftables)") from None
    except subprocess.TimeoutExpired:
        raise IsolationError(f"nft did not end within {NFT_TIMEOUT_S:g} s") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise IsolationError(f"nft says: {said[0] if said else f'exit status {done.returncode}'}")
