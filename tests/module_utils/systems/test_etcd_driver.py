# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One member's answers to transactions, over a channel that plays them back."""

from __future__ import annotations

from typing import Any

import etcd3.etcdrpc as rpc
import pytest
from failover.shapes import Kind
from failover.systems.etcd.driver import EtcdMember
from failover.systems.etcd.transport.base import CallError
from failover.systems.etcd.txn import TxnAnswer
from failover.systems.fence import Change
from failover.systems.loop import AttemptFailedError, FailoverPolicy

APPEND = Change(Kind.APPEND, "l", "3")


class Channel:
    """Gives the next answer, or raises it."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.methods: list[str] = []
        self.requests: list[Any] = []

    def call(
        self, method: str, request: Any, _type: Any, _timeout_s: float, *, require_leader: bool, token: str
    ) -> Any:
        self.methods.append(method.rpartition("/")[2])
        self.requests.append(rpc.TxnRequest.FromString(request.SerializeToString()) if method.endswith("Txn") else None)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def member_of(channel: Channel) -> EtcdMember:
    member = EtcdMember("127.0.0.1", 1, FailoverPolicy())
    member._channel = channel  # type: ignore[assignment]
    return member


def held(value: str | None) -> Any:
    answer = rpc.RangeResponse()
    if value is not None:
        answer.kvs.add(key=b"l", value=value.encode())
    return answer


def txn(succeeded: bool, *held_keys: str | None) -> TxnAnswer:
    answer = rpc.TxnResponse(succeeded=succeeded)
    answer.header.revision = 9
    for value in held_keys:
        found = answer.responses.add().response_range
        found.header.revision = 9
        if value is not None:
            found.kvs.add(key=b"k", value=value.encode(), mod_revision=8)
    if succeeded:
        answer.responses.add().response_put.header.revision = 9
    return TxnAnswer.FromString(answer.SerializeToString())


def test_an_append_is_made_again_until_nobody_came_between() -> None:
    channel = Channel(held("1"), txn(False, "at", "1,2"), txn(True))
    member, told = member_of(channel), []
    member.on_next_request = lambda: told.append(len(channel.methods))
    moved = member.move("f", "at", "to", APPEND)
    assert (moved.moved, moved.revision) == (True, 9)
    assert told == [1, 2]  # before each transaction
    assert channel.methods == ["Range", "Txn", "Txn"]
    last = channel.requests[-1]
    assert [compare.value for compare in last.compare] == [b"at", b"1,2"]
    assert [op.request_put.value for op in last.success] == [b"1,2,3", b"to"]


def test_an_append_whose_fence_is_elsewhere_says_where() -> None:
    channel = Channel(held(None), txn(False, "other", None))
    assert member_of(channel).move("f", "at", "to", APPEND)[:2] == (False, "other")


def test_a_read_that_is_not_answered_is_no_attempt_at_a_write() -> None:
    channel = Channel(CallError("DEADLINE_EXCEEDED", "Deadline Exceeded"))
    with pytest.raises(AttemptFailedError, match="not sent: DEADLINE_EXCEEDED") as failed:
        member_of(channel).move("f", "at", "to", APPEND)
    assert failed.value.ambiguous is False


@pytest.mark.parametrize("change", [Change(Kind.DELETE, "k"), Change(Kind.CAS, "k", "2", "1")])
def test_an_answer_that_lacks_something_is_ambiguous(change: Change) -> None:
    with pytest.raises(AttemptFailedError, match="its answer makes no sense") as failed:
        member_of(Channel(TxnAnswer.FromString(b"\x10\x01"))).move("f", "at", "to", change)
    assert failed.value.ambiguous is True


def test_a_value_that_is_no_text_is_read_as_what_it_is() -> None:
    answer = rpc.RangeResponse()
    answer.kvs.add(key=b"k", value=b"1.2.3.4\xff\xfe")
    assert member_of(Channel(answer)).get("k")[0] == "1.2.3.4\\xff\\xfe"
