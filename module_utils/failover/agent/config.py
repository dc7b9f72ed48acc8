# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a fault agent is told of its member and its host, as the role of Ansible wrote it there."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path

from ..shapes import LabError
from ..systems.members import MEMBERS

# Of the configuration file, what may be left out.
OPTIONAL_SETTINGS = {
    "use_dbus",
    "member_file",
    "peers",
    "clients",
    "client_port",
    "kept_ports",
    "data_dir",
    "power_kept",
    "ca",
    "certificate",
    "certificate_key",
}


@dataclass(frozen=True)
class AgentConfig:
    """What /etc/failover-lab/agent.json says."""

    member: str  # name of the member, as the inventory has it
    unit: str  # the only unit this agent acts on
    system: str  # one of systems.members.MEMBERS
    address: str  # where the member serves clients: its client URL, or "host:port"
    listen: str  # address on which to listen
    port: int
    key_file: str
    state_dir: str
    hold_ttl_s: float  # a fault is healed this long after its last keepalive
    use_dbus: bool = True  # False keeps to systemctl
    member_file: str = ""  # what the role of the system wrote for its member: see systems/NAME/member.py
    peers: list[str] = field(default_factory=list)  # addresses of the other members, and of the clients
    clients: list[str] = field(default_factory=list)
    client_port: int = 0  # where the member serves clients
    kept_ports: list[int] = field(default_factory=list)  # by which the lab reaches a host that is powered off: sshd's
    data_dir: str = ""  # where it keeps its data
    ca: str = ""  # file with the certificate of the authority that signs the members'; empty: nobody speaks TLS
    certificate: str = ""  # files with the host's certificate, and its private key
    certificate_key: str = ""
    power_kept: bool = False  # the host is a machine of the lab's own, whose keeper cuts its power (machines/keeper.py)

    @classmethod
    def load(cls, path: str) -> AgentConfig:
        """Read and check the file; LabError names what is wrong."""
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise LabError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from None
        except ValueError as error:
            raise LabError(f"{path} is not JSON: {error}.") from None
        if not isinstance(content, dict):
            raise LabError(f"{path} must be one JSON object.")
        known = {entry.name: entry for entry in fields(cls)}
        unknown = sorted(set(content) - set(known))
        missing = sorted(set(known) - set(content) - OPTIONAL_SETTINGS)
        if unknown or missing:
            wrong = [f"unknown setting: {name}" for name in unknown] + [f"missing setting: {name}" for name in missing]
            raise LabError(f"{path}: {'; '.join(wrong)}; provision the host again.")
        kinds: dict[str, tuple[type, ...]] = {
            "str": (str,),
            "int": (int,),
            "float": (int, float),
            "bool": (bool,),
            "list": (list,),
        }
        for name, value in content.items():
            kind = str(known[name].type).partition("[")[0]
            if not isinstance(value, kinds[kind]) or (kind != "bool" and isinstance(value, bool)):
                raise LabError(f"{path}: {name} must be of type {known[name].type}, it is {value!r}.")
        if content["hold_ttl_s"] <= 0:
            raise LabError(f"{path}: hold_ttl_s must be more than 0, it is {content['hold_ttl_s']}.")
        if content["system"] not in MEMBERS:
            raise LabError(f"{path}: system must be one of {', '.join(MEMBERS)}, it is {content['system']!r}.")
        return cls(**content)
