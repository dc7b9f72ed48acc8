# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fault agent: it injects and heals the faults of one member, beside whose server it runs.

It is armed before the workload starts, so that a fault needs one request and not a task of Ansible. It acts only on
the unit of its configuration, looks at its member's role at the moment of firing, and stamps what it does right there.

Whatever happens to the controller and to the load generator, a fault ends: each is held for ``hold_ttl_s`` after the
last keepalive, then the agent heals it by itself (dead man's switch). What is held is kept on disk, so that a restart
of the agent or of the host does not forget it.
"""

from __future__ import annotations

import platform
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from ..actions.base import Action, Host
from ..actions.record import FaultRecord
from ..actions.registry import ACTIONS
from ..clock import CLOCK
from ..host.disk import Disk
from ..host.network import Network
from ..host.packets import Isolation
from ..host.power import Power
from ..host.service import MainProcess, NotBackError, Service, ServiceError, UnitState, exists
from ..host.volume import Volume
from ..host.wall_clock import WallClock
from ..shapes import SCHEMA_VERSION, LabError
from ..systems.members import MEMBERS
from ..systems.on_host import Home, Keeper
from .asked import RequestError, mappings, text, texts
from .config import AgentConfig
from .store import Store
from .wire import GONE_TIMEOUT_S, JOIN_TIMEOUT_S, START_TIMEOUT_S

# How often it is looked whether a server that may end by itself is still under its fault, in s.
WATCH_INTERVAL_S = 0.5
# After a heal that failed the dead man's switch tries again, in s.
RETRY_S = 10.0
# What of a fault's data a request to fire it has, where the fault has it.
GIVEN = ("isolate", "direction", "options", "to", "addresses")
# Healed faults that are remembered.
REMEMBERED = 100


class Agent:
    """Answers requests about the one member of its configuration."""

    def __init__(self, config: AgentConfig) -> None:
        """Take up where an earlier agent left: faults that it held go on to be held."""
        self.config = config
        self._service = Service(config.unit, use_dbus=config.use_dbus)
        self._store = Store(config.state_dir)
        self._lock = threading.RLock()  # the records and the process
        self._heal_lock = threading.Lock()  # one heal at a time
        self._save_lock = threading.Lock()  # the file; taken after the records' lock, never before it
        self._snapshot: list[dict[str, Any]] = []
        self._process: MainProcess | None = None
        self._records: dict[str, FaultRecord] = {}
        self._deadlines: dict[str, float] = {}  # monotonic, of held faults
        self._saved_at = 0.0
        self._closing = threading.Event()
        # Brings a member of a group back into it, once its server runs again.
        on_host = MEMBERS[config.system]
        kept_ports = [config.port, *config.kept_ports]
        here = (config.member, config.address, config.member_file)
        home = Home(*here, self._is_alive, journal=self._service.log_tail, ca=config.ca)
        self._host = Host(
            self._service,
            Isolation(config.peers, config.clients, config.client_port, kept_ports),
            Disk(config.data_dir, config.unit),
            Network(config.peers, config.clients, kept_ports),
            Volume(config.data_dir),
            Power(config.power_kept),
            WallClock(),
            lambda: on_host.force(home),
            on_host.reach(home),
        )
        self._keeper = on_host.keeper(home)
        # Two of them, so that a slow answer to a status does not delay a fault.
        self._probe, self._fire_probe = on_host.probe(home), on_host.probe(home)
        for record, expires_wall_ns in self._store.load():
            self._records[record.token] = record
            if record.held:
                if record.action in ACTIONS:
                    ACTIONS[record.action].taken_up(record)
                left_s = min(max((expires_wall_ns - time.time_ns()) / 1e9, 0.0), config.hold_ttl_s)
                self._deadlines[record.token] = time.monotonic() + left_s
        self._verbs: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "ping": self.ping,
            "status": self.status,
            "fire": self.fire,
            "step": self.step,
            "keepalive": self.keepalive,
            "heal": self.heal,
            "resume": self.resume,
        }
        self._switch = threading.Thread(target=self._watch_deadlines, name="dead-mans-switch", daemon=True)
        self._switch.start()
        self._service.warm_up()

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what an authentic request asks; never raises."""
        try:
            verb = self._verbs.get(str(request.get("verb")))
            if verb is None:
                raise RequestError(f"unknown verb {request.get('verb')!r}; known are {', '.join(self._verbs)}")
            return {"ok": True, **verb(request)}
        except (RequestError, ServiceError) as error:
            return {"ok": False, "error": str(error)}
        except Exception as error:  # one bad request must not end an agent that holds a fault
            return {"ok": False, "error": f"internal error: {type(error).__name__}: {error}"}

    def close(self) -> None:
        """End the dead man's switch; what is held stays on disk for the next agent."""
        self._closing.set()
        self._switch.join()
        self._try_to_save(durable=True)

    # ------------------------------------------------------------ verbs

    def ping(self, request: dict[str, Any]) -> dict[str, Any]:
        """Say who this is and what time it is here."""
        with self._lock:
            if not any(record.held for record in self._records.values()):
                # Before a fault, so that its stamps and the server's log, which has the wall clock's, agree.
                CLOCK.set()
        return {
            "member": self.config.member,
            "system": self.config.system,
            "unit": self.config.unit,
            "schema_version": SCHEMA_VERSION,
            "python": platform.python_version(),
            "hold_ttl_s": self.config.hold_ttl_s,
            "wall_ns": CLOCK.now_ns(),
        }

    def status(self, request: dict[str, Any]) -> dict[str, Any]:
        """Tell the member's role and what is held; with ``details`` also the records and the unit's state.

        ``asked``, a list of faults as they would be fired, has the answer say in ``cannot`` which of them this host
        cannot do, and why.
        """
        answer: dict[str, Any] = {"member": self.config.member, **self._probe.read(), "wall_ns": CLOCK.now_ns()}
        with self._lock:
            answer["holding"] = [record.token for record in self._records.values() if record.held]
            if request.get("details"):
                answer["records"] = [record.as_answer() for record in self._records.values()]
        if request.get("details"):
            state = self._service.state()
            with self._lock:
                # Who arms faults asks for details: what the first fault would wait for is fetched now.
                self._main_process(state)
            answer["unit"] = {"active": state.active, "sub": state.sub, "restart_policy": state.restart_policy}
        if "asked" in request:
            # Whoever asks will fire: what that waits for is opened now.
            self._fire_probe.read()
            found = {fault["fault"]: self._problem(fault) for fault in mappings(request, "asked", "fault")}
            answer["cannot"] = {name: problem for name, problem in found.items() if problem}
        return answer

    def fire(self, request: dict[str, Any]) -> dict[str, Any]:
        """Inject a fault now, if the member still has the expected ``role``; answer once the signal is sent.

        Fields: ``token``, ``fault``, ``action`` and, where the role matters, ``role``. A refusal is no error: the
        answer has ``fired`` false, the ``reason`` and the role that the member has.
        """
        token, fault, name = (text(request, field) for field in ("token", "fault", "action"))
        action = ACTIONS.get(name)
        if action is None:
            raise RequestError(f"unknown action {name!r}; known are {', '.join(ACTIONS)}")
        expected = request.get("role")
        with self._lock:
            if token in self._records:
                return {"fired": True, "record": self._records[token].as_answer()}
            held = [record.fault for record in self._records.values() if record.held]
            if held:
                return {"fired": False, "reason": f"fault {held[0]} is still held here"}
            process = self._main_process()
            if process is None:
                return {"fired": False, "reason": f"{self.config.unit} is not running"}
            given = {key: request[key] for key in GIVEN if request.get(key)}
            record = FaultRecord(fault, token, name, member=self.config.member, held=True, **given)
            self._records[token] = record
            self._deadlines[token] = time.monotonic() + self.config.hold_ttl_s
            try:
                action.prepare(self._host, record)
                # On record before it is done: whatever ends this process now, the fault will be healed.
                self._save(durable=False)
                self._inject(record, action, process, expected)
            except RequestError as refusal:
                self._forget(token)
                return {"fired": False, "reason": str(refusal), **self._role_of(record)}
            except (LabError, OSError) as error:
                if record.signal_sent_wall_ns is None:
                    self._forget(token)
                    raise RequestError(f"{name} of {self.config.unit} failed: {error}") from None
                # It may have been done all the same: it is held, and healed like every other.
                record.inject_error = " ".join(str(error).split())
            # The watcher has its own pidfd: this one may be replaced by the next process of the unit.
            self._process = None
            answer = {"fired": True, "record": record.as_answer()}
        threading.Thread(target=self._follow, args=(record, action, process), daemon=True).start()
        return answer

    def step(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do the ``steps`` of the held fault ``token`` one after the other; answer with those done, and when.

        A step that fails ends them: ``failed`` says why.
        """
        token, steps = text(request, "token"), mappings(request, "steps", "do")
        done: list[dict[str, Any]] = []
        failed = None
        with self._lock:
            process = self._main_process()
        for step in steps:
            try:
                done.append(self._do_step(token, step, process))
            except (RequestError, LabError, OSError) as error:
                failed = " ".join(str(error).split())
                break
        self._try_to_save(durable=False)
        return {"steps": done, "failed": failed}

    def _do_step(self, token: str, step: dict[str, Any], process: MainProcess | None) -> dict[str, Any]:
        """Do one step and note it; no heal comes between, as what it does would outlive the heal."""
        with self._heal_lock:
            record = self._records.get(token)
            if record is None or not record.held:
                raise RequestError("the fault is healed")
            if process is None or not process.is_alive():
                raise RequestError(f"{self.config.unit} is not running")
            done = {**step, "wall_ns": CLOCK.now_ns()}
            if step["do"] != "wait":
                ACTIONS[record.action].step(self._host, process, record, step)
            with self._lock:
                record.steps_done.append(done)
        if step["do"] == "wait":
            self._closing.wait(float(step["ms"]) / 1000)
        return done

    def keepalive(self, request: dict[str, Any]) -> dict[str, Any]:
        """Hold the faults of the given ``tokens`` for another ``hold_ttl_s``; say which are held."""
        tokens = texts(request, "tokens") or []
        now = time.monotonic()
        with self._lock:
            held = [token for token in tokens if token in self._deadlines]
            for token in held:
                self._deadlines[token] = now + self.config.hold_ttl_s
            stale = bool(held) and now - self._saved_at > self.config.hold_ttl_s / 4
        if stale:
            self._try_to_save(durable=False)
        return {"held": held}

    def heal(self, request: dict[str, Any]) -> dict[str, Any]:
        """Heal what is held (only the ``faults`` or ``tokens`` given, where they are) and answer when it is done.

        Where a member does not come back, ``ok`` is false and ``not_back`` true; ``records`` has what was found out.
        The answer's ``earlier`` has the records of those of ``records_of`` (tokens) that were healed before.

        With ``whole_within_s`` a member of a group is brought back into it as well, though it held nothing: one may be
        expelled after its fault was healed, or for the fault of another. What was done is in ``steps``, and ``lacks``
        says why it is no full member after that time.
        """
        whole_within_s = request.get("whole_within_s")
        faults, tokens = texts(request, "faults"), texts(request, "tokens")
        wanted = texts(request, "records_of") or []
        with self._lock:
            chosen = [
                record
                for record in self._records.values()
                if record.held
                and (faults is None or record.fault in faults)
                and (tokens is None or record.token in tokens)
            ]
            earlier = [self._records[t].as_answer() for t in wanted if t in self._records and not self._records[t].held]
        answer: dict[str, Any] = {"earlier": earlier}
        for record in chosen:
            try:
                self._heal(record, "request")
            except NotBackError as error:
                # What the heal found out is known all the same.
                answer |= {"ok": False, "error": str(error), "not_back": True}
        answer["records"] = [record.as_answer() for record in chosen]
        if not answer.get("ok", True):
            return answer
        if whole_within_s is not None and self._keeper is not None:
            answer |= self._make_whole(self._keeper, float(whole_within_s))
        return answer

    def resume(self, request: dict[str, Any]) -> dict[str, Any]:
        """Take up the fault under which this host lost its power, as who kept it has it on ``record``.

        The clock, which the host has set anew, is set by ``by_ns`` to what it was.
        """
        if not self._host.power.kept:
            raise RequestError("nobody keeps the power of this host")
        record = FaultRecord.from_dict(mappings(request, "records", "token")[0])
        self._host.wall_clock.set_by(int(request["by_ns"]))
        CLOCK.set()
        with self._lock:
            self._records[record.token] = record
            self._deadlines[record.token] = time.monotonic() + self.config.hold_ttl_s
        self._try_to_save(durable=True)
        return {}

    # ------------------------------------------------------------ inside

    def _problem(self, fault: dict[str, Any]) -> str | None:
        """Return why a fault cannot be done here; a word of a newer version than this agent is such a reason."""
        action = ACTIONS.get(str(fault.get("action")))
        if action is None:
            return "its agent is of another version; provision the hosts with playbooks/up.yml"
        return action.problem(self._host, FaultRecord.from_dict(fault))

    def _is_alive(self) -> bool:
        with self._lock:
            return self._main_process() is not None

    def _main_process(self, state: UnitState | None = None) -> MainProcess | None:
        """Return the unit's main process; as long as it lives, the service manager need not be asked again."""
        if self._process is not None and self._process.is_alive():
            return self._process
        if self._process is not None:
            self._process.close()
        self._process = self._service.main_process(state)
        return self._process

    def _inject(self, record: FaultRecord, action: Action, process: MainProcess, expected: Any) -> None:
        role = self._fire_probe.read()
        record.role_checked_wall_ns = CLOCK.now_ns()
        record.role, record.term = role["role"], role["term"]
        record.member_id, record.leader_id = role["member_id"], role["leader_id"]
        if expected is not None and role["role"] != expected:
            why = f" ({role['error']})" if role["error"] else ""
            raise RequestError(f"{self.config.member} is {role['role']} now, not {expected}{why}")
        if not process.is_alive():
            raise RequestError(f"{self.config.unit} has just ended by itself")
        record.signal, record.pid = action.signal, process.pid
        record.signal_sent_wall_ns = CLOCK.now_ns()
        started = time.monotonic_ns()
        record.via = action.inject(self._host, process, record)
        record.signal_call_ms = (time.monotonic_ns() - started) / 1e6

    def _role_of(self, record: FaultRecord) -> dict[str, Any]:
        return {name: getattr(record, name) for name in ("role", "member_id", "leader_id", "term")}

    def _forget(self, token: str) -> None:
        del self._records[token], self._deadlines[token]
        self._try_to_save(durable=False)

    def _follow(self, record: FaultRecord, action: Action, process: MainProcess) -> None:
        """Stamp the end of the process, and the return of the member where the action brings it back."""
        if not action.ends_process:
            self._try_to_save(durable=True)
            self._note_effect(record, action, process)
            while action.may_end_process and record.held and record.process_gone_wall_ns is None:
                record.process_gone_wall_ns = process.wait_gone(WATCH_INTERVAL_S)
            process.close()
            self._try_to_save(durable=True)
            return
        gone = process.wait_gone(GONE_TIMEOUT_S)
        process.close()
        with self._lock:
            record.process_gone_wall_ns = gone
        self._try_to_save(durable=True)
        if action.comes_back:
            self._heal(record, action.name)

    def _note_effect(self, record: FaultRecord, action: Action, process: MainProcess) -> None:
        """Note what the action says of its effect; where that cannot be measured, what is on record stands."""
        try:
            effect = action.effect(self._host, process, record)
        except (LabError, OSError) as error:
            print(f"The effect of {record.fault} could not be measured: {error}", file=sys.stderr, flush=True)
            return
        with self._lock:
            if record.held:
                record.effect = effect

    def _heal(self, record: FaultRecord, by: str) -> None:
        """Undo one fault; ServiceError with the last log lines where that fails.

        It is NotBackError where the fault was undone and only the member does not come back.
        """
        with self._heal_lock:
            if not record.held:
                return
            if by != record.action:
                with self._lock:
                    record.heal_requested_wall_ns = record.heal_requested_wall_ns or CLOCK.now_ns()
            action = ACTIONS[record.action]
            end = time.monotonic() + GONE_TIMEOUT_S
            while (
                action.ends_process
                and record.process_gone_wall_ns is None
                and record.pid is not None
                and exists(record.pid)
            ):
                if time.monotonic() > end:
                    break
                time.sleep(0.005)
            try:
                action.heal(self._host, record, START_TIMEOUT_S)
                state = self._service.state()
                if self._keeper is not None:
                    self._rejoin(self._keeper, record)
            except LabError as error:
                explained = self._service.explain_failure(f"{self.config.member} could not be healed: {error}")
                with self._lock:
                    record.error = explained
                    self._deadlines[record.token] = time.monotonic() + RETRY_S
                raise (NotBackError if isinstance(error, NotBackError) else ServiceError)(explained) from None
            with self._lock:
                record.held, record.healed_by, record.error = False, by, None
                record.healed_wall_ns = CLOCK.now_ns()
                record.clock_stepped_ns = CLOCK.stepped_ns()
                # A process that was only paused or partitioned has not been started for this heal.
                if (state.started_wall_ns or 0) > (record.signal_sent_wall_ns or 0):
                    record.process_started_wall_ns = state.started_wall_ns
                self._deadlines.pop(record.token, None)
                healed = [token for token, other in self._records.items() if not other.held]
                for token in healed[: max(0, len(healed) - REMEMBERED)]:
                    del self._records[token]
        self._try_to_save(durable=True)

    def _rejoin(self, keeper: Keeper, record: FaultRecord) -> None:
        """Bring the member back into its group, and note what that took; a heal that failed is continued here."""
        before = len(keeper.steps)
        try:
            keeper.ensure(JOIN_TIMEOUT_S)
        except LabError as error:
            raise NotBackError(str(error)) from None
        finally:
            with self._lock:
                record.group_steps += keeper.steps[before:]

    def _make_whole(self, keeper: Keeper, timeout_s: float) -> dict[str, Any]:
        """Bring a member that is not held by a fault back into its group; return ``steps`` and ``lacks``."""
        with self._heal_lock:
            with self._lock:
                held = any(record.held for record in self._records.values())
            before = len(keeper.steps)
            lacks = None
            if not held and self._service.state().active == "active":
                try:
                    keeper.ensure(timeout_s)
                except LabError as error:
                    lacks = str(error)
            return {"steps": keeper.steps[before:], "lacks": lacks}

    def _watch_deadlines(self) -> None:
        """Heal what nobody holds any more."""
        while not self._closing.wait(min(0.5, self.config.hold_ttl_s / 10)):
            now = time.monotonic()
            with self._lock:
                expired = [self._records[token] for token, deadline in self._deadlines.items() if deadline <= now]
            for record in expired:
                print(
                    f"No keepalive for fault {record.fault} ({record.action}): healing it.", file=sys.stderr, flush=True
                )
                try:
                    self._heal(record, "dead man's switch")
                except Exception as error:  # the switch must go on, whatever one heal says
                    print(f"{error}\nTrying again in {RETRY_S:g} s.", file=sys.stderr, flush=True)
                    with self._lock:
                        if record.token in self._deadlines:
                            self._deadlines[record.token] = time.monotonic() + RETRY_S

    def _save(self, *, durable: bool) -> None:
        """Write the newest state of all records to disk; OSError where that fails."""
        with self._lock:
            now, now_wall = time.monotonic(), time.time_ns()
            self._saved_at = now
            self._snapshot = [
                {
                    "record": record.as_answer(),
                    "expires_wall_ns": now_wall + int((self._deadlines.get(token, now) - now) * 1e9),
                }
                for token, record in self._records.items()
            ]
        with self._save_lock:
            self._store.save(self._snapshot, durable=durable)

    def _try_to_save(self, *, durable: bool) -> None:
        """Write the records where the disk allows it: a full one must not keep a fault from being healed."""
        try:
            self._save(durable=durable)
        except OSError as error:
            print(f"The records of faults cannot be written: {error}", file=sys.stderr, flush=True)
