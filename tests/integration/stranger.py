# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Knocks at doors, from a container that is none of the lab's; standard library only.

Reads a JSON list of knocks, ``[NAME, FUNCTION, ARGUMENTS]``, and prints a JSON object: by name what came back, as text.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import struct
import subprocess
import sys
from typing import Any

TIMEOUT_S = 10.0
LONGEST = 400_000


def plain(address: str, port: int, said: str) -> str:
    """Say something without TLS."""
    with socket.create_connection((address, port), TIMEOUT_S) as connection:
        connection.sendall(said.encode())
        return heard(connection)


def shaken(address: str, port: int, certificate: str = "", said: str = "") -> str:
    """Shake hands as who trusts everybody, with a certificate or without, and say something."""
    with secured(address, port, certificate) as connection:
        connection.sendall(said.encode())
        return heard(connection)


def over_long(address: str, port: int) -> str:
    """Say more than anybody should listen to, without an end."""
    with secured(address, port) as connection:
        connection.recv(4096)  # the greeting
        connection.sendall(b"x" * LONGEST)
        return heard(connection)


def sealed(address: str, port: int, line: str, cut: int = 0) -> str:
    """Say a line after the greeting; ``cut``: only the beginning of it, and hang up."""
    with secured(address, port) as connection:
        connection.recv(4096)
        connection.sendall(line[:cut].encode() if cut else line.encode() + b"\n")
        return "" if cut else heard(connection)


def asked(address: str, port: int, path: str, body: dict[str, Any], user: str = "", password: str = "") -> str:
    """Ask etcd's gateway something, as somebody or as nobody."""
    connection = http.client.HTTPSConnection(address, port, timeout=TIMEOUT_S, context=trusting())
    headers = {}
    if user:
        connection.request("POST", "/v3/auth/authenticate", json.dumps({"name": user, "password": password}))
        answer = json.loads(connection.getresponse().read())
        if "token" not in answer:
            return json.dumps(answer)
        headers["Authorization"] = answer["token"]
    connection.request("POST", path, json.dumps(body), headers)
    response = connection.getresponse()
    return f"{response.status} {response.read().decode()}"


def key(text: str) -> str:
    """Return a key as etcd's gateway takes it."""
    return base64.b64encode(text.encode()).decode()


def logged_in(address: str, port: int, user: str, password: str) -> str:
    """Log in to MySQL without TLS."""
    with socket.create_connection((address, port), TIMEOUT_S) as connection:
        greeting = heard(connection)
        can = 0x200 | 0x8000 | 0x80000  # protocol 4.1, authentication by plugins
        login = struct.pack("<IIB23x", can, 1 << 24, 255) + user.encode() + b"\0\0" + b"caching_sha2_password\0"
        connection.sendall(struct.pack("<I", len(login))[:3] + b"\x01" + login + password.encode())
        return greeting + heard(connection)


def over_ssh(address: str) -> str:
    """Try to log in without a key of the lab's."""
    options = ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "ConnectTimeout=10"]
    done = subprocess.run(["ssh", *options, f"root@{address}", "id"], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def trusting(certificate: str = "") -> ssl.SSLContext:
    """Return what takes every server for what it says it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(certificate)
    return context


def secured(address: str, port: int, certificate: str = "") -> ssl.SSLSocket:
    """Connect and shake hands."""
    return trusting(certificate).wrap_socket(socket.create_connection((address, port), TIMEOUT_S))


def heard(connection: socket.socket) -> str:
    """Return the first that comes back."""
    return connection.recv(65_536).decode("utf-8", "replace")


def main() -> None:
    """Knock at all doors."""
    found = {}
    for name, function, arguments in json.load(sys.stdin):
        try:
            found[name] = globals()[function](**arguments)
        except (OSError, ValueError, http.client.HTTPException, subprocess.SubprocessError) as error:
            found[name] = f"{type(error).__name__}: {error}"
    print(json.dumps(found))


if __name__ == "__main__":
    main()
