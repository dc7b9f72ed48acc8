# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Slows a member's network down with tc(8): all packets that its host sends, or those to some addresses.

Delay, jitter, loss, duplicates and another order are the kernel's netem (tc-netem(8)), a rate its token bucket
(tc-tbf(8)). For all packets such a discipline takes the place of the one of the interface that leads to the other
members, so that fault agent and ssh become slow, too, and stay reachable. For some addresses it stands below a class of
a classful one (tc-htb(8)), to which filters (tc-u32(8)) lead packets by where they go; all others leave as before.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from ..shapes import LabError

# The lab's own discipline, so that no other is taken away; the kernel's default ones have the handle 0.
HANDLE, DEFAULT_HANDLE = "7470:", "0:"
# How long tc or ip may take, in s.
COMMAND_TIMEOUT_S = 10.0
# Of a token bucket: what may be sent at once, in bytes, several full packets; and how long a packet waits at most, in
# ms, before it is dropped.
BURST_BYTES = 16_384
LONGEST_WAIT_MS = 1_000
# Of the classful discipline: packets without a class wait in a queue that is as long as an interface's usual one, and
# the class has a rate that limits nothing, as what is below it does that.
DIRECT_PACKETS = 1_000
CLASS = f"{HANDLE}1"
UNLIMITED = "rate 100gbit burst 4mb cburst 4mb quantum 60000"
# What tc and ip say beside the reason.
NO_REASON = ("Command failed", "We have an error talking", "Warning:")


class NetworkError(LabError):
    """The network could not be slowed down."""

    def __init__(self, text: str, done: int = 0) -> None:
        """Say what is wrong.

        :param done: how many of several commands were done before
        """
        super().__init__(text)
        self.done = done


@dataclass(frozen=True)
class Network:
    """The ways to the others: IPv4 addresses of the peers and of the clients."""

    peers: Sequence[str]
    clients: Sequence[str] = ()
    kept_ports: Sequence[int] = ()  # of the fault agent and sshd, which are as fast as before where a few are slowed

    def addresses(self, to: Sequence[str], named: Mapping[str, str]) -> list[str]:
        """Return the addresses of ``peers``, ``clients`` or members, each once; NetworkError where one is not known.

        :param named: those of members by name
        """
        known = {"peers": self.peers, "clients": self.clients, **{name: [named[name]] for name in named}}
        for word in to:
            if not known.get(word):
                raise NetworkError(f"no address of {word} is known")
        return list(dict.fromkeys(address for word in to for address in known[word]))

    def problem(self, options: Mapping[str, float], to: Sequence[str] | None = None) -> str | None:
        """Return why this host cannot be slowed down so, or None where it can. Tried on the loopback interface.

        The kernel loads a module that it has when it is asked for it; that works from within a container, too.

        :param to: addresses; None for everybody
        """
        lacking = self._try(self._commands("lo", options, to))
        if lacking is not None:
            return lacking
        try:
            for interface in self._ways(to):
                kind, handle = self._root(interface)
                if handle not in (HANDLE, DEFAULT_HANDLE):
                    return (
                        f"{interface} has a configured queueing discipline ({kind} {handle}), which the fault would "
                        "replace"
                    )
        except NetworkError as error:
            return str(error)
        return None

    def slow(self, options: Mapping[str, float], to: Sequence[str] | None = None) -> str:
        """Slow down; return how in the kernel's words. NetworkError where that fails.

        :param to: addresses; None for everybody
        """
        ways = self._ways(to)
        # Where one of the lab's own was left behind, another kind cannot take its place.
        self.hasten()
        for interface, addresses in ways.items():
            _batch("tc", self._commands(interface, options, None if to is None else addresses))
        kind = discipline(options)[0]
        return "; ".join(
            _shown(interface, kind) if to is None else _shown_below(interface, kind, addresses)
            for interface, addresses in ways.items()
        )

    def hasten(self) -> None:
        """Give interfaces that have the lab's discipline their own back; nothing happens where none has it."""
        rows = [line.split() for line in _run("tc", "qdisc", "show").splitlines()]
        slowed = [row[4] for row in rows if len(row) > 5 and (row[2], row[3], row[5]) == (HANDLE, "dev", "root")]
        if slowed:
            _batch("tc", [f"qdisc del dev {interface} root" for interface in slowed])

    def _commands(self, interface: str, options: Mapping[str, float], to: Sequence[str] | None) -> list[str]:
        """Return the commands for tc that slow down what an interface sends; only the last ones let it be felt."""
        words = " ".join(discipline(options))
        if to is None:
            return [f"qdisc add dev {interface} root handle {HANDLE} {words}"]
        filters = f"filter add dev {interface} parent {HANDLE} protocol ip"
        return [
            f"qdisc add dev {interface} root handle {HANDLE} htb direct_qlen {DIRECT_PACKETS}",
            f"class add dev {interface} parent {HANDLE} classid {CLASS} htb {UNLIMITED}",
            f"qdisc add dev {interface} parent {CLASS} {words}",
            # The first that fits decides, and 0 is no class.
            *(
                f"{filters} prio 1 u32 match ip protocol 6 0xff match ip sport {port} 0xffff flowid {HANDLE}0"
                for port in self.kept_ports
            ),
            *(f"{filters} prio 2 u32 match ip dst {address}/32 flowid {CLASS}" for address in to),
        ]

    @staticmethod
    def _try(commands: Sequence[str]) -> str | None:
        """Return why the kernel does not take commands for the loopback interface, None where it does."""
        undo = ["qdisc del dev lo root"]
        try:
            _batch("tc", commands)
            _batch("tc", undo)
        except NetworkError as error:
            said = str(error)
            if error.done:
                _batch("tc", undo)
            if "kind is unknown" in said or "qdisc not found" in said or "classifier not found" in said:
                return f"the kernel has no {_module(commands[error.done])}"
            # Who tries at the same time has one there.
            if "exists" not in said.lower() and "Exclusivity" not in said:
                return said
        return None

    def _ways(self, to: Sequence[str] | None) -> dict[str, list[str]]:
        """Return the interfaces that lead to these addresses, each with its own; None: that to the first of all."""
        addresses = list(to) if to is not None else [*self.peers, *self.clients][:1]
        if not addresses:
            raise NetworkError("no interface leads to anybody")
        lines = _batch("ip", [f"route get {address}" for address in addresses]).splitlines()
        ways: dict[str, list[str]] = {}
        for address, line in zip_longest(addresses, lines[: len(addresses)], fillvalue=""):
            words = line.split()
            if "dev" not in words:
                raise NetworkError(f"no interface leads to {address}")
            ways.setdefault(words[words.index("dev") + 1], []).append(address)
        return ways

    @staticmethod
    def _root(interface: str) -> tuple[str, str]:
        """Return kind and handle of an interface's discipline."""
        words = _run("tc", "qdisc", "show", "dev", interface, "root").split()
        return (words[1], words[2]) if len(words) > 2 else ("none", DEFAULT_HANDLE)


