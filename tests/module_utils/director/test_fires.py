# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What becomes of an agent's answer in the fault's record and among the events."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from failover.actions.record import FaultRecord
from failover.agent.wire import ClockOffset
from failover.director.fires import Refused, fire, note_fired
from failover.director.links import Held, Link
from failover.shapes import FaultSpec

SPEC = FaultSpec("F1", "partition", "follower", 50, "end", isolate="peers", direction="in")
DONE = FaultRecord(
    "F1",
    "t1",
    "partition",
    member="etcd3",
    role="follower",
    leader_id="b",
    term=4,
    role_checked_wall_ns=9_000_000,
    signal_sent_wall_ns=10_000_000,
)
STATUSES = {"etcd2": {"role": "leader", "term": 4, "member_id": "b"}, "etcd3": {"role": "follower", "member_id": "c"}}


def test_the_moment_of_the_signal_says_which_operation_it_hit() -> None:
    record = FaultRecord.asked_for(SPEC, "t1")
    record.requested_wall_ns, record.index_called = 3_000_000, 51
    # The agent's clock is 5 ms ahead: here the signal was sent at 5 ms.
    trace = [(3_000_000, 51), (4_900_000, 52), (5_100_000, 53)]
    checked, sent = note_fired(record, DONE, ClockOffset(5_000_000, 20_000), STATUSES, trace)
    assert (record.fired, record.reason, record.member, record.leader_before) == (True, None, "etcd3", "etcd2")
    assert (record.index_hit, record.delay_ms) == (52, 2.0)
    assert (checked.source, checked.wall_ns, checked.data["leader"]) == ("etcd3", 9_000_000, "etcd2")
    assert (sent.source, sent.wall_ns, sent.data["index_hit"]) == ("etcd3", 10_000_000, 52)


class Answering:
    """A connection to an agent that answers as it was told."""

    def __init__(self, reply: dict[str, Any]) -> None:
        self.reply = reply
        self.asked: list[dict[str, Any]] = []

    def request(self, verb: str, fields: dict[str, Any]) -> dict[str, Any]:
        assert verb == "fire"
        self.asked.append(fields)
        return self.reply


def link(reply: dict[str, Any]) -> Any:
    made: Any = Link("etcd3", "127.0.0.1:1", b"k" * 32)
    made.main = Answering(reply)
    return made


def test_what_is_fired_is_held_until_it_is_healed() -> None:
    held, agent = Held(), link({"ok": True, "fired": True, "record": DONE.as_answer()})
    assert fire(SPEC, "t1", agent, held, {}) == DONE
    assert held.all() == {"t1": "etcd3"}
    asked = {"token": "t1", "fault": "F1", "action": "partition", "role": "follower"}
    assert agent.main.asked == [asked | {"isolate": "peers", "direction": "in"}]


def test_what_is_refused_is_not_held_and_has_a_reason() -> None:
    held = Held()
    assert fire(SPEC, "t1", link({"ok": True, "fired": False, "reason": "it leads"}), held, {}) == Refused("it leads")
    assert fire(SPEC, "t1", link({"ok": False, "error": "no such action"}), held, {}) == Refused("no such action")
    assert held.all() == {}


def test_the_agent_is_told_to_whom_it_is_and_where_they_are_but_never_to_its_own_member() -> None:
    spec = FaultSpec("F1", "slow_network", "leader", 50, "end", to=["clients", "etcd1", "etcd3"])
    agent = link({"ok": True, "fired": True, "record": DONE.as_answer()})
    fire(spec, "t1", agent, Held(), {f"etcd{number}": f"10.0.0.{number}" for number in (1, 2, 3)})
    (asked,) = agent.main.asked
    assert (asked["to"], asked["addresses"]) == (["clients", "etcd1"], {"etcd1": "10.0.0.1"})
    held = Held()
    alone = fire(replace(spec, to=["etcd3"]), "t2", agent, held, {"etcd3": "10.0.0.3"})
    assert alone == Refused("it is slow from etcd3 to itself alone, where no packet goes")
    assert (len(agent.main.asked), held.all()) == (1, {})
