# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A lab on this machine: where its servers are, and its load generator's network, which MySQL lets in alone."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from failover.shapes import LabError
from failover.systems.endpoints import join_endpoint

ROOT = Path(__file__).resolve().parents[2]
# Of linux/sched.h.
CLONE_NEWNET = 0x40000000


def _inspected(container: str) -> dict[str, Any] | None:
    """Return what podman says of a container that runs, None where there is none."""
    try:
        said = subprocess.run(["podman", "container", "inspect", container], capture_output=True, text=True)
    except FileNotFoundError as error:
        raise LabError("there is no podman here; name servers with --etcd and --mysql") from error
    if said.returncode != 0:
        return None
    found: dict[str, Any] = json.loads(said.stdout)[0]
    return found if found["State"]["Running"] else None


def endpoint_of(container: str, port: int) -> str | None:
    """Return where a container serves, as "host:port"; None where it does not run."""
    found = _inspected(container)
    if found is None:
        return None
    networks = found["NetworkSettings"]["Networks"].values()
    return next((join_endpoint(network["IPAddress"], port) for network in networks), None)


def join_load_generator(lab: str) -> None:
    """Go on in the network of the lab's load generator, with this thread and all programs that it starts.

    LabError where the lab does not run here, or this is not root.
    """
    found = _inspected(f"{lab}-client1")
    if found is None:
        raise LabError(f"no lab {lab} runs here; bring it up with ./scripts/lab up, or name servers of another one")
    with open(f"/proc/{found['State']['Pid']}/ns/net", "rb") as namespace:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise LabError(f"cannot join the network of {lab}-client1: {os.strerror(ctypes.get_errno())}; be root")


def mysql_password(lab: str) -> str:
    """Return the password of the workload's account."""
    try:
        return (ROOT / ".lab" / lab / "credentials" / "mysql_password").read_text(encoding="utf-8").strip()
    except OSError as error:
        raise LabError(f"the password of lab {lab} cannot be read ({error}); is it a lab of this folder?") from error
