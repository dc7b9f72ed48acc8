#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: workload_join
short_description: Run clients of a workload that another load generator leads
description:
  - Joins the host that runs M(workload_run) with O(load_generators), makes the same stream there and here, and runs the
    operations of the keys that belong to this host through its share of O(settings.clients).
  - What its clients do goes to the host that leads, which writes the history and fires the faults; their times are by
    the clock of that host, which is followed while operations run.
  - Start it with C(async) and C(poll=0). It ends by itself when the workload does.
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
    details: Checks the options, and contacts nobody.
  diff_mode:
    description: Returns details on what has changed.
    support: none
  async:
    description: Supports being used with the C(async) keyword.
    support: full
requirements:
  - etcd3 and protobuf 3.20, for O(target.system=etcd)
  - PyMySQL, for O(target.system=mysql) and O(target.system=mysql_cluster)
extends_documentation_fragment:
  - run_settings
  - target
options:
  definition:
    description: The experiment as M(experiment_plan_info) resolved it, with C(name) and C(key_prefix).
    type: dict
    required: true
  name:
    description: This host's name among O(load_generators).
    type: str
    required: true
  load_generators:
    description: All hosts with clients of the workload, first the one that leads.
    type: list
    elements: str
    required: true
  lead:
    description: C(host:port) on which that one waits for the others.
    type: str
    required: true
  processes:
    description: How many processes share this host's clients, at most one a client; 0 for as many as it has cores.
    type: int
    default: 0
  agent_key_file:
    description: File with the lab's key, mode 0600.
    type: path
    required: true
  timeout_s:
    description: How long to try to reach the host that leads, in seconds.
    type: float
    default: 60
"""

EXAMPLES = r"""
- name: Start the clients of the second load generator
  workload_join:
    definition: "{{ plan.experiments[0] }}"
    settings: {iterations: 100000, seed: 123, clients: 64}
    target:
      system: etcd
      members:
        etcd1: {client_url: "http://10.89.77.11:2379"}
      endpoints: ["10.89.77.11:2379"]
    name: client2
    load_generators: [client1, client2]
    lead: 10.89.77.31:7471
    agent_key_file: /etc/failover-lab/agent.key
  async: 7200
  poll: 0
"""

RETURN = r"""
clients:
  description: How many clients ran here.
  returned: success
  type: int
  sample: 32
processes:
  description: How many processes shared them.
  returned: when the workload ran
  type: int
  sample: 2
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.agent.wire import load_key
from ansible.module_utils.failover.module_options import read_settings, read_target, settings_option, target_options
from ansible.module_utils.failover.run.config import RunnerConfig, check_config, need_in_definition, processes_of
from ansible.module_utils.failover.run.crew import clients_of
from ansible.module_utils.failover.run.joined import join_workload
from ansible.module_utils.failover.run.makers import client_maker
from ansible.module_utils.failover.shapes import LabError
from ansible.module_utils.failover.systems.steering import Steering


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "definition": {"type": "dict", "required": True},
            **settings_option(),
            **target_options(),
            "name": {"type": "str", "required": True},
            "load_generators": {"type": "list", "elements": "str", "required": True},
            "lead": {"type": "str", "required": True},
            "processes": {"type": "int", "default": 0},
            "agent_key_file": {"type": "path", "required": True, "no_log": False},
            "timeout_s": {"type": "float", "default": 60},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        need_in_definition(params["definition"], ("name", "key_prefix"))
        config = RunnerConfig(
            experiment=params["definition"]["name"],
            key_prefix=params["definition"]["key_prefix"],
            settings=read_settings(params),
            target=read_target(params),
            work_dir=Path(),
            processes=processes_of(params["processes"]),
        )
        check_config(config)
        names = params["load_generators"]
        if params["name"] not in names[1:]:
            raise LabError(f"name is {params['name']}; it has to be one of {', '.join(names[1:])}")
        if module.check_mode:
            own = clients_of(names.index(params["name"]), len(names), config.settings.clients)
            module.exit_json(changed=True, clients=len(own))
        steering = Steering()
        result = join_workload(
            config,
            make_client=client_maker(config, steering),
            steering=steering,
            name=params["name"],
            generators=names,
            lead=params["lead"],
            key=load_key(params["agent_key_file"]),
            timeout_s=params["timeout_s"],
        )
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=True, **result)


if __name__ == "__main__":
    main()
