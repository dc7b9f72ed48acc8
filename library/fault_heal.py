#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fault_heal
short_description: Heal held faults and watch the members until they are equal again
description:
  - Asks the fault agents to heal what they hold, and samples all members meanwhile.
  - For etcd it ends when all members follow one leader, have the same revision, and the same hash over all data at
    that revision. For mysql_cluster it ends when all members are online, follow one primary, have the same number of
    transactions and the same checksum of the workload's table. For mysql it ends when the server accepts connections.
  - Where nothing is held nothing is healed, and the members are compared all the same.
  - Members of mysql_cluster that are not full members of their group are made to rejoin it, whether they held a fault
    or not, unless O(converge) is false.
  - Members that are not equal when the time is over (RV(converged)) and agents that could not heal (RV(errors)) are
    results, not failures of the module.
  - Runs on a host that has the agents' key and reaches agents and members.
requirements:
  - PyMySQL, with the package cryptography, for mysql_cluster
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
    details: In check mode the agents are only asked what they hold, and nothing is watched.
  diff_mode:
    description: Returns details on what has changed.
    support: none
extends_documentation_fragment: target
options:
  key_file:
    description: File with the agents' key, readable by its owner only.
    type: path
    required: true
  faults:
    description: Ids of the faults to heal; left out, all that are held.
    type: list
    elements: str
  records_of:
    description:
      - Tokens of faults whose heal nobody has seen yet. Those that came back by themselves before this module asked, as
        after a restart, are returned in RV(earlier).
    type: list
    elements: str
    default: []
  converge:
    description: Whether to wait until the members are equal. Without, it ends when the agents have healed.
    type: bool
    default: true
  timeout_s:
    description: How long to heal and to watch, in seconds.
    type: float
    default: 60
  sample_interval_ms:
    description: Time between two samples of a member, in milliseconds.
    type: float
    default: 20
  events_path:
    description: File to which the events (heals, samples, the moment of equality) are appended as JSON lines.
    type: path
  source:
    description: Name of this host in the events; left out, its own host name. Needs O(events_path).
    type: str
"""

EXAMPLES = r"""
- name: Heal the faults and time the members' return
  fault_heal:
    target:
      system: etcd
      members:
        etcd1: {client_url: "http://10.89.77.11:2379"}
        etcd2: {client_url: "http://10.89.77.12:2379"}
        etcd3: {client_url: "http://10.89.77.13:2379"}
      agents: {etcd1: "10.89.77.11:7470", etcd2: "10.89.77.12:7470", etcd3: "10.89.77.13:7470"}
    key_file: /etc/failover-lab/agent.key
    events_path: /var/lib/failover-lab/runs/r1/E2-etcd/heal.jsonl
  register: healed
"""

RETURN = r"""
healed:
  description:
    - One record for each healed fault, with what the agent did and when (wall clock of the member's host).
    - C(phases_ms) has the time from the request to heal_received, process_started, active (the unit is up),
      first_answer, leader_known, caught_up and converged; null where it was not seen.
  returned: always
  type: list
  elements: dict
  sample:
    - fault: F1
      member: etcd2
      action: stop
      healed_by: request
      phases_ms: {heal_received: 1.5, process_started: 22.0, active: 130.2, first_answer: 141.0, leader_known: 141.0,
                  caught_up: 141.0, converged: 141.0}
rejoined:
  description:
    - Steps that brought members of a group which held no fault back into it, each with C(member), C(act), C(why) and
      C(wall_ns). Those of a fault's heal are C(group_steps) of its record in RV(healed).
  returned: always
  type: list
  elements: dict
  sample: []
earlier:
  description: Records of those of O(records_of) that were healed before this module asked.
  returned: always
  type: list
  elements: dict
  sample: []
not_healed:
  description: Records of the faults of members that do not come back, with what the heal found out of them.
  returned: always
  type: list
  elements: dict
  sample: []
errors:
  description: Why a fault could not be healed, by member; its agent tries again by itself.
  returned: always
  type: dict
  sample: {}
not_back:
  description:
    - Members of RV(errors) whose fault was undone, and whose server did not come back all the same. What they hold is
      lost to the lab, and that is a result; any other error leaves a fault behind.
  returned: always
  type: list
  elements: str
  sample: []
converged:
  description: Whether the members were equal before the time was over; null where nobody waited for it.
  returned: always
  type: bool
  sample: true
duration_ms:
  description: Time from the request to equality, in milliseconds; null where there was none.
  returned: always
  type: float
  sample: 141.0
reasons:
  description: What kept the members from being equal, one sentence each.
  returned: always
  type: list
  elements: str
  sample: []
samples:
  description: The members' states whenever one of them changed, each with C(wall_ns) and C(members).
  returned: always
  type: list
  elements: dict
  sample: [{wall_ns: 1795411280203985917, members: {etcd1: {reachable: true, revision: 60013}}}]
revision:
  description: Revision up to which the data were compared; null where they were not.
  returned: always
  type: int
  sample: 60013
hashes:
  description: Hash over all data up to that revision, by member; null where they were not compared.
  returned: always
  type: dict
  sample: {etcd1: 1084519789, etcd2: 1084519789, etcd3: 1084519789}
started_wall_ns:
  description: When the heal was requested, wall clock of this host in nanoseconds.
  returned: always
  type: int
  sample: 1795411280203985917
clock_base_ns:
  description: How far this process's clock is ahead of this host's monotonic clock, in nanoseconds.
  returned: always
  type: int
  sample: 1795410043000000000
held:
  description: What the agents hold, each with C(member), C(fault) and C(action).
  returned: in check mode
  type: list
  elements: dict
  sample: [{member: etcd2, fault: F1, action: stop}]
"""

import platform

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.agent.wire import load_key
from ansible.module_utils.failover.module_options import read_target, target_options
from ansible.module_utils.failover.results.write import append_events
from ansible.module_utils.failover.run.healing import Healer, list_held
from ansible.module_utils.failover.shapes import LabError


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            **target_options(),
            "key_file": {"type": "path", "required": True, "no_log": False},
            "faults": {"type": "list", "elements": "str"},
            "records_of": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "converge": {"type": "bool", "default": True},
            "timeout_s": {"type": "float", "default": 60},
            "sample_interval_ms": {"type": "float", "default": 20},
            "events_path": {"type": "path"},
            "source": {"type": "str"},
        },
        required_by={"source": ["events_path"]},
        supports_check_mode=True,
    )
    wanted = module.params
    target = read_target(wanted)
    try:
        key = load_key(wanted["key_file"])
        if module.check_mode:
            module.exit_json(**list_held(target.agents, key, wanted["faults"], ca=target.ca))
        healer = Healer(
            target,
            key,
            timeout_s=wanted["timeout_s"],
            sample_interval_ms=wanted["sample_interval_ms"],
            source=wanted["source"] or platform.node(),
        )
        result = healer.run(wanted["faults"], converge=wanted["converge"], records_of=wanted["records_of"])
        if wanted["events_path"]:
            append_events(wanted["events_path"], healer.events)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(result["healed"]), **result)


if __name__ == "__main__":
    main()
