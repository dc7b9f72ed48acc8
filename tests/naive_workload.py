# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The workload's rules word for word, as slow as the notebook's generator: what ours is compared with."""

from __future__ import annotations

import random

from failover.workloads.name_service import DEVICE_KINDS, GIVEN_NAMES


def draw_naively(iterations: int, source: random.Random) -> list[tuple[str, ...]]:
    """Return the operations that ``source`` gives; the table of live pairs is copied at every draw."""
    live: dict[str, str] = {}  # ip -> device, in the order in which the ip was assigned
    names: set[str] = set()  # of the live devices
    operations: list[tuple[str, ...]] = []
    for _ in range(iterations):
        if live and source.random() <= 0.6:
            ip, device = source.choice(list(live.items()))
            if source.random() <= 0.3:
                del live[ip]
                names.remove(device)
                operations.append(("DELETE", device))
            else:
                operations.append(("RETRIEVE", device))
        else:
            ip = ".".join(str(source.randint(0, 255)) for _ in range(4))
            while True:
                name = source.choice(GIVEN_NAMES)
                number = source.randint(0, 10_000)
                device = f"{name}{number} {source.choice(DEVICE_KINDS)}"
                if device not in names:
                    break
            if ip in live:
                operations.append(("DELETE", live[ip]))
                names.remove(live[ip])
            live[ip] = device
            names.add(device)
            operations.append(("CREATE", device, ip))
    return operations
