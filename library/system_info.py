#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: system_info
short_description: Observe a system, or wait until it is whole
description:
  - Asks every member of the system for its own view, and compares the views.
  - A member that does not answer is a result (RV(observation), RV(reasons)), not a failure of the module, unless
    O(wait_for) asks for more.
  - Healthy is what the system promises of itself when nothing is wrong. Of etcd that is one cluster id, all members and
    no other, and one leader on which all of them agree; C(/health) says less. Of a replication group of MySQL it is a
    primary that can be written to, followed by members that are all ONLINE. Of a single server it is that it takes
    writes.
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
    details: Reads only.
  diff_mode:
    description: Returns details on what has changed.
    support: none
extends_documentation_fragment: target
requirements:
  - PyMySQL, for systems of MySQL
options:
  wait_for:
    description:
      - V(none) looks once.
      - V(healthy) waits until the system is whole.
      - V(converged) waits until, besides, all members have equal data. A single server always has.
    type: str
    choices: [none, healthy, converged]
    default: none
  hashes:
    description: Whether the members are asked to hash all their data besides, at one revision (RV(hashes)).
    type: bool
    default: false
  timeout_s:
    description: How long to wait, in seconds; then the module fails and says what is still wrong with which member.
    type: float
    default: 30
"""

EXAMPLES = r"""
- name: Wait until all members agree on one leader
  system_info:
    target:
      system: etcd
      members:
        etcd1: {client_url: "http://10.89.77.11:2379"}
        etcd2: {client_url: "http://10.89.77.12:2379"}
        etcd3: {client_url: "http://10.89.77.13:2379"}
    wait_for: healthy
  register: cluster

- name: Show the leader
  ansible.builtin.debug:
    var: cluster.leader
"""

RETURN = r"""
observation:
  description:
    - What the members of a system that replicates say. C(members) maps each name to reachable, error and, where it
      answered, what its system tells, such as id, leader_id, term and revision.
    - C(leader), C(leader_id) and C(term) are the system's, C(wall_ns) is when it was asked.
  returned: of a system that replicates
  type: dict
  sample:
    leader: etcd2
    leader_id: 6d44ed7d3147ed99
    term: 4
    wall_ns: 1795411280203985917
    members: {etcd2: {url: "http://10.89.77.12:2379", reachable: true, revision: 1}}
leader:
  description: Name of the member that leads; null where none does.
  returned: of a system that replicates
  type: str
  sample: etcd2
variables:
  description: Settings of durability, replication and memory, as a single MySQL server prints them.
  returned: of a single MySQL server that answered
  type: dict
  sample: {innodb_flush_log_at_trx_commit: "1", sync_binlog: "1", log_bin: "ON"}
version:
  description: Version of the server.
  returned: of a single MySQL server that answered
  type: str
  sample: 9.7.4
healthy:
  description: Whether the system is whole.
  returned: always
  type: bool
  sample: true
reasons:
  description: What is wrong, one sentence each.
  returned: always
  type: list
  elements: str
  sample: ["etcd3 (http://10.89.77.13:2379) does not answer: connection refused"]
hashes:
  description:
    - The members' own hashes of all their data, at the newest revision that each of them has. C(revisions) are those
      that they have, C(errors) says which member could not be asked; C(compact_revisions), of etcd, from which revision
      on the data are hashed.
    - Null of a system that has nothing to be compared.
  returned: with O(hashes)
  type: dict
  sample:
    {equal: true, revision: 41946, hashes: {etcd1: 2381, etcd2: 2381, etcd3: 2381}, errors: {},
     compact_revisions: {etcd1: -1, etcd2: -1, etcd3: -1}, revisions: {etcd1: 41946, etcd2: 41946, etcd3: 41946}}
elapsed_s:
  description: How long it took, in seconds.
  returned: always
  type: float
  sample: 0.012
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.module_options import read_target, target_options
from ansible.module_utils.failover.shapes import LabError
from ansible.module_utils.failover.systems.base import WAIT_FOR
from ansible.module_utils.failover.systems.comparison import compare_now
from ansible.module_utils.failover.systems.registry import SYSTEMS

# How long a member may take to say how far it is, and to hash all its data, in s.
SAMPLE_TIMEOUT_S = 1.0
HASH_TIMEOUT_S = 30.0


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            **target_options(),
            "wait_for": {"type": "str", "choices": list(WAIT_FOR), "default": "none"},
            "hashes": {"type": "bool", "default": False},
            "timeout_s": {"type": "float", "default": 30},
        },
        supports_check_mode=True,
    )
    wanted, target = module.params, read_target(module.params)
    system = SYSTEMS[target.system]
    try:
        found = system.observe(target, wanted["wait_for"], wanted["timeout_s"])
        hashes = {}
        if wanted["hashes"]:
            watched = system.watch(target, sample_timeout_s=SAMPLE_TIMEOUT_S, compare_timeout_s=HASH_TIMEOUT_S)
            hashes = {"hashes": compare_now(watched)}
    except LabError as error:
        module.fail_json(msg=str(error))
    if not found.reached:
        module.fail_json(
            msg=f"{system.title} was not {wanted['wait_for']} within {wanted['timeout_s']:g} s: "
            f"{'; '.join(found.facts['reasons'])}. Look at {found.look_at} of that member.",
            **found.facts,
        )
    module.exit_json(changed=False, **found.facts, **hashes)


if __name__ == "__main__":
    main()
