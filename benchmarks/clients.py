# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the lab's clients keep their bounds: beside other clients of etcd and MySQL, in turns in one run.

The same seeded stream goes through each contender in turns of half a second or so, with 1, 8 and 32 clients, each
contender under a key prefix of its own: all of them meet the same machine in the same minute, in one place, and etcd's
all talk to the leader. Only the ratios mean something elsewhere.

    safe, blind   the lab's client under these retry policies; of etcd over its lean transport
    grpcio        the lab's client for etcd, blind, over the library's transport
    etcd3         the package, one client a thread: its own put, get and delete
    clientv3      etcd's own client in a program in Go, which ./benchmarks/go/build makes; one client, as its authors
                  advise. clientv3-all is given all members, spreads over them and pays a hop
    PyMySQL       the package, one connection a thread, a cursor and the same statements
    sysbench      the same statements from a script in Lua, one connection a thread

The lab's clients are spread over --processes; packages keep to threads of one. CPU time is that of all processes of a
contender, without the servers'.

    .venv/bin/python benchmarks/clients.py                  # the lab failover on this machine, as root
    .venv/bin/python benchmarks/clients.py --lab NAME --clients 1,8
    python3 benchmarks/clients.py --etcd HOST:2379          # any member; it finds the leader
    MYSQL_PWD=... python3 benchmarks/clients.py --mysql HOST:3306

A lab is measured from its load generator's network, the only one that MySQL lets in, while no experiment runs there:
the workload's table is emptied. Keys of etcd begin with BENCHMARK-, and are removed. The MySQL account must be allowed
to make tables in its database, and to set gtid_next (REPLICATION_APPLIER).

Exit status: 0, whatever the bounds; 3 where it could not measure; 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "module_utils"))

from contest.bounds import BOUNDS_HEAD, FIGURES_HEAD, Row, bound_rows, figure_rows, table
from contest.contenders import Asked, Etcd, MySQL
from contest.lab import endpoint_of, join_load_generator, mysql_password
from contest.turns import share_out, take_turns
from failover.shapes import LabError
from failover.workloads.registry import create_simulation

# How many operations more clients do than one in the same time, at most.
MOST_AT_ONCE = 6
GO_PROGRAM = Path(__file__).resolve().parent / "go" / "clientv3"
PORTS = {Etcd.title: 2379, MySQL.title: 3306}  # of a lab's servers
NOTES = """\
held, missed: the median of the ratios, turn by turn, decides; -: nothing is asked. Quartiles: first and third.
sysbench sends statements that are written out beforehand, in C and LuaJIT, and looks at no answer but for errors: there
is no work of a client in it, and what it leaves of the processors the server has. Its connections are new each turn."""


def options() -> argparse.ArgumentParser:
    """Return the command's options."""
    parser = argparse.ArgumentParser(description="Hold the lab's clients to their bounds, beside other clients.")
    parser.add_argument("--lab", metavar="NAME", default="failover", help="a lab on this machine (failover)")
    parser.add_argument("--etcd", metavar="HOST:PORT", help="a member of an etcd cluster, instead of a lab")
    parser.add_argument("--mysql", metavar="HOST:PORT", help="a MySQL server; its password is in MYSQL_PWD")
    parser.add_argument("--mysql-user", default="lab")
    parser.add_argument("--mysql-database", default="failover_lab")
    parser.add_argument("--go", type=Path, default=GO_PROGRAM, help="what ./benchmarks/go/build made")
    parser.add_argument("--clients", default="1,8,32", help="numbers of clients (1,8,32)")
    parser.add_argument(
        "--processes", type=int, help="of the lab's clients; as many as processors, and clients at most, by default"
    )
    parser.add_argument("--iterations", type=int, default=10_000, help="for one client; more for more of them (10000)")
    parser.add_argument("--turns", type=int, default=20, help="of each contender (20)")
    parser.add_argument("--seed", type=int, default=123)
    return parser


def find_systems(arguments: argparse.Namespace) -> list[Etcd | MySQL]:
    """Return the systems that are to be measured: those that were named, or those of a lab on this machine."""
    etcd, mysql, password = arguments.etcd, arguments.mysql, os.environ.get("MYSQL_PWD", "")
    if not (etcd or mysql):
        etcd, mysql = (endpoint_of(f"{arguments.lab}-{system}1", port) for system, port in PORTS.items())
        join_load_generator(arguments.lab)
        password = mysql_password(arguments.lab) if mysql else ""
        for system, endpoint in zip(PORTS, (etcd, mysql), strict=True):
            if endpoint is None:
                print(f"{system} is not measured: {arguments.lab}-{system}1 does not run here")
    systems: list[Etcd | MySQL] = [Etcd(etcd, arguments.go)] if etcd else []
    if mysql:
        systems.append(MySQL(mysql, arguments.mysql_user, password, arguments.mysql_database))
    return systems


def measure(system: Etcd | MySQL, clients: int, arguments: argparse.Namespace) -> list[Row]:
    """Let the contenders for a system take their turns and print their figures; return the rows of the bounds."""
    operations = create_simulation(arguments.iterations * min(clients, MOST_AT_ONCE), arguments.seed)
    turns = share_out(operations, clients, max(2, arguments.turns))
    processes = min(arguments.processes, clients)
    print(
        f"\n{system.title} {system.version} at {system.endpoint}, clients: {clients}, processes: {processes}",
        flush=True,
    )
    with system.contenders(Asked(turns, processes)) as (contenders, missing):
        figures = take_turns(contenders, turns)
    print(table(FIGURES_HEAD, list(figure_rows(figures))), flush=True)
    return list(bound_rows(system.title, clients, figures, missing))


def main() -> int:
    """Measure what was asked for, and print it."""
    arguments = options().parse_args()
    arguments.processes = arguments.processes or len(os.sched_getaffinity(0))
    bounds: list[Row] = []
    load = os.getloadavg()[0]
    try:
        for system in find_systems(arguments):
            for clients in map(int, arguments.clients.split(",")):
                bounds += measure(system, clients, arguments)
    except LabError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 130
    print(f"\n{table(BOUNDS_HEAD, bounds)}\n\n{NOTES}")
    print(f"Load of {os.cpu_count()} processors: {load:.1f} at the beginning, {os.getloadavg()[0]:.1f} at the end.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
