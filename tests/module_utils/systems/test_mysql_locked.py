# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""MySQL servers that let nobody in without TLS."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority, Signed
from failover.systems.mysql.client import MySQLClient
from failover.systems.mysql.connect import MySQLAddress, connected, handshake_of
from mysql_wire import Server, serving


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def address(server: Server, ca: str) -> MySQLAddress:
    return MySQLAddress("127.0.0.1", server.port, "lab", "secret", "db", timeout_s=30, ca=ca)


def test_who_logs_in_has_verified_the_server_first(authority: Authority) -> None:
    with serving(authority.sign()) as server:
        told = []
        for _ in range(2):
            with connected(address(server, authority.ca)) as connection:
                told.append(handshake_of(connection))
        assert [each["resumed"] for each in told] == [False, True]
        assert all(each["handshake_ms"] > 0 for each in told)
        assert all(b"lab" not in said for said in server.open), "the account's name came before the handshake"


Sign = Callable[[Authority, Path], Signed | None]


@pytest.mark.parametrize(
    ("sign", "said"),
    [
        (lambda authority, _: authority.sign("IP:127.0.0.2"), "certificate is not valid for '127.0.0.1'"),
        (lambda _, folder: Authority(folder, "another").sign(), "unable to get local issuer certificate"),
        (lambda *_: None, "SSL is required but the server doesn't support it"),
    ],
)
def test_a_server_that_is_not_the_labs_hears_nothing(
    authority: Authority, tmp_path: Path, sign: Sign, said: str
) -> None:
    with serving(sign(authority, tmp_path)) as server:
        with pytest.raises(OSError, match=re.escape(said)), connected(address(server, authority.ca)):
            pass
        assert all(b"lab" not in given for given in server.open)


def test_a_client_tells_what_its_handshakes_cost(authority: Authority) -> None:
    events: list[tuple[str, dict[str, Any]]] = []
    with serving(authority.sign()) as server:
        client = MySQLClient(
            "127.0.0.1", server.port, "lab", "secret", "db", emit=lambda *event: events.append(event), ca=authority.ca
        )
        client.close()
    told = dict(events)
    assert told["client.secured"]["endpoint"] == f"127.0.0.1:{server.port}"
    assert told["client.secured"]["handshake_ms"] > 0
    assert list(told)[-2:] == ["client.secured", "client.connected"]