def discipline(options: Mapping[str, float]) -> list[str]:
    """Return tc's words for ``rate_kbit``, or for what becomes of packets (tc-netem(8)); shares are in %."""
    if "rate_kbit" in options:
        rate = f"{options['rate_kbit']:g}kbit"
        return ["tbf", "rate", rate, "burst", str(BURST_BYTES), "latency", f"{LONGEST_WAIT_MS}ms"]
    words = ["netem"]
    if "delay_ms" in options:
        words += ["delay", f"{options['delay_ms']:g}ms"]
    if "jitter_ms" in options:
        words += [f"{options['jitter_ms']:g}ms"]
    for key in ("loss", "duplicate", "reorder"):
        if key in options:
            words += [key, f"{options[key]:g}%"]
    return words


def _shown(interface: str, kind: str) -> str:
    """Return how the kernel shows the discipline of an interface; NetworkError where it is of another kind."""
    shown = _run("tc", "qdisc", "show", "dev", interface, "root").strip().splitlines()
    if not shown or kind not in shown[0]:
        raise NetworkError(f"tc did not set it on {interface}: {shown[0] if shown else 'nothing is there'}")
    return f"{interface}: {' '.join(shown[0].split())}"


def _shown_below(interface: str, kind: str, addresses: Sequence[str]) -> str:
    """Return how the kernel shows the discipline below the class, and to whom; NetworkError where not as asked."""
    shown = _run("tc", "qdisc", "show", "dev", interface).splitlines()
    below = next((line for line in shown if f" parent {CLASS} " in line and line.split()[1] == kind), None)
    if below is None:
        raise NetworkError(f"tc did not set it on {interface}: {shown[0] if shown else 'nothing is there'}")
    filters = _run("tc", "filter", "show", "dev", interface, "parent", HANDLE)
    # As hexadecimal numbers, at the place of the destination in a packet.
    found = [
        ".".join(str(byte) for byte in bytes.fromhex(number))
        for number in re.findall(r"match ([0-9a-f]{8})/ffffffff at 16\b", filters)
    ]
    if sorted(found) != sorted(addresses):
        raise NetworkError(f"tc did not set it on {interface}: its filters lead to {', '.join(found) or 'nobody'}")
    return f"{interface}: {' '.join(below.split())}, to {', '.join(found)}"


def _module(command: str) -> str:
    """Return which module of the kernel a command for tc needs."""
    words = command.split()
    if words[0] == "filter":
        return "cls_u32"
    return next(f"sch_{kind}" for kind in ("htb", "netem", "tbf") if kind in words)


def _batch(program: str, commands: Sequence[str]) -> str:
    """Have tc or ip do several commands, as one process; NetworkError at the first that fails."""
    return _run(program, "-oneline", "-batch", "-", stdin="".join(f"{command}\n" for command in commands))


def _run(*command: str, stdin: str = "") -> str:
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False
        )
    except FileNotFoundError:
        raise NetworkError(f"{command[0]} is not on this host (package iproute2)") from None
    except subprocess.TimeoutExpired:
        raise NetworkError(f"{command[0]} did not end within {COMMAND_TIMEOUT_S:g} s") from None
    if done.returncode != 0:
        said = [line for line in done.stderr.strip().splitlines() if not line.startswith(NO_REASON)]
        failed = re.search(r"^Command failed .*:(\d+)$", done.stderr, re.MULTILINE)
        raise NetworkError(
            f"{command[0]} says: {said[-1] if said else f'exit status {done.returncode}'}",
            int(failed[1]) - 1 if failed is not None else 0,
        )
    return done.stdout
