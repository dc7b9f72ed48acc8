# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A program that runs a share of the benchmark's clients, each in a thread of its own, as protocol.py says.

    worker.py SYSTEM CONTENDER HOST:PORT [USER DATABASE]

The password of a MySQL account is in the environment variable MYSQL_PWD, where only this user sees it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "module_utils"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from failover.shapes import LabError, RetryPolicy
from failover.systems.base import ClientIdentity
from failover.systems.endpoints import split_endpoint
from failover.systems.etcd.transport.base import Transport
from failover.systems.fence import Ids
from failover.systems.loop import FailoverPolicy
from failover.workloads.base import CREATE, RETRIEVE, Operation, value_of

from contest.protocol import PREFIX, Answer, Shares, clients_of, read_operations, read_turn

Apply = Callable[[str, str, str | None], object]  # (kind, key, value)


class MadeClient(NamedTuple):
    """One client: what runs an operation, and what ends it."""

    apply: Apply
    close: Callable[[], None]


def _of_lab(client: Any) -> MadeClient:
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

    return MadeClient(apply, client.close)


def _etcd_of_lab(endpoint: str, number: int, policy: RetryPolicy, transport: Transport) -> MadeClient:
    from failover.systems.etcd.client import ClientWithFailover

    return _of_lab(
        ClientWithFailover(
            *split_endpoint(endpoint),
            policy=FailoverPolicy(retry_policy=policy),
            identity=ClientIdentity(f"{PREFIX}{number}"),
            transport=transport,
        )
    )


def _etcd3(endpoint: str, _number: int) -> MadeClient:
    """Return a client of the package etcd3: its own put, get and delete."""
    import etcd3

    host, port = split_endpoint(endpoint)
    client = etcd3.client(host, port)

    def apply(kind: str, key: str, value: str | None) -> object:
        if kind == CREATE:
            return client.put(key, value)
        return client.get(key) if kind == RETRIEVE else client.delete(key)

    return MadeClient(apply, client.close)


def _mysql_of_lab(endpoint: str, number: int, account: Sequence[str], policy: RetryPolicy, ids: Ids) -> MadeClient:
    from failover.systems.mysql.client import MySQLClient

    return _of_lab(
        MySQLClient(
            *split_endpoint(endpoint),
            *account,
            policy=FailoverPolicy(retry_policy=policy),
            identity=ClientIdentity(f"{PREFIX}{number}", ids=ids),
        )
    )


def _pymysql(endpoint: str, _number: int, account: Sequence[str]) -> MadeClient:
    """Return a connection of PyMySQL, one cursor and the lab's statements; no time limits, nothing else."""
    import pymysql
    from failover.systems.mysql.client import DELETE, INSERT, SELECT

    host, port = split_endpoint(endpoint)
    user, password, database = account
    connection = pymysql.connect(
        host=host, port=port, user=user, password=password, database=database, autocommit=True, ssl_disabled=True
    )
    cursor = connection.cursor()

    def apply(kind: str, key: str, value: str | None) -> object:
        if kind == CREATE:
            return cursor.execute(INSERT, (key, value))
        if kind == RETRIEVE:
            cursor.execute(SELECT, (key,))
            return cursor.fetchone()
        return cursor.execute(DELETE, (key,))

    return MadeClient(apply, connection.close)


def _maker(system: str, contender: str, endpoint: str, account: Sequence[str]) -> Callable[[int], MadeClient]:
    """Return what makes a contender's client of a number."""
    if system == "etcd":
        return {
            "safe": lambda number: _etcd_of_lab(endpoint, number, RetryPolicy.SAFE, "lean"),
            "blind": lambda number: _etcd_of_lab(endpoint, number, RetryPolicy.BLIND, "lean"),
            "grpcio": lambda number: _etcd_of_lab(endpoint, number, RetryPolicy.BLIND, "grpcio"),
            "etcd3": lambda number: _etcd3(endpoint, number),
        }[contender]
    ids = Ids()
    return {
        "safe": lambda number: _mysql_of_lab(endpoint, number, account, RetryPolicy.SAFE, ids),
        "blind": lambda number: _mysql_of_lab(endpoint, number, account, RetryPolicy.BLIND, ids),
        "PyMySQL": lambda number: _pymysql(endpoint, number, account),
    }[contender]


def take_turn(clients: Mapping[int, MadeClient], shares: Shares, begin_s: float) -> Answer:
    """Run each client's share at once, from ``begin_s`` (since 1970) on."""
    failed: list[Exception] = []

    def run(apply: Apply, share: Sequence[Operation]) -> None:
        try:
            for operation in share:
                apply(operation[0], operation[1], value_of(operation))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(clients[client].apply, share)) for client, share in shares.items()]
    time.sleep(max(0.0, begin_s - time.time()))
    cpu_s = time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall_s, cpu_s = time.time() - begin_s, time.process_time() - cpu_s
    return Answer(wall_s, cpu_s, f"{type(failed[0]).__name__}: {failed[0]}" if failed else None)


def _tell(answer: Answer) -> None:
    sys.stdout.write(answer.line())
    sys.stdout.flush()


def main() -> int:
    """Take turns until there are no more."""
    system, contender, endpoint, *account = sys.argv[1:]
    if account:
        account.insert(1, os.environ["MYSQL_PWD"])
    turns = read_operations(sys.stdin)
    try:
        make = _maker(system, contender, endpoint, account)
        clients = {number: make(number) for number in clients_of(turns)}
    except Exception as error:
        _tell(Answer(error=f"{type(error).__name__}: {error}"))
        return 1
    _tell(Answer())
    for line in sys.stdin:
        turn, begin_s = read_turn(line)
        _tell(take_turn(clients, turns[turn], begin_s))
    for client in clients.values():
        client.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
