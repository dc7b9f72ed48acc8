# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the failover clients and their retry policies cost, in turns in one run.

The same seeded stream goes through each contender in turns of a second or so, with 1, 8 and 32 clients, each contender
under a key prefix of its own: all of them meet the same machine in the same minute. Only the ratios mean something
elsewhere.

    safe, blind   the lab's client under these retry policies; of etcd over its lean transport
    grpcio        the lab's client for etcd, blind, over the library's transport
    package       the package that it is built on, one client a thread: etcd3's own put, get and delete; PyMySQL's
                  cursor with the same statements

Printed for each number of clients: operations a second and CPU time of this process an operation (medians over the
turns), and the ratios of throughput, turn by turn: median, first and third quartile.

    python3 benchmarks/clients.py --etcd HOST:2379
    python3 benchmarks/clients.py --mysql HOST:3306 --mysql-password WORD --clients 1,8

Give the leader, or the primary, for all clients go to the member that is named. The keys are removed at the end; the
MySQL account must be allowed to make tables in its database, and to set gtid_next (REPLICATION_APPLIER).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "module_utils"))

from failover.shapes import LabError, RetryPolicy
from failover.systems.base import ClientIdentity
from failover.systems.endpoints import split_endpoint
from failover.systems.etcd.transport.base import Transport
from failover.systems.fence import Ids
from failover.systems.loop import FailoverPolicy
from failover.workloads.base import CREATE, RETRIEVE, Operation
from failover.workloads.name_service import NameService
from failover.workloads.registry import create_simulation

PREFIX = "BENCHMARK-"

Apply = Callable[[str, str, str | None], object]  # (kind, key, value)


@dataclass
class Contender:
    """What is measured: what runs an operation, for each client, and what ends them."""

    name: str
    clients: list[Apply]
    close: Callable[[], None]


@dataclass
class Figures:
    """One contender's turns."""

    wall_s: list[float]  # an operation
    cpu_s: list[float]


class Etcd:
    """Contenders for an etcd member."""

    title = "etcd"

    def __init__(self, endpoint: str) -> None:
        self._host, self._port = split_endpoint(endpoint)

    def contenders(self, count: int) -> list[Contender]:
        """Make ``count`` clients of each."""
        return [
            self._lab("safe", count, RetryPolicy.SAFE, "lean"),
            self._lab("blind", count, RetryPolicy.BLIND, "lean"),
            self._lab("grpcio", count, RetryPolicy.BLIND, "grpcio"),
            self._package(count),
        ]

    def _lab(self, name: str, count: int, policy: RetryPolicy, transport: Transport) -> Contender:
        from failover.systems.etcd.client import ClientWithFailover

        made = [
            ClientWithFailover(
                self._host,
                self._port,
                policy=FailoverPolicy(retry_policy=policy),
                identity=ClientIdentity(f"{PREFIX}{number}"),
                transport=transport,
            )
            for number in range(count)
        ]
        return _of_lab(name, made)

    def _package(self, count: int) -> Contender:
        import etcd3

        made = [etcd3.client(self._host, self._port) for _ in range(count)]

        def through(client: Any) -> Apply:
            def apply(kind: str, key: str, value: str | None) -> object:
                if kind == CREATE:
                    return client.put(key, value)
                return client.get(key) if kind == RETRIEVE else client.delete(key)

            return apply

        return _contender("package", made, through)

    def clean(self) -> None:
        """Remove what the contenders wrote."""
        import etcd3

        client = etcd3.client(self._host, self._port)
        client.delete_prefix(PREFIX)
        client.close()


class MySQL:
    """Contenders for a MySQL server."""

    title = "mysql"

    def __init__(self, endpoint: str, user: str, password: str, database: str) -> None:
        self._host, self._port = split_endpoint(endpoint)
        self._account = (user, password, database)

    def contenders(self, count: int) -> list[Contender]:
        """Make ``count`` clients of each."""
        from failover.systems.mysql.keys import CREATE_TABLE, CREATE_VOIDED, NOTEBOOK_TYPE

        with self._connect() as connection, connection.cursor() as cursor:
            made = CREATE_TABLE.format(value_type=NOTEBOOK_TYPE)
            cursor.execute(made.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1))
            cursor.execute(CREATE_VOIDED)
        return [*(self._lab(count, policy) for policy in (RetryPolicy.SAFE, RetryPolicy.BLIND)), self._package(count)]

    def _connect(self) -> Any:
        import pymysql

        user, password, database = self._account
        return pymysql.connect(
            host=self._host,
            port=self._port,
            user=user,
            password=password,
            database=database,
            autocommit=True,
            ssl_disabled=True,
        )

    def _lab(self, count: int, policy: RetryPolicy) -> Contender:
        from failover.systems.mysql.client import MySQLClient

        ids = Ids()
        made = [
            MySQLClient(
                self._host,
                self._port,
                *self._account,
                policy=FailoverPolicy(retry_policy=policy),
                identity=ClientIdentity(f"{PREFIX}{number}", ids=ids),
            )
            for number in range(count)
        ]
        return _of_lab(policy.value, made)

    def _package(self, count: int) -> Contender:
        from failover.systems.mysql.client import DELETE, INSERT, SELECT

        made = [self._connect() for _ in range(count)]

        def through(connection: Any) -> Apply:
            def apply(kind: str, key: str, value: str | None) -> object:
                with connection.cursor() as cursor:
                    if kind == CREATE:
                        return cursor.execute(INSERT, (key, value))
                    if kind == RETRIEVE:
                        cursor.execute(SELECT, (key,))
                        return cursor.fetchone()
                    return cursor.execute(DELETE, (key,))

            return apply

        return _contender("package", made, through)

    def clean(self) -> None:
        """Remove what the contenders wrote."""
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute("DELETE FROM ips WHERE device LIKE %s", (f"{PREFIX}%",))


