# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stands between the lab and the fault agents of its machines, and has their power in its hand.

A host cannot tell how its own power is cut, nor bring itself back. So for a machine of the lab's own the director talks
to this program, on the controller, which passes everything on to the agent in the machine and its answers back. Where
that agent has fired a fault that takes the power away (its record says ``via`` qemu), qemu is ended at once, and the
machine's part is spoken here until somebody has the fault healed, or nobody holds it any more: then the machine is
started anew, and the heal passed on to its agent.

Run as ``python3 -m failover.machines.keeper --config FOLDER/keeper.json``, one a lab, with nothing but the stdlib.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..actions.record import FaultRecord
from ..agent.server import Server
from ..agent.wire import AgentClient, AgentError, ClockOffset, load_key
from ..clock import CLOCK
from ..host.power import VIA
from ..shapes import LabError
from ..tls import server_context
from .machine import Machine

# How long the machine's agent may take to answer, in s: what a heal may take by itself, and anything else.
HEAL_TIMEOUT_S, ANSWER_TIMEOUT_S = 420.0, 30.0
# How long a machine may take from its start until its agent answers, in s: 30 where it is
# emulated on a core of its own, and minutes where it shares one.
BOOT_TIMEOUT_S = 600.0
BOOT_INTERVAL_S = 0.2
# How often it is looked whether somebody still holds the faults of machines that are off, in s.
WATCH_INTERVAL_S = 0.5
# Of the request and of the reply, what belongs to one connection.
ENVELOPE = ("verb", "session", "seq", "reply_to")


@dataclass
class Off:
    """A machine whose power was cut."""

    record: FaultRecord
    deadline: float  # of the monotonic clock, in s: then it comes back by itself


