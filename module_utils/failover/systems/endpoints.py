# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a member serves clients, as "host:port"."""

from __future__ import annotations

from urllib.parse import urlsplit

from ..shapes import LabError


def join_endpoint(host: str, port: int) -> str:
    """Return "host:port", with the brackets that an IPv6 address needs."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_endpoint(endpoint: str) -> tuple[str, int]:
    """Take "host:port" apart; raises LabError where it is none."""
    try:
        parts = urlsplit(f"//{endpoint}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or port is None:
        raise LabError(f"{endpoint!r} is not the address of a member; give it as host:port, such as etcd1:2379")
    return host, port


def endpoint_of(address: str) -> str:
    """Return the "host:port" of a client URL, or of what is that already; LabError where it is neither."""
    return join_endpoint(*split_endpoint(address.rpartition("//")[2]))
