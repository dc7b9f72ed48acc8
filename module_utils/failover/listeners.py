# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who listens on a TCP port of this host, out of /proc alone: a plain machine may lack ss."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

# State of a socket that listens, in /proc/net/tcp (proc(5); include/net/tcp_states.h).
LISTEN = "0A"
ANY = ("0.0.0.0", "::")


@dataclass(frozen=True)
class Listener:
    """A socket that listens, and whose it is as far as that can be told."""

    address: str  # IPv4 address; for a socket of both families, or of IPv6, as that family writes it
    port: int
    pid: int  # 0 where no process shows the socket (another container's, or no rights)
    program: str
    units: tuple[str, ...]  # systemd services whose control group the process is in

    def takes(self, address: str) -> bool:
        """Tell whether it keeps another socket from listening on this IPv4 address."""
        return self.address in (*ANY, address)


def listeners(ports: Collection[int], proc: Path = Path("/proc")) -> list[Listener]:
    """Return who listens on these ports, in order of port and address."""
    sockets = _listening(ports, proc)
    owners = _owners(sockets.keys(), proc)
    found = []
    for inode, (address, port) in sockets.items():
        pid = owners.get(inode, 0)
        found.append(Listener(address, port, pid, _program(pid, proc), _units(pid, proc)))
    return sorted(found, key=lambda one: (one.port, one.address))


def _listening(ports: Collection[int], proc: Path) -> dict[str, tuple[str, int]]:
    """Return address and port of each socket that listens, by its inode."""
    found = {}
    for name in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / name).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            # A kernel without IPv6 has no tcp6.
            continue
        for line in lines:
            fields = line.split()
            written, _, port = fields[1].partition(":")
            if fields[3] == LISTEN and int(port, 16) in ports:
                found[fields[9]] = (_address(written), int(port, 16))
    return found


def _address(written: str) -> str:
    """Return an address of /proc/net/tcp: words of four bytes, each in the byte order of this machine."""
    packed = b"".join(struct.pack("=I", int(written[at : at + 8], 16)) for at in range(0, len(written), 8))
    text = socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
    return text.removeprefix("::ffff:") if "." in text else text


def _owners(inodes: Collection[str], proc: Path) -> dict[str, int]:
    """Return a process that has each socket open, by the socket's inode."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[str, int] = {}
    if not wanted:
        return found
    for folder in proc.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            for entry in (folder / "fd").iterdir():
                inode = wanted.get(os.readlink(entry))
                if inode is not None:
                    found.setdefault(inode, int(folder.name))
        except OSError:
            # It ended meanwhile, or is another user's.
            continue
    return found


def _program(pid: int, proc: Path) -> str:
    try:
        return (proc / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip() if pid else ""
    except OSError:
        return ""


def _units(pid: int, proc: Path) -> tuple[str, ...]:
    try:
        lines = (proc / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines() if pid else []
    except OSError:
        return ()
    parts = {part for line in lines for part in line.split(":", 2)[2].split("/")}
    return tuple(sorted(part for part in parts if part.endswith(".service")))
