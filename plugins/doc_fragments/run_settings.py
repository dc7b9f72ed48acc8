# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the option that module_utils/failover/module_options.py makes of a run's settings."""

from __future__ import annotations


class ModuleDocFragment:
    """A run's settings."""

    DOCUMENTATION = r"""
options:
  settings:
    description: What the whole run is run with. Every module takes all of it, and uses what it needs.
    type: dict
    required: true
    suboptions:
      iterations:
        description: Iterations of the workload's generator.
        type: int
        required: true
      seed:
        description: Seed of the workload.
        type: int
        required: true
      workload:
        description:
          - The workload's C(name), and options of its own beside it. Its name alone may be text.
          - Empty for the usual one, C(name_service).
        type: raw
        default: {}
      clients:
        description: Number of concurrent clients, each with connections of its own.
        type: int
        default: 1
      rate:
        description: Operations per second of all clients together. 0 sends one when the last is done (closed loop).
        type: float
        default: 0.0
      repeats:
        description:
          - How many times faults repeat; the stream is split into that many equal slices.
          - A number, or numbers by system; a system that is not named has one.
        type: raw
        default: 1
      sole_server_heal:
        description: How long a server without replicas stays away in the experiments of the catalog, as it was given.
        type: str
        default: 30s
      stall_timeout_s:
        description:
          - A repeat (without repeats, the workload) without an acknowledged operation for so many seconds is ended.
          - Has to be longer than each fault's delay until its heal and O(settings.operation_budget_ms).
        type: float
        default: 180.0
      attempt_timeout_ms:
        description: How long a request may take before the client tries the next member.
        type: int
        default: 500
      connect_timeout_ms:
        description: How long a new connection may take.
        type: int
        default: 300
      operation_budget_ms:
        description: How long an operation may take in all before it counts as failed or unknown.
        type: int
        default: 10000
      retry_policy:
        description:
          - What a client does about an attempt that was not acknowledged.
          - With V(safe) it is sent again behind a fence, and no attempt takes effect once the operation is over. With
            V(blind) it is sent again, and one whose answer was lost may take effect later. With V(none) there is one
            attempt an operation. With V(notebook) it is sent again blindly, after 2 s, to another member at random.
        type: str
        default: safe
      read_consistency:
        description:
          - What a read may return. With V(linearizable) nothing that was overwritten before it began; with
            V(serializable) what the member that is asked has, which may be old. Only etcd offers both.
        type: str
        default: linearizable
      arrivals:
        description:
          - When the operations of C(rate) are due, at equal distances with V(fixed), at random ones with V(poisson).
        type: str
        default: fixed
      tls:
        description: Whether the lab was brought up with TLS and accounts. It is recorded; the target says how.
        type: bool
        default: false
      watch:
        description: Whether a watch is kept on the keys while the workload runs, of a system that offers one.
        type: bool
        default: true
"""
