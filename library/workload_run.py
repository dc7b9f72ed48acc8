#!/usr/bin/python
# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: workload_run
short_description: Run one experiment's workload against a system
description:
  - Makes the stream of operations from O(settings.iterations) and O(settings.seed), runs it through
    O(settings.clients) clients that fail over by themselves, and fires the faults of O(definition) at their operations.
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
  - etcd3 and protobuf 3.20, for O(target.system=etcd)
  - PyMySQL, for O(target.system=mysql) and O(target.system=mysql_cluster)
extends_documentation_fragment:
  - run_settings
  - target
options:
  definition:
    description:
      - The experiment as M(experiment_plan_info) resolved it, with C(name), C(key_prefix), C(repeats) and C(faults).
      - After each repeat but the last its faults are healed, and the next one begins when the members have equal data
        again. RV(repeats) says which were ended for O(settings.stall_timeout_s); that is no failure of the module.
    type: dict
    required: true
  processes:
    description:
      - How many processes share the clients, at most one a client; 0 for as many as this host has cores.
      - More than one beside the process that leads them and the faults.
    type: int
    default: 0
  load_generators:
    description:
      - All hosts with clients of this workload, first this one; the others join it by M(workload_join).
      - Empty, or this host alone, where there are no others.
    type: list
    elements: str
    default: []
  listen:
    description: C(host:port) on which the others join.
    type: str
  join_timeout_s:
    description: How long they may take, in seconds.
    type: float
    default: 60
  heal_timeout_s:
    description: How long a heal between two repeats may take until the members have equal data, in seconds.
    type: float
    default: 120
  sample_interval_ms:
    description: Time between two looks at a member meanwhile, in milliseconds.
    type: float
    default: 20
  agent_key_file:
    description: File with the lab's key, mode 0600. Needed with faults, and with other load generators.
    type: path
  work_dir:
    description: Folder of the experiment on this host; it is made where it is missing.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Start the workload
  workload_run:
    definition: "{{ plan.experiments[0] }}"
    settings: {iterations: 100000, seed: 123}
    target:
      system: etcd
      members:
        etcd1: {client_url: "http://10.89.77.11:2379"}
        etcd2: {client_url: "http://10.89.77.12:2379"}
        etcd3: {client_url: "http://10.89.77.13:2379"}
      endpoints: ["10.89.77.11:2379", "10.89.77.12:2379", "10.89.77.13:2379"]
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
  description: CPU time that the load generator's processes used meanwhile.
  returned: when the workload ran
  type: float
  sample: 41.2
load_generators:
  description:
    - The hosts of the clients, first this one, with their numbers of clients and processes.
    - C(clock_uncertainty_ns) is by how much a host's stamps may be wrong, C(clock_moved_ns) what its clock and this
      host's drifted apart meanwhile.
  returned: when the workload ran
  type: list
  elements: dict
  sample: [{name: client1, clients: 32, processes: 2, clock_uncertainty_ns: 0, clock_moved_ns: 0}]
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
unresolved:
  description:
    - Writes whose outcome was still unknown at the end, for M(workload_settle). Each has C(index) and C(client) of the
      operation and, of its client's fence, C(fence) (the name), C(kind), C(at) and C(to).
    - Empty where O(settings.retry_policy) has no fences.
  returned: when the workload ran
  type: list
  elements: dict
  sample: [{index: 363, client: 1, fence: E3-etcd/1, kind: CREATE, at: 5f0c-11, to: 5f0c-12}]
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
watch:
  description:
    - What there is to say of the watch on the keys, whose changes are in C(watch.jsonl) of O(work_dir); null where none
      was kept.
    - C(from_revision) and C(to_revision) are the first and last revision of which all changes were told, C(gaps) those
      in between that nobody could tell any more. C(streams) says where it was begun and resumed, with the revision and
      why; C(cpu_s) what CPU time that took, and C(error) why there is no watch or only a part of one.
  returned: when the workload ran
  type: dict
  sample: {error: null, events: 41935, from_revision: 12, to_revision: 41946, gaps: [], cpu_s: 3.9,
           streams: [{endpoint: "10.89.77.11:2379", revision: 12, wall_ns: 1793000002900000000, why: ""}]}
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
from ansible.module_utils.failover.module_options import read_settings, read_target, settings_option, target_options
from ansible.module_utils.failover.plan.faults import read_plan
from ansible.module_utils.failover.run.config import RunnerConfig, check_config, need_in_definition, processes_of
from ansible.module_utils.failover.run.crew import NO_OTHERS, Others
from ansible.module_utils.failover.run.makers import client_maker, director_maker, healer_maker, watcher_of
from ansible.module_utils.failover.run.runner import run_workload
from ansible.module_utils.failover.shapes import LabError
from ansible.module_utils.failover.systems.steering import Steering
from ansible.module_utils.failover.workloads.registry import create_simulation
from ansible.module_utils.failover.workloads.stream import summarize


