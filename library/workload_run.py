#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: workload_run
short_description: Run one experiment's workload against a system
description:
  - Makes the stream of operations from O(iterations) and O(seed), runs it through O(clients) clients that fail over
    by themselves, and fires O(faults) at their operations.
  - Writes C(history.jsonl), C(events.jsonl), C(progress.json) (replaced twice a second) and C(summary.json) into
    O(work_dir) while it runs. Start it with C(async) and C(poll=0), and wait for it with M(workload_wait).
  - Faults are still in force when a whole workload ends, for M(fault_heal) to heal and time. Where it ends early, by an
    error or a signal, it heals them itself.
author: The failover lab's authors (@failover-lab)
attributes:
  check_mode:
    description: Can run in check mode and report what it would do without changing the target.
    support: full
    details: Checks the options, contacts no server and writes nothing.
  diff_mode:
    description: Returns details on what has changed.
    support: none
  async:
    description: Supports being used with the C(async) keyword.
    support: full
requirements:
  - etcd3 and protobuf 3.20, for O(system=etcd)
  - PyMySQL, for O(system=mysql) and O(system=mysql_cluster)
options:
  experiment:
    description: Name of the experiment.
    type: str
    required: true
  system:
    description: The system under the workload.
    type: str
    choices: [etcd, mysql, mysql_cluster]
    required: true
  iterations:
    description: Iterations of the workload's generator.
    type: int
    required: true
  seed:
    description: Seed of the workload.
    type: int
    required: true
  clients:
    description: Number of concurrent clients, each with connections of its own.
    type: int
    default: 1
  rate:
    description: Operations per second of all clients together. 0 sends the next when the last is done (closed loop).
    type: float
    default: 0
  endpoints:
    description:
      - Endpoints as C(host:port). A client connects to the first one; it may go to the others.
      - Of a replication group it asks them in this order who the primary is, and goes there.
    type: list
    elements: str
    required: true
  members:
    description: Members by name, each with its C(client_url) (etcd) or its C(address) (MySQL).
    type: dict
    required: true
  key_prefix:
    description: What stands before each device's name in its key.
    type: str
    default: ""
  mysql_user:
    description: Account of the workload in MySQL. Needed for MySQL, like the two below.
    type: str
  mysql_password:
    description: Password of O(mysql_user).
    type: str
  mysql_database:
    description: Database with the table C(ips).
    type: str
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
  faults:
    description: Faults as M(experiment_plan_info) resolved them, of all repeats.
    type: list
    elements: dict
    default: []
  repeats:
    description:
      - Into how many slices the stream is cut. After each slice but the last its faults are healed, and the next one
        begins when the members have equal data again.
    type: int
    default: 1
  stall_timeout_s:
    description:
      - A repeat (without repeats, the workload) in which no operation was acknowledged for so many seconds is ended.
      - Its faults are healed, and the next one begins. That is no failure of the module; RV(repeats) says where it was.
    type: float
    default: 180
  heal_timeout_s:
    description: How long a heal between two repeats may take until the members have equal data, in seconds.
    type: float
    default: 120
  sample_interval_ms:
    description: Time between two looks at a member meanwhile, in milliseconds.
    type: float
    default: 20
  agents:
    description: Fault agents of the system, C(host:port) by member. Needed with O(faults).
    type: dict
    default: {}
  agent_key_file:
    description: File with the fault agents' key, mode 0600. Needed with O(faults).
    type: path
  work_dir:
    description: Folder of the experiment on this host; it is made where it is missing.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Start the workload
  workload_run:
    experiment: E2-etcd
    system: etcd
    iterations: 100000
    seed: 123
    endpoints: ["10.89.77.11:2379", "10.89.77.12:2379", "10.89.77.13:2379"]
    members:
      etcd1: {client_url: "http://10.89.77.11:2379"}
      etcd2: {client_url: "http://10.89.77.12:2379"}
      etcd3: {client_url: "http://10.89.77.13:2379"}
    key_prefix: EXP2-
    faults: "{{ plan.experiments[0].faults }}"
    stall_timeout_s: 180
    agents: {etcd1: "10.89.77.11:7470", etcd2: "10.89.77.12:7470", etcd3: "10.89.77.13:7470"}
    agent_key_file: /etc/failover-lab/agent.key
    work_dir: /var/lib/failover-lab/runs/latest/E2-etcd
  async: 7200
  poll: 0
  register: job
