# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether every host has an address of its own that the others reach it by."""

from __future__ import annotations

import ipaddress
from typing import Any

from ..host_preflight import subnet_shape
from .base import CLIENT_GROUP, Given


def addresses(given: Given) -> list[str]:
    """Return what is wrong with the addresses of the hosts that take part.

    Servers listen on them, accounts of MySQL are made for them, faults cut packets by them: a name would be resolved
    otherwise on each host, and MySQL does not resolve at all (``skip_name_resolve``).
    """
    subnet = given.values.get("lab_subnet")
    if subnet is not None:
        wrong = subnet_shape(str(subnet))
        if wrong:
            return [f"{wrong.what}: {wrong.try_this}."]
    hosts = given.hosts(*given.active_systems, CLIENT_GROUP)
    # Those that are not the lab's have none that is known here, and are refused as such.
    told = {host: given.addresses[host] for host in hosts if host in given.addresses}
    names = {host: address for host, address in told.items() if _number(address) is None}
    lines = []
    if names:
        lines.append(
            "The lab takes IPv4 addresses only, and the inventory has "
            f"{', '.join(f'{address} for {host}' for host, address in names.items())}. "
            "Set lab_address of each host to its IPv4 address (ansible_host may stay as it is)."
        )
    for host, address in told.items():
        number = _number(address)
        if number is not None and (number.is_loopback or number.is_unspecified or number.is_multicast):
            lines.append(
                f"{host} has the address {address}, on which no other host reaches it. "
                "Set lab_address to the one that the others use."
            )
        elif number is not None and subnet is not None:
            lines += _in_subnet(host, number, ipaddress.IPv4Network(str(subnet)))
    lines += [
        f"{one} and {other} have the same address, {address}. Each needs one of its own: "
        "set ansible_host or lab_address."
        for one, other, address in given.pairs()
        if other not in names
    ]
    return lines


def _number(address: Any) -> ipaddress.IPv4Address | None:
    try:
        return ipaddress.IPv4Address(str(address))
    except ValueError:
        return None


def _in_subnet(host: str, address: ipaddress.IPv4Address, subnet: ipaddress.IPv4Network) -> list[str]:
    gateway = subnet.network_address + 1
    if address in subnet and address not in (subnet.network_address, subnet.broadcast_address, gateway):
        return []
    return [
        f"{host} has the address {address}, which is not free in the lab's network, {subnet} ({gateway} is the "
        "controller's). Choose a container_number, or machine_number, from 2 to 254."
    ]