def plan(params: dict[str, Any]) -> tuple[RunnerConfig, dict[str, Any]]:
    """Check the options; return the run's config and what check mode reports of it."""
    settings, definition = read_settings(params), params["definition"]
    need_in_definition(definition, ("name", "key_prefix", "repeats", "faults"))
    operations = create_simulation(settings.iterations, settings.seed, settings.workload)
    config = RunnerConfig(
        experiment=definition["name"],
        key_prefix=definition["key_prefix"],
        settings=settings,
        target=read_target(params),
        work_dir=Path(params["work_dir"]),
        faults=read_plan(definition["faults"], len(operations)),
        repeats=int(definition["repeats"]),
        processes=processes_of(params["processes"]),
    )
    generators = params["load_generators"]
    check_config(config)
    if len(generators) > config.settings.clients:
        raise LabError(
            f"clients is {config.settings.clients}, and there are {len(generators)} load generators; give each a client"
        )
    if len(generators) > 1 and not (params["listen"] and params["agent_key_file"]):
        raise LabError("listen or agent_key_file is missing; other load generators need both to join this one")
    without = [member for member in config.target.members if member not in config.target.agents]
    if config.faults and (without or not params["agent_key_file"]):
        what = f"agents lacks {', '.join(without)}" if without else "agent_key_file is missing"
        raise LabError(
            f"{config.experiment} has faults, and {what}; give the fault agent of every member, and their key"
        )
    outlook = {
        "experiment": config.experiment,
        "system": config.target.system,
        "operations": len(operations),
        "stream": summarize(operations),
    }
    return config, outlook


def main() -> None:
    """Wire the arguments to the core."""
    module = AnsibleModule(
        argument_spec={
            "definition": {"type": "dict", "required": True},
            **settings_option(),
            **target_options(),
            "processes": {"type": "int", "default": 0},
            "load_generators": {"type": "list", "elements": "str", "default": []},
            "listen": {"type": "str"},
            "join_timeout_s": {"type": "float", "default": 60},
            "heal_timeout_s": {"type": "float", "default": 120},
            "sample_interval_ms": {"type": "float", "default": 20},
            "agent_key_file": {"type": "path", "no_log": False},
            "work_dir": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        config, outlook = plan(module.params)
        if module.check_mode:
            module.exit_json(changed=True, **outlook)
        params, others = module.params, module.params["load_generators"][1:]
        key = load_key(params["agent_key_file"]) if config.faults or others else b""
        steering = Steering()
        summary = run_workload(
            config,
            steering=steering,
            watcher=watcher_of(config),
            others=Others(others, params["listen"] or "", key, params["join_timeout_s"]) if others else NO_OTHERS,
            make_client=client_maker(config, steering),
            make_director=director_maker(config, key, steering),
            make_healer=healer_maker(
                config,
                key,
                timeout_s=params["heal_timeout_s"],
                sample_interval_ms=params["sample_interval_ms"],
            ),
        )
    except LabError as error:
        module.fail_json(msg=str(error))
    if summary["interrupted"]:
        module.fail_json(msg=summary["message"], **summary)
    module.exit_json(changed=True, **summary)


if __name__ == "__main__":
    main()