class Keeper:
    """The machine of one member, its agent, and its power."""

    def __init__(
        self, member: str, machine: Machine, address: str, key: bytes, hold_ttl_s: float, *, ca: str = ""
    ) -> None:
        """Take the machine as it is.

        :param address: "host:port" of the agent in it
        :param ca: file with the certificate of the authority that signs the agent's; empty: without TLS
        :param hold_ttl_s: how long it stays off after the last sign of life of whoever fired
        """
        self.member = member
        self._machine = machine
        self._given = (member, address, key)
        self._ca = ca
        self._hold_ttl_s = hold_ttl_s
        self._clients = threading.local()  # a connection for each of whoever asks
        self._power = threading.RLock()
        self._off: Off | None = None
        self._clock: ClockOffset | None = None  # of the machine against ours

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer a request that is authentic; OSError where the agent does not, as if nobody were here."""
        verb = str(request.get("verb"))
        fields = {name: value for name, value in request.items() if name not in ENVELOPE}
        if verb == "heal":
            return self._heal(fields)
        off = self._off
        if off is not None:
            return self._speak_for(off, verb, fields)
        if "asked" in fields or self._clock is None:
            # Who arms faults asks what can be done; the power is cut within the time of a fault.
            self._clock, _ = self._client().measure_clock()
        reply = self._ask(verb, fields)
        if verb == "fire" and reply.get("fired") and reply["record"].get("via") == VIA:
            return self._cut(reply)
        return reply

    def watch(self) -> None:
        """Bring the machine back where nobody holds its fault any more."""
        off = self._off
        if off is None or time.monotonic() < off.deadline:
            return
        say(f"No keepalive for fault {off.record.fault} of {self.member}: starting the machine.")
        try:
            self._return()
        except (LabError, OSError) as error:
            say(f"{self.member} could not be started: {error}")
            off.deadline = time.monotonic() + self._hold_ttl_s

    # ------------------------------------------------------------ power

    def _cut(self, reply: dict[str, Any]) -> dict[str, Any]:
        """End qemu, and complete the record of the agent that went with it."""
        with self._power:
            clock = self._clock or ClockOffset(0, 0)
            now_ns, wall_ns = time.monotonic_ns(), CLOCK.now_ns()
            ended = self._machine.cut()
            if ended is None:
                raise ConnectionError(f"qemu of {self.member} was gone before its power was cut")
            record = FaultRecord.from_dict(reply["record"])
            record.signal_sent_wall_ns = wall_ns + (ended[0] - now_ns) + clock.offset_ns
            record.process_gone_wall_ns = wall_ns + (ended[1] - now_ns) + clock.offset_ns
            record.signal_call_ms = (ended[1] - ended[0]) / 1e6
            self._off = Off(record, time.monotonic() + self._hold_ttl_s)
        return {**reply, "record": record.as_answer()}

    def _return(self) -> None:
        """Start the machine, and wait until its agent answers, with a clock that goes as it did."""
        with self._power:
            off = self._off
            if off is None:
                return
            self._machine.start()
            # Nobody need hold the fault any more: it is on its way back.
            end = off.deadline = time.monotonic() + BOOT_TIMEOUT_S
            client = AgentClient(*self._given, ca=self._ca)
            try:
                while True:
                    try:
                        self._resume(client, off)
                        break
                    except AgentError as error:
                        if time.monotonic() > end:
                            said = self._machine.last_words()
                            raise LabError(
                                f"{self.member} does not come back within {BOOT_TIMEOUT_S:g} s of its start: {error} "
                                f"Its console ends with: {said or 'nothing'}"
                            ) from None
                        time.sleep(BOOT_INTERVAL_S)
            finally:
                client.close()
            # Those of before its boot lead nowhere.
            self._clients = threading.local()
            self._off = None

    def _resume(self, client: AgentClient, off: Off) -> None:
        """Have the agent take up the fault, with a clock that goes as it did: it booted by a clock of whole seconds.

        The record was not left to the machine's disk: writing it there right before the cut would have had the kernel
        write out what the cut is to take.
        """
        now, _ = client.measure_clock()
        before = self._clock or ClockOffset(0, 0)
        fields = {"by_ns": before.offset_ns - now.offset_ns, "records": [off.record.as_answer()]}
        reply = client.request("resume", fields)
        if not reply["ok"]:
            raise AgentError(reply["error"])

    # ------------------------------------------------------------ for the agent

    def _speak_for(self, off: Off, verb: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Answer for a machine that has no power."""
        token = off.record.token
        if verb == "status":
            silent = {"role": "unknown", "member_id": None, "leader_id": None, "term": None, "error": "no power"}
            answer: dict[str, Any] = {
                "ok": True,
                "member": self.member,
                **silent,
                "wall_ns": CLOCK.now_ns(),
                "holding": [token],
            }
            if fields.get("details"):
                answer["records"] = [off.record.as_answer()]
            return answer
        if verb == "keepalive":
            held = token in (fields.get("tokens") or [])
            if held:
                off.deadline = time.monotonic() + self._hold_ttl_s
            return {"ok": True, "held": [token] if held else []}
        if verb == "fire":
            if fields.get("token") == token:
                return {"ok": True, "fired": True, "record": off.record.as_answer()}
            return {"ok": True, "fired": False, "reason": f"fault {off.record.fault} is still held here"}
        return {"ok": False, "error": f"the machine of {self.member} has no power"}

    def _heal(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Give the machine its power back where that is asked for, and have its agent do the rest."""
        off = self._off
        if off is None:
            return self._ask("heal", fields)
        faults, tokens = fields.get("faults"), fields.get("tokens")
        chosen = (faults is None or off.record.fault in faults) and (tokens is None or off.record.token in tokens)
        if not chosen:
            return {"ok": True, "records": [], "earlier": []}
        off.record.heal_requested_wall_ns = CLOCK.now_ns() + (self._clock or ClockOffset(0, 0)).offset_ns
        try:
            self._return()
        except LabError as error:
            return {"ok": False, "error": str(error)}
        return self._ask("heal", fields)

    def _ask(self, verb: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Pass a request on; OSError closes the connection of whoever asked, who then knows as little as we do."""
        try:
            reply = self._client().request(
                verb, fields, timeout_s=HEAL_TIMEOUT_S if verb == "heal" else ANSWER_TIMEOUT_S
            )
        except AgentError as error:
            raise ConnectionError(str(error)) from None
        return {name: value for name, value in reply.items() if name not in ENVELOPE}

    def _client(self) -> AgentClient:
        """Return this thread's connection: each of whoever asks has a thread."""
        client: AgentClient | None = getattr(self._clients, "own", None)
        if client is None:
            client = self._clients.own = AgentClient(*self._given, ca=self._ca)
        return client


def say(text: str) -> None:
    """Write a line into the keeper's log."""
    print(text, file=sys.stderr, flush=True)


def serve(config: Mapping[str, Any]) -> None:
    """Serve until SIGTERM or SIGINT.

    :param config: ``listen`` (address), ``key_file``, ``hold_ttl_s``, ``folder`` of the machines, and ``members``: name
        -> {``port`` on which its agent is spoken for, ``agent``: where it is}. With TLS also ``ca``, ``certificate``
        and ``certificate_key``, by which agents are verified and others verify this program
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    key = load_key(config["key_file"])
    tls = server_context(config["certificate"], config["certificate_key"]) if config.get("certificate") else None
    keepers, servers = [], []
    for member, row in config["members"].items():
        machine = Machine(Path(config["folder"], member))
        keeper = Keeper(member, machine, row["agent"], key, float(config["hold_ttl_s"]), ca=config.get("ca", ""))
        try:
            server = Server((config["listen"], int(row["port"])), keeper, key, tls)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise LabError(f"Nobody can listen for {member} on {config['listen']}:{row['port']}: {reason}.") from None
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.5}, daemon=True).start()
        keepers.append(keeper)
        servers.append(server)
    say(f"The keeper of {', '.join(config['members'])} listens.")
    while not stop.wait(WATCH_INTERVAL_S):
        for keeper in keepers:
            keeper.watch()
    for server in servers:
        server.shutdown()


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="failover.machines.keeper", description="Has the power of the lab's machines."
    )
    parser.add_argument("--config", required=True, help="JSON file")
    try:
        serve(json.loads(Path(parser.parse_args().config).read_text(encoding="utf-8")))
    except LabError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
