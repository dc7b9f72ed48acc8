#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_cluster_info
short_description: Observe an etcd cluster, or wait until it is whole
description:
  - Asks every member for its own view over etcd's JSON gateway and compares the views.
  - A member that does not answer is a result (RV(observation), RV(reasons)), not a failure of the module, unless
    O(wait_for) asks for more.
  - Healthy means more than what C(/health) says - one cluster id, all expected members and no other, and one leader
    on which all of them agree.
  - Needs nothing but Python on the host, and can run on any host that reaches the members.
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
    details: Reads only.
  diff_mode:
    description: Returns details on what has changed.
    support: none
options:
  endpoints:
    description: Client URLs of the members.
    type: list
    elements: str
    required: true
  expected_members:
    description:
      - Names of all members, in the order of O(endpoints).
      - Left empty, the members that the cluster itself names are expected.
    type: list
    elements: str
    default: []
  wait_for:
    description:
      - V(none) looks once.
      - V(healthy) waits until the cluster is whole.
      - V(converged) waits until, besides, all members have the same revision and the same hash over all data.
    type: str
    choices: [none, healthy, converged]
    default: none
  timeout_s:
    description: How long to wait, in seconds; then the module fails and says what is still wrong with which member.
    type: float
    default: 30
  request_timeout_s:
    description: How long a member may take for one answer, in seconds.
    type: float
    default: 1
"""

EXAMPLES = r"""
- name: Wait until all members agree on one leader
  etcd_cluster_info:
    endpoints:
      - http://10.89.77.11:2379
      - http://10.89.77.12:2379
      - http://10.89.77.13:2379
    expected_members: [etcd1, etcd2, etcd3]
    wait_for: healthy
  register: cluster

- name: Show the leader
  ansible.builtin.debug:
    var: cluster.leader
"""

RETURN = r"""
observation:
  description:
    - What the members say. C(members) maps each name to its url, reachable, error, latency_ms and, where it answered,
      id, cluster_id, is_leader, leader_id, term, raft_index, applied_index, revision, db_size_bytes, version, errors
      and knows (the members it knows).
    - C(alarms) lists each alarm that any member reports (NOSPACE, CORRUPT) with the member that raised it.
    - C(leader), C(leader_id) and C(term) are the cluster's, C(wall_ns) is when it was asked.
  returned: always
  type: dict
  sample:
    leader: etcd2
    leader_id: 6d44ed7d3147ed99
    term: 4
    wall_ns: 1795411280203985917
    members: {etcd2: {url: "http://10.89.77.12:2379", reachable: true, revision: 1}}
healthy:
  description: Whether the cluster is whole.
  returned: always
  type: bool
  sample: true
converged:
  description: Whether all members have equal data; null unless O(wait_for=converged).
  returned: always
  type: bool
  sample: null
reasons:
  description: What is wrong, one sentence each.
  returned: always
  type: list
  elements: str
  sample: ["etcd3 (http://10.89.77.13:2379) does not answer: connection refused"]
leader:
  description: Name of the member that leads; null where none does.
  returned: always
  type: str
  sample: etcd2
elapsed_s:
  description: How long it took, in seconds.
  returned: always
  type: float
  sample: 0.012
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.etcd_http import await_cluster


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "endpoints": {"type": "list", "elements": "str", "required": True},
            "expected_members": {"type": "list", "elements": "str", "default": []},
            "wait_for": {"type": "str", "choices": ["none", "healthy", "converged"], "default": "none"},
            "timeout_s": {"type": "float", "default": 30},
            "request_timeout_s": {"type": "float", "default": 1},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    try:
        found = await_cluster(
            wanted["endpoints"],
            wanted["expected_members"],
            wanted["wait_for"],
            wanted["timeout_s"],
            wanted["request_timeout_s"],
        )
    except ValueError as error:
        module.fail_json(msg=str(error))
    reached = found.pop("reached")
    result = {"changed": False, "leader": found["observation"]["leader"], **found}
    if not reached:
        module.fail_json(
            msg=f"The etcd cluster was not {wanted['wait_for']} within {wanted['timeout_s']:g} s: "
            f"{'; '.join(found['reasons'])}. Look at the log of that member with journalctl -u etcd.",
            **result,
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