"""

RETURN = r"""
schema_version:
  description: Version of this result's shape.
  returned: when the workload ran
  type: int
  sample: 1
experiment:
  description: Name of the experiment.
  returned: success
  type: str
  sample: E2-etcd
system:
  description: The system under the workload.
  returned: success
  type: str
  sample: etcd
operations:
  description: Length of the stream.
  returned: success
  type: int
  sample: 100000
stream:
  description: Counts, expected keys and digest of the stream.
  returned: in check mode
  type: dict
  sample: {CREATE: 41936, RETRIEVE: 40091, DELETE: 17973, expected_keys: 23963}
done:
  description: Operations that were run.
  returned: when the workload ran
  type: int
  sample: 100000
duration_s:
  description: From the experiment's origin to the end of the last operation.
  returned: when the workload ran
  type: float
  sample: 71.3
ops_per_s:
  description: Operations per second over that time.
  returned: when the workload ran
  type: float
  sample: 1402.5
outcomes:
  description: Number of operations by outcome.
  returned: when the workload ran
  type: dict
  sample: {ok: 99999, fail: 0, unknown: 1}
by_kind:
  description: The same by kind of operation.
  returned: when the workload ran
  type: dict
  sample: {CREATE: {ok: 41935, fail: 0, unknown: 1}}
client_cpu_s:
  description: CPU time that the load generator's process used meanwhile.
  returned: when the workload ran
  type: float
  sample: 41.2
digest:
  description: Digest of the stream.
  returned: when the workload ran
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
endpoints:
  description: Number of operations by the endpoint that answered or was tried last.
  returned: when the workload ran
  type: dict
  sample: {"10.89.77.11:2379": 12000, "10.89.77.12:2379": 88000}
failovers:
  description: Failovers that clients completed.
  returned: when the workload ran
  type: int
  sample: 1
origin_wall_ns:
  description: Where the history's times start, in nanoseconds of the Unix epoch.
  returned: when the workload ran
  type: int
  sample: 1793000003000000000
faults:
  description: What really happened of each fault.
  returned: when the workload ran
  type: list
  elements: dict
  sample: [{fault: F1, fired: true, member: etcd2, index_asked: 12000, index_hit: 12001}]
unhealed:
  description: Tokens of the last repeat's faults that were not seen healed before the workload ended.
  returned: when the workload ran
  type: list
  elements: str
  sample: [6d1f0a52c8e7b394-F1]
repeats:
  description:
    - Each repeat that began, with its operations, its times since the origin, and the heal after it.
    - C(stalled) is null, or where it was ended as nothing was acknowledged, C(since_ns), C(tried_s), C(done) and
      C(left_out), the number of operations that were not sent.
  returned: when the workload ran
  type: list
  elements: dict
  sample: [{repeat: 1, first_index: 0, end_index: 100000, began_ns: 0, ended_ns: 71300000000, stalled: null,
            convergence: null}]
interrupted:
  description: Whether the workload ended early; the task has failed then.
  returned: when the workload ran
  type: bool
  sample: false
message:
  description: Why it ended early; null where it did not.
  returned: when the workload ran
  type: str
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.failover.agent.wire import load_key
from ansible.module_utils.failover.failover_policy import FailoverPolicy
from ansible.module_utils.failover.plan.faults import read_plan
from ansible.module_utils.failover.run.config import MYSQL_ACCOUNT, RunnerConfig, check_config
from ansible.module_utils.failover.run.makers import client_maker, director_maker, healer_maker
from ansible.module_utils.failover.run.runner import run_workload
from ansible.module_utils.failover.shapes import LabError
from ansible.module_utils.failover.workload import create_simulation, summarize