def _of_lab(name: str, made: Sequence[Any]) -> Contender:
    def through(client: Any) -> Apply:
        def apply(kind: str, key: str, value: str | None) -> object:
            if kind == CREATE:
                result = client.put_with_retry(key, value)
            elif kind == RETRIEVE:
                result = client.get_with_retry(key)
            else:
                result = client.delete_with_retry(key)
            if result.outcome != "ok":
                raise LabError(f"{kind} of {key} was not acknowledged ({result.error}); measure a healthy system")
            return result

        return apply

    return _contender(name, made, through)


def _contender(name: str, made: Sequence[Any], through: Callable[[Any], Apply]) -> Contender:
    """Return clients as a contender; ``through`` gives what runs an operation through one of them."""

    def close() -> None:
        for client in made:
            client.close()

    return Contender(name, [through(client) for client in made], close)


def take_turn(contender: Contender, shares: Sequence[Sequence[Operation]]) -> tuple[float, float]:
    """Run each client's share at once; return wall time and CPU time an operation, in s."""
    failed: list[Exception] = []

    def run(apply: Apply, share: Sequence[Operation]) -> None:
        prefix = f"{PREFIX}{contender.name}-"
        try:
            for operation in share:
                apply(operation[0], prefix + operation[1], operation[2] if len(operation) == 3 else None)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in zip(contender.clients, shares, strict=True)]
    wall, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if failed:
        raise failed[0]
    count = sum(map(len, shares))
    return wall / count, cpu / count


def measure(contenders: Sequence[Contender], operations: Sequence[Operation], turn: int) -> dict[str, Figures]:
    """Let the contenders take turns.

    :param turn: operations of a turn, of all clients together
    """
    count = len(contenders[0].clients)
    shares = [[operations[index] for index in indexes] for indexes in NameService().assign(operations, count)]
    turns = max(2, len(operations) // turn)
    figures = {contender.name: Figures([], []) for contender in contenders}
    for number in range(turns):
        parts = [share[len(share) * number // turns : len(share) * (number + 1) // turns] for share in shares]
        # Who begins changes, so that none always comes after the same other.
        first = number % len(contenders)
        for contender in [*contenders[first:], *contenders[:first]]:
            wall_s, cpu_s = take_turn(contender, parts)
            figures[contender.name].wall_s.append(wall_s)
            figures[contender.name].cpu_s.append(cpu_s)
    return figures


def report(title: str, clients: int, figures: dict[str, Figures]) -> None:
    """Print the medians and the ratios of one number of clients."""
    for name, turns in figures.items():
        wall_s, cpu_s = statistics.median(turns.wall_s), statistics.median(turns.cpu_s)
        print(f"{title:6} {clients:3} clients  {name:8} {1 / wall_s:8.0f} op/s  cpu {cpu_s * 1e6:5.0f} us an operation")
    for one, other in (("safe", "blind"), ("blind", "package"), ("blind", "grpcio")):
        if not {one, other} <= figures.keys():
            continue
        ratios = [theirs / ours for ours, theirs in zip(figures[one].wall_s, figures[other].wall_s, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(
            f"{title:6} {clients:3} clients  {one} : {other}, throughput  {middle:.2f}  "
            f"({low:.2f} to {high:.2f}, {len(ratios)} turns)"
        )


def main() -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description="Compare the lab's clients with the packages they are built on.")
    parser.add_argument("--etcd", metavar="HOST:PORT", help="the leader of an etcd cluster")
    parser.add_argument("--mysql", metavar="HOST:PORT", help="a MySQL server")
    parser.add_argument("--mysql-user", default="lab")
    parser.add_argument("--mysql-password", default="")
    parser.add_argument("--mysql-database", default="failover_lab")
    parser.add_argument("--clients", default="1,8,32", help="numbers of clients")
    parser.add_argument("--iterations", type=int, default=10_000, help="for one client; more for more of them")
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--seed", type=int, default=123)
    arguments = parser.parse_args()
    if not (arguments.etcd or arguments.mysql):
        parser.error("name a server with --etcd or --mysql")
    systems: list[Etcd | MySQL] = [Etcd(arguments.etcd)] if arguments.etcd else []
    if arguments.mysql:
        account = (arguments.mysql_user, arguments.mysql_password, arguments.mysql_database)
        systems.append(MySQL(arguments.mysql, *account))
    try:
        for system in systems:
            for count in map(int, arguments.clients.split(",")):
                # More clients do more in the same time, up to three times as much on two cores.
                operations = create_simulation(arguments.iterations * min(count, 3), arguments.seed)
                _run(system, count, operations, len(operations) // arguments.turns)
    except LabError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 3
    return 0


def _run(system: Etcd | MySQL, count: int, operations: Sequence[Operation], turn: int) -> None:
    contenders = system.contenders(count)
    try:
        report(system.title, count, measure(contenders, operations, turn))
    finally:
        for contender in contenders:
            contender.close()
        system.clean()


if __name__ == "__main__":
    sys.exit(main())
