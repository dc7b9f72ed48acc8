# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the failover clients cost, beside the packages that they are built on, in the same run.

The same seeded stream goes in turns of a few hundred operations through both clients of a system, one key prefix (or
table) each, so that both meet the same machine in the same minute. Only the ratios mean something elsewhere:

    etcd    ClientWithFailover : etcd3's own put, get and delete
    mysql   MySQLClient        : PyMySQL's cursor with the same statements

``time`` is the ratio of wall time, ``cpu`` that of this process' CPU time an operation; below 1 the lab's client is
the cheaper one. The spread over the turns is printed, as the first and third quartile of the turns' ratios.

Two busy shared cores, three etcd members and one MySQL server in containers of the same machine, 4,000 iterations:
etcd time 0.95 (0.88 to 1.05), cpu 0.99 (0.93 to 1.11); mysql time 0.98 (0.93 to 1.08), cpu 1.15 (1.03 to 1.28).

    python3 benchmarks/clients.py --etcd HOST:2379 --mysql HOST:3306 --mysql-password WORD

The keys are removed at the end. The MySQL account must be allowed to make tables in its database.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "module_utils"))

from failover.shapes import LabError
from failover.systems.endpoints import split_endpoint
from failover.workloads.base import CREATE, RETRIEVE, Operation
from failover.workloads.registry import create_simulation

PREFIX = "BENCHMARK-"
# Operations of one client before the other one has its turn.
TURN = 250

Apply = Callable[[str, str, str | None], object]  # (kind, key, value)


def etcd_clients(endpoint: str) -> tuple[dict[str, Apply], Callable[[], None]]:
    """Return both etcd clients, and what removes their keys."""
    import etcd3
    from failover.systems.etcd.client import ClientWithFailover

    host, port = split_endpoint(endpoint)
    plain, ours = etcd3.client(host, port), ClientWithFailover(host, port)

    def with_package(kind: str, key: str, value: str | None) -> object:
        name = f"{PREFIX}package-{key}"
        if kind == CREATE:
            return plain.put(name, value)
        return plain.get(name) if kind == RETRIEVE else plain.delete(name)

    def clean() -> None:
        plain.delete_prefix(PREFIX)
        plain.close()
        ours.close()

    return {"package": with_package, "lab": _through(ours, f"{PREFIX}lab-")}, clean


def mysql_clients(
    endpoint: str, user: str, password: str, database: str
) -> tuple[dict[str, Apply], Callable[[], None]]:
    """Return both MySQL clients, and what removes their rows."""
    import pymysql
    from failover.systems.mysql import client as mysql_client
    from failover.systems.mysql.keys import CREATE_TABLE

    host, port = split_endpoint(endpoint)
    plain = pymysql.connect(
        host=host, port=port, user=user, password=password, database=database, autocommit=True, ssl_disabled=True
    )
    with plain.cursor() as cursor:
        cursor.execute(CREATE_TABLE.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1))
    ours = mysql_client.MySQLClient(host, port, user, password, database)

    def with_package(kind: str, key: str, value: str | None) -> object:
        name = f"{PREFIX}package-{key}"
        with plain.cursor() as cursor:
            if kind == CREATE:
                return cursor.execute(mysql_client.INSERT, (name, value))
            if kind == RETRIEVE:
                cursor.execute(mysql_client.SELECT, (name,))
                return cursor.fetchone()
            return cursor.execute(mysql_client.DELETE, (name,))

    def clean() -> None:
        with plain.cursor() as cursor:
            cursor.execute("DELETE FROM ips WHERE device LIKE %s", (f"{PREFIX}%",))
        plain.close()
        ours.close()

    return {"package": with_package, "lab": _through(ours, f"{PREFIX}lab-")}, clean


def _through(client: Any, prefix: str) -> Apply:
    def apply(kind: str, key: str, value: str | None) -> object:
        if kind == CREATE:
            result = client.put_with_retry(prefix + key, value)
        elif kind == RETRIEVE:
            result = client.get_with_retry(prefix + key)
        else:
            result = client.delete_with_retry(prefix + key)
        if result.outcome != "ok":
            raise LabError(f"{kind} of {key} was not acknowledged ({result.error}); measure a healthy system")
        return result

    return apply


def measure(clients: dict[str, Apply], operations: list[Operation]) -> dict[str, list[tuple[float, float]]]:
    """Return per client and turn: wall time and CPU time an operation, in s."""
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in clients}
    for turn, start in enumerate(range(0, len(operations), TURN)):
        share = operations[start : start + TURN]
        # Who begins changes, so that neither always comes after the other.
        for name in list(clients) if turn % 2 else list(clients)[::-1]:
            apply = clients[name]
            wall, cpu = time.perf_counter(), time.process_time()
            for operation in share:
                apply(operation[0], operation[1], operation[2] if len(operation) == 3 else None)
            figures[name].append(((time.perf_counter() - wall) / len(share), (time.process_time() - cpu) / len(share)))
    return figures


def report(system: str, figures: dict[str, list[tuple[float, float]]]) -> None:
    """Print the medians and the ratios of one system."""
    for name, turns in figures.items():
        wall, cpu = (statistics.median(turn[part] for turn in turns) for part in (0, 1))
        print(f"{system:6} {name:8} {1 / wall:8.0f} op/s  {wall * 1e3:7.3f} ms  cpu {cpu * 1e3:6.3f} ms")
    for part, label in enumerate(("time", "cpu")):
        ratios = [lab[part] / package[part] for lab, package in zip(figures["lab"], figures["package"], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(f"{system:6} lab : package, {label}  {middle:.2f}  ({low:.2f} to {high:.2f}, {len(ratios)} turns)")


def main() -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description="Compare the lab's clients with the packages they are built on.")
    parser.add_argument("--etcd", metavar="HOST:PORT", help="a member of an etcd cluster")
    parser.add_argument("--mysql", metavar="HOST:PORT", help="a MySQL server")
    parser.add_argument("--mysql-user", default="lab")
    parser.add_argument("--mysql-password", default="")
    parser.add_argument("--mysql-database", default="test_database")
    parser.add_argument("--iterations", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=123)
    arguments = parser.parse_args()
    if not (arguments.etcd or arguments.mysql):
        parser.error("name a server with --etcd or --mysql")
    try:
        operations = create_simulation(arguments.iterations, arguments.seed)
        if len(operations) <= TURN:
            parser.error(f"--iterations has to be more than {TURN}: quartiles need two turns")
        if arguments.etcd:
            clients, clean = etcd_clients(arguments.etcd)
            _run("etcd", clients, clean, operations)
        if arguments.mysql:
            clients, clean = mysql_clients(
                arguments.mysql, arguments.mysql_user, arguments.mysql_password, arguments.mysql_database
            )
            _run("mysql", clients, clean, operations)
    except LabError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 3
    return 0


def _run(system: str, clients: dict[str, Apply], clean: Callable[[], None], operations: list[Operation]) -> None:
    try:
        report(system, measure(clients, operations))
    finally:
        clean()


if __name__ == "__main__":
    sys.exit(main())
