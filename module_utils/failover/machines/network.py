# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The network of the lab's machines: a bridge that has the first address of the subnet, and a tap for each machine.

It leads nowhere else: to the mirrors each machine has a second interface, behind which qemu itself talks for it. So no
rule of the controller's firewall and no setting of its kernel is changed, and none is left behind.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..shapes import LabError

# How long ip(8) may take, in s.
COMMAND_TIMEOUT_S = 20.0

Run = Callable[[Sequence[str]], str]


class LinkError(LabError):
    """A bridge or a tap could not be made or removed."""


def run_ip(argv: Sequence[str]) -> str:
    """Run ip(8) and return what it prints; LinkError with what it complains of."""
    try:
        done = subprocess.run(["ip", *argv], capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False)
    except FileNotFoundError:
        raise LinkError("ip is not on this machine (package iproute2)") from None
    except subprocess.TimeoutExpired:
        raise LinkError(f"ip {' '.join(argv)} did not end within {COMMAND_TIMEOUT_S:g} s") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise LinkError(f"ip {' '.join(argv)} says: {said[-1]}")
    return done.stdout


def mac_of(address: str, interface: int = 0) -> str:
    """Return the link address of a machine's interface: locally administered, and different for each IPv4 address."""
    return ":".join(f"{octet:02x}" for octet in (2, interface, *ipaddress.IPv4Address(address).packed))


@dataclass(frozen=True)
class Bridge:
    """The network of one lab. Its interfaces are found by their names, which are made of the lab's."""

    lab: str
    subnet: str
    run: Run = run_ip

    @property
    def prefix(self) -> str:
        """Return how the names of its interfaces begin; the kernel takes 15 characters."""
        return f"fl{hashlib.sha256(self.lab.encode()).hexdigest()[:8]}"

    @property
    def name(self) -> str:
        """Return the name of the bridge."""
        return f"{self.prefix}-br"

    @property
    def address(self) -> str:
        """Return the controller's address on it."""
        return str(ipaddress.ip_network(self.subnet)[1])

    def tap(self, address: str) -> str:
        """Return the name of the tap of the machine with an address."""
        return f"{self.prefix}-{address.rpartition('.')[2]}"

    def links(self) -> dict[str, dict[str, Any]]:
        """Return the interfaces of this lab that are there, as ``ip -j address`` tells of them, by name."""
        found = json.loads(self.run(["-j", "address", "show"]) or "[]")
        return {link["ifname"]: link for link in found if link.get("ifname", "").startswith(f"{self.prefix}-")}

    def make(self, addresses: Sequence[str], *, pretend: bool = False) -> list[str]:
        """Have the bridge and a tap for each address; return the interfaces that were missing.

        :param pretend: only say which are
        """
        there = self.links()
        missing = [name for name in (self.name, *map(self.tap, addresses)) if name not in there]
        if pretend:
            return missing
        if self.name in missing:
            # With a link address of its own, as it would otherwise take one of its taps, and change with them.
            self.run(["link", "add", "name", self.name, "address", mac_of(self.address), "type", "bridge"])
        own = [entry.get("local") for entry in there.get(self.name, {}).get("addr_info", [])]
        if self.address not in own:
            prefix = ipaddress.ip_network(self.subnet).prefixlen
            self.run(["address", "replace", f"{self.address}/{prefix}", "dev", self.name])
        self.run(["link", "set", "dev", self.name, "alias", f"failover-lab {self.lab}", "up"])
        for address in addresses:
            tap = self.tap(address)
            if tap in missing:
                self.run(["tuntap", "add", "dev", tap, "mode", "tap"])
            self.run(["link", "set", "dev", tap, "master", self.name, "up"])
        return missing

    def remove(self, *, pretend: bool = False) -> list[str]:
        """Remove the bridge and all taps; return those that were there."""
        there = sorted(self.links(), key=lambda name: name == self.name)
        for name in [] if pretend else there:
            self.run(["link", "delete", "dev", name])
        return there