def plan(params: dict[str, Any]) -> tuple[RunnerConfig, dict[str, Any]]:
    """Check the options; return the run's config and what check mode reports of it."""
    operations = create_simulation(params["iterations"], params["seed"])
    config = RunnerConfig(
        experiment=params["experiment"],
        system=params["system"],
        iterations=params["iterations"],
        seed=params["seed"],
        clients=params["clients"],
        rate=params["rate"],
        key_prefix=params["key_prefix"],
        endpoints=params["endpoints"],
        members=params["members"],
        policy=FailoverPolicy(
            attempt_timeout_ms=params["attempt_timeout_ms"],
            connect_timeout_ms=params["connect_timeout_ms"],
            operation_budget_ms=params["operation_budget_ms"],
        ),
        work_dir=Path(params["work_dir"]),
        faults=read_plan(params["faults"], len(operations)),
        repeats=params["repeats"],
        stall_timeout_s=params["stall_timeout_s"],
        mysql={name: params[f"mysql_{name}"] or "" for name in MYSQL_ACCOUNT},
    )
    check_config(config)
    without = [member for member in config.members if member not in params["agents"]]
    if config.faults and (without or not params["agent_key_file"]):
        what = f"agents lacks {', '.join(without)}" if without else "agent_key_file is missing"
        raise LabError(
            f"{config.experiment} has faults, and {what}; give the fault agent of every member, and their key"
        )
    outlook = {
        "experiment": config.experiment,
        "system": config.system,
        "operations": len(operations),
        "stream": summarize(operations),
    }
    return config, outlook


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "experiment": {"type": "str", "required": True},
            "system": {"type": "str", "choices": ["etcd", "mysql", "mysql_cluster"], "required": True},
            "iterations": {"type": "int", "required": True},
            "seed": {"type": "int", "required": True},
            "clients": {"type": "int", "default": 1},
            "rate": {"type": "float", "default": 0},
            "endpoints": {"type": "list", "elements": "str", "required": True},
            "members": {"type": "dict", "required": True},
            "key_prefix": {"type": "str", "default": "", "no_log": False},
            "mysql_user": {"type": "str"},
            "mysql_password": {"type": "str", "no_log": True},
            "mysql_database": {"type": "str"},
            "attempt_timeout_ms": {"type": "int", "default": 500},
            "connect_timeout_ms": {"type": "int", "default": 300},
            "operation_budget_ms": {"type": "int", "default": 10000},
            "faults": {"type": "list", "elements": "dict", "default": []},
            "repeats": {"type": "int", "default": 1},
            "stall_timeout_s": {"type": "float", "default": 180},
            "heal_timeout_s": {"type": "float", "default": 120},
            "sample_interval_ms": {"type": "float", "default": 20},
            "agents": {"type": "dict", "default": {}},
            "agent_key_file": {"type": "path", "no_log": False},
            "work_dir": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        config, outlook = plan(module.params)
        if module.check_mode:
            module.exit_json(changed=True, **outlook)
        key = load_key(module.params["agent_key_file"]) if config.faults else b""
        agents = module.params["agents"]
        summary = run_workload(
            config,
            make_client=client_maker(config),
            make_director=director_maker(config, agents, key),
            make_healer=healer_maker(
                config,
                agents,
                key,
                timeout_s=module.params["heal_timeout_s"],
                sample_interval_ms=module.params["sample_interval_ms"],
            ),
        )
    except LabError as error:
        module.fail_json(msg=str(error))
    if summary["interrupted"]:
        module.fail_json(msg=summary["message"], **summary)
    module.exit_json(changed=True, **summary)


if __name__ == "__main__":
    main()
