# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stand-ins for what faults need and a test machine has not: a service manager, etcd members, agents on hosts."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pymysql
import pytest

ROOT = Path(__file__).resolve().parent.parent
KEY = b"0123456789abcdef0123456789abcdef"

# A unit is a folder: "pid" is its main process, "fail" a text with which a start fails, "late" one with which a stop
# fails once it is done, "policy" its Restart=.
SYSTEMCTL = r"""#!{python}
import json, os, pathlib, signal, subprocess, sys, time
root = pathlib.Path({root!r})
verb, options, unit = sys.argv[1], [a for a in sys.argv[2:] if a.startswith("--")], sys.argv[-1]
with open(root / "calls", "a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\n")
folder = root / unit

def read(name, default=""):
    path = folder / name
    return path.read_text() if path.exists() else default

def alive():
    try:
        pid = int(read("pid", "0"))
        return pid if pid and open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[0] != "Z" else 0
    except OSError:
        return 0

def stop(wait=True):
    pid = alive()
    (folder / "result").write_text("success")
    if pid:
        os.kill(pid, signal.SIGTERM)
        while wait and alive():
            time.sleep(0.005)

def start():
    if read("fail"):
        sys.exit("Job for %s failed because the control process exited with error code." % unit)
    if not alive():
        time.sleep(float(read("start_delay", "0")))
        program = json.loads(read("program", '["sleep", "1000"]'))
        process = subprocess.Popen(program, start_new_session=True, stdin=-3, stdout=-3, stderr=-3)
        (folder / "pid.new").write_text(str(process.pid))
        (folder / "pid.new").rename(folder / "pid")
        (folder / "started").write_text(time.strftime("%a %Y-%m-%d %H:%M:%S", time.gmtime()) + ".123456 UTC")
        (folder / "result").write_text("signal")

if not folder.exists():
    if verb == "show":
        print("LoadState=not-found\nActiveState=inactive\nSubState=dead\nMainPID=0\nResult=success")
        sys.exit(0)
    sys.exit("Unit %s not found." % unit)
if verb == "show":
    pid = alive()
    result = "success" if pid else read("result", "success")
    active = "active" if pid else "inactive" if result == "success" else "failed"
    print("LoadState=loaded\nActiveState=%s\nSubState=%s\nMainPID=%d\nResult=%s\nFreezerState=running\nRestart=%s\n"
          "ExecMainStartTimestamp=%s" % (active, "running" if pid else "dead", pid, result, read("policy", "no"),
                                         read("started")))
elif verb == "start":
    start()
elif verb == "stop":
    stop("--no-block" not in options)
    if read("late"):
        sys.exit(read("late"))
elif verb == "restart":
    if "--no-block" in options and os.fork():
        sys.exit(0)
    stop()
    time.sleep(0.1)
    start()
elif verb != "reset-failed":
    sys.exit("Unknown command verb %s." % verb)
"""
JOURNALCTL = """#!{python}
import pathlib, sys
unit = next(a for a in sys.argv if a.startswith("--unit=")).partition("=")[2]
lines = int(next(a for a in sys.argv if a.startswith("--lines=")).partition("=")[2])
path = pathlib.Path({root!r}) / unit / "log"
print("\\n".join(path.read_text().splitlines()[-lines:]) if path.exists() else "", end="")
"""


