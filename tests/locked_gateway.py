# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An etcd member's JSON gateway over TLS, with accounts once they are switched on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from certificates import Authority
from failover.tls import server_context
from fake_gateway import Gateway, serve_gateway


class LockedGateway(Gateway):
    """A gateway with accounts, once they are switched on."""

    def __init__(self) -> None:
        super().__init__()
        self.on = False
        self.users: dict[str, str] = {}
        self.roles: dict[str, list[dict[str, str]]] = {}
        self.token = "t1"
        self.steps: list[str] = []

    def answer_to(self, path: str, body: dict[str, Any], token: str | None) -> tuple[int, dict[str, Any]]:
        step = path.removeprefix("/v3/auth/")
        if step == "authenticate":
            if not self.on:
                return 400, {"message": "etcdserver: authentication is not enabled"}
            if self.users.get(body["name"]) != body["password"]:
                return 400, {"message": "etcdserver: authentication failed, invalid user ID or password"}
            return 200, {"token": self.token}
        if self.on and token != self.token and path != "/v3/maintenance/status":
            return 400, {"message": "etcdserver: invalid auth token" if token else "etcdserver: user name is empty"}
        if step == path:
            return super().answer(path, body)
        self.steps.append(step)
        return self._change(step, body)

    def _change(self, step: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if step == "enable":
            self.on = True
        elif step == "user/add":
            if body["name"] in self.users:
                return 400, {"message": "etcdserver: user name already exists"}
            self.users[body["name"]] = body["password"]
        elif step == "user/changepw":
            self.users[body["name"]] = body["password"]
        elif step == "role/add":
            if body["name"] in self.roles:
                return 400, {"message": "etcdserver: role name already exists"}
            self.roles[body["name"]] = []
        elif step == "role/get":
            return 200, {"perm": self.roles[body["role"]]}
        elif step == "role/grant":
            self.roles[body["name"]].append(body["perm"])
        elif step == "role/revoke":
            self.roles[body["role"]] = [each for each in self.roles[body["role"]] if each["key"] != body["key"]]
        return 200, {}


@contextmanager
def serve_locked(authority: Authority) -> Iterator[LockedGateway]:
    """Serve such a member on a free port of the loopback interface."""
    signed = authority.sign()
    made = LockedGateway()
    with serve_gateway(made, server_context(signed.certificate, signed.key)):
        yield made