class FakeManager:
    """A service manager of scripts on PATH; its units run ``sleep``."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "units"
        self.root.mkdir()
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name, text in (("systemctl", SYSTEMCTL), ("journalctl", JOURNALCTL)):
            script = self.bin / name
            script.write_text(text.replace("{python}", sys.executable).replace("{root!r}", repr(str(self.root))))
            script.chmod(0o755)
        self.path = f"{self.bin}:{os.environ['PATH']}"

    def add(self, unit: str, *, running: bool = True) -> None:
        """Make a unit."""
        (self.root / unit).mkdir()
        if running:
            self.run("start", unit)

    def run(self, *arguments: str) -> None:
        """Call the stand-in for systemctl."""
        subprocess.run([str(self.bin / "systemctl"), *arguments], check=True)

    def set(self, unit: str, name: str, text: str) -> None:
        """Write a property of a unit."""
        (self.root / unit / name).write_text(text)

    def pid(self, unit: str) -> int:
        """Return the main process of a unit; 0 where it does not live."""
        path = self.root / unit / "pid"
        pid = int(path.read_text()) if path.exists() else 0
        return pid if pid and is_alive(pid) else 0

    def calls(self) -> list[str]:
        """Return all calls of systemctl so far."""
        path = self.root / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def close(self) -> None:
        """End what the units run."""
        for path in self.root.glob("*/pid"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(path.read_text()), signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait until a condition holds; AssertionError where it does not in time."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


class FakeEtcd:
    """A member of a FakeCluster, answering like etcd 3.5's JSON gateway."""

    def __init__(self, cluster: FakeCluster, name: str, number: int) -> None:
        self.cluster = cluster
        self.name = name
        self.id = number
        self.revision = 1
        self.applied = 8
        self.hash = 4711
        self.compact_revision = -1
        self.cluster_id = 2964089349473892424
        self.errors: list[str] = []
        self.leader: str | None = None  # its own opinion where it differs from the cluster's
        self.members: list[str] | None = None  # the members that it knows, where it does not know them all
        self.delay_s = 0.0
        self.missing: set[str] = set()  # paths it does not know
        self.asked: list[str] = []
        self.before_answer: Callable[[str], None] = lambda path: None
        self.port = 0
        self._server: ThreadingHTTPServer | None = None
        self.start()

    @property
    def url(self) -> str:
        """Client URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def hex_id(self) -> str:
        """Id as etcdctl prints it."""
        return f"{self.id:x}"

    def start(self) -> None:
        """Listen, on the same port as before."""
        member = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                member.asked.append(self.path)
                member.before_answer(self.path)
                time.sleep(member.delay_s)
                status, answer = member.answer(self.path, body)
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            connections: list[Any] = []  # noqa: RUF012 - made anew with each class

            def process_request(self, request: Any, client_address: Any) -> None:
                self.connections.append(request)
                super().process_request(request, client_address)

            def handle_error(self, request: Any, client_address: Any) -> None:
                return

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        """Listen no more and cut all connections."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        for connection in self._server.connections:  # type: ignore[attr-defined]
            with contextlib.suppress(OSError):
                connection.shutdown(2)
        self._server = None

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return status and answer for a request."""
        cluster = self.cluster
        header = {
            "cluster_id": str(self.cluster_id),
            "member_id": str(self.id),
            "revision": str(self.revision),
            "raft_term": str(cluster.term),
        }
        if path in self.missing:
            return 404, {"code": 5, "message": "Not Found"}
        if path == "/v3/maintenance/status":
            leader = self.leader if self.leader is not None else cluster.leader
            found = {
                "header": header,
                "version": "3.5.16",
                "dbSize": "20480",
                "raftIndex": str(self.applied),
                "raftTerm": str(cluster.term),
                "raftAppliedIndex": str(self.applied),
                "dbSizeInUse": "16384",
            }
            if leader:
                found["leader"] = str(cluster.members[leader].id)
            if self.errors:
                found["errors"] = self.errors  # type: ignore[assignment]
            return 200, found
        if path == "/v3/cluster/member/list":
            known = [member for name, member in cluster.members.items() if name in (self.members or cluster.members)]
            listed = [{"ID": str(m.id), "name": m.name, "clientURLs": [m.url]} for m in known]
            return 200, {"header": header, "members": listed}
        if path == "/v3/maintenance/hashkv":
            if int(body["revision"]) > self.revision:
                return 400, {"code": 11, "message": "mvcc: required revision is a future revision"}
            return 200, {"header": header, "hash": self.hash, "compact_revision": str(self.compact_revision)}
        if path == "/v3/maintenance/hash":
            return 200, {"header": header, "hash": 99}
        return 404, {"code": 5, "message": "Not Found"}


class FakeCluster:
    """Three FakeEtcd that agree unless told otherwise."""

    def __init__(self, names: tuple[str, ...] = ("etcd1", "etcd2", "etcd3")) -> None:
        self.leader: str | None = names[1]
        self.term = 4
        self.members: dict[str, FakeEtcd] = {}
        for number, name in enumerate(names):
            self.members[name] = FakeEtcd(self, name, 1192475934745898074 + number)

    @property
    def urls(self) -> list[str]:
        """Client URLs, in the order of the names."""
        return [member.url for member in self.members.values()]

    def elect(self, leader: str | None) -> None:
        """Make another member the leader, in the next term."""
        self.leader, self.term = leader, self.term + 1

    def close(self) -> None:
        """Stop all members."""
        for member in self.members.values():
            member.stop()


class AgentProcess:
    """A real fault agent in a process of its own, on loopback."""

    def __init__(self, folder: Path, manager: FakeManager, member: str, **settings: Any) -> None:
        self.folder = folder / f"agent-{member}"
        self.folder.mkdir()
        self.unit = f"{member}.service"
        key_file = self.folder / "agent.key"
        key_file.touch(mode=0o600)
        key_file.write_bytes(settings.pop("key", KEY) + b"\n")
        self.config = {
            "member": member,
            "unit": self.unit,
            "system": "etcd",
            "address": "http://127.0.0.1:1",
            "listen": "127.0.0.1",
            "port": 0,
            "key_file": str(key_file),
            "state_dir": str(self.folder / "state"),
            "hold_ttl_s": 60,
            "use_dbus": False,
            **settings,
        }
        self._environment = {**os.environ, "PATH": manager.path, "PYTHONPATH": str(ROOT / "module_utils")}
        self.process: subprocess.Popen[str] | None = None
        self.spawn()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.config['port']}"

    def start(self) -> None:
        """Start it again, on the same port, and wait until it listens."""
        self.spawn()
        self.await_ready()

    def spawn(self) -> None:
        """Start it."""
        path = self.folder / "agent.json"
        path.write_text(json.dumps(self.config))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "failover.agent.server", "--config", str(path)],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=open(self.folder / "stderr", "a"),  # noqa: SIM115 - closed with the process
            text=True,
        )

    def await_ready(self) -> None:
        """Wait until it listens."""
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "listens on port" in line, (self.folder / "stderr").read_text()
        self.config["port"] = int(line.rstrip(".\n").rsplit(" ", 1)[1])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it with a signal and return its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        status = self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def close(self) -> None:
        """End it, if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.stop(signal.SIGKILL)


class Lab:
    """Three members: a fake etcd, a fake unit and a real agent each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manager = FakeManager(folder)
        self.cluster = FakeCluster()
        self.agents: dict[str, AgentProcess] = {}

    def add_agents(self, **settings: Any) -> dict[str, str]:
        """Start an agent for every member; return their addresses."""
        for name, member in self.cluster.members.items():
            self.manager.add(f"{name}.service")
            self.agents[name] = AgentProcess(self.folder, self.manager, name, address=member.url, **settings)
        for agent in self.agents.values():
            agent.await_ready()
        return self.addresses

    @property
    def addresses(self) -> dict[str, str]:
        """Addresses of the agents."""
        return {name: agent.address for name, agent in self.agents.items()}

    def running(self, member: str) -> bool:
        """Whether a member's unit runs."""
        return self.manager.pid(f"{member}.service") != 0

    def close(self) -> None:
        """End everything."""
        for agent in self.agents.values():
            agent.close()
        self.cluster.close()
        self.manager.close()


@contextlib.contextmanager
def lab_in(folder: Path) -> Iterator[Lab]:
    """Make a Lab and end it."""
    lab = Lab(folder)
    try:
        yield lab
    finally:
        lab.close()


class FakeObservedMySQL:
    """What PyMySQL shows of a server that is only observed; connects raise ``errors`` first, one each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, errors: Sequence[Exception] = ()) -> None:
        self.variables = {
            "innodb_flush_log_at_trx_commit": "1",
            "log_bin": "ON",
            "read_only": "OFF",
            "super_read_only": "OFF",
            "sync_binlog": "1",
        }
        self.asked: list[dict[str, Any]] = []
        self.closed = 0
        self.break_at: str | None = None
        self._errors = list(errors)
        self._found: list[tuple[Any, ...]] = []
        monkeypatch.setattr(pymysql, "connect", self._connect)

    def _connect(self, **asked: Any) -> FakeObservedMySQL:
        self.asked.append(asked)
        if self._errors:
            raise self._errors.pop(0)
        return self

    @contextlib.contextmanager
    def cursor(self) -> Iterator[FakeObservedMySQL]:
        """Return what statements are executed with."""
        yield self

    def execute(self, statement: str, names: tuple[str, ...] = ()) -> None:
        """Find what a statement asks for."""
        if self.break_at and statement.startswith(self.break_at):
            raise pymysql.err.OperationalError(2013, "Lost connection")
        status = {"Uptime": "61", "Threads_connected": "2"}
        if statement.startswith("SHOW GLOBAL"):
            known = self.variables if "VARIABLES" in statement else status
            self._found = [(name, known[name]) for name in names if name in known]
        elif statement.startswith("SELECT VERSION()"):
            self._found = [("9.7.4-2", "(Debian)", "mysql1")]
        elif statement.startswith("SELECT @@GLOBAL.gtid_executed"):
            self._found = [("5e1f0d0c-0000-0000-0000-1e2a3b4c5d6e:1-9,\nc0ffee00-0000-0000-0000-000000000001:1-7", "")]
        else:
            self._found = [("Ssl_cipher", "TLS_AES_128_GCM_SHA256")]

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all that was found."""
        return self._found

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the first that was found."""
        return self._found[0] if self._found else None

    def close(self) -> None:
        """Count that the connection was closed."""
        self.closed += 1
