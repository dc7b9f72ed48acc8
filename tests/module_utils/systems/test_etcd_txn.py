# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The transaction encoded by hand, held against the generated classes."""

from __future__ import annotations

import contextlib
from typing import Any

import etcd3.etcdrpc as rpc
import pytest
from failover.shapes import Kind
from failover.systems.etcd.txn import MoveAnswer, MoveRequest
from failover.systems.fence import NOWHERE, Change
from hypothesis import given
from hypothesis import strategies as st

TEXTS = st.text(max_size=300)
IDS = st.text(min_size=1, max_size=300)
CHANGES = st.one_of(
    st.none(),
    st.builds(lambda key: Change(Kind.DELETE, key), TEXTS),
    st.builds(lambda key, value: Change(Kind.CREATE, key, value), TEXTS, TEXTS),
)
NUMBERS = st.integers(0, 2**63 - 1)


def request_of(fence: bytes, at: str, to: str, change: Change | None) -> Any:
    if at == NOWHERE:
        stands = rpc.Compare(key=fence, target=rpc.Compare.VERSION, result=rpc.Compare.EQUAL, version=0)
    else:
        stands = rpc.Compare(key=fence, target=rpc.Compare.VALUE, result=rpc.Compare.EQUAL, value=at.encode())
    moves = [rpc.RequestOp(request_put=rpc.PutRequest(key=fence, value=to.encode()))]
    if change is not None and change.value is None:
        moves.insert(0, rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=change.key.encode())))
    elif change is not None:
        put = rpc.PutRequest(key=change.key.encode(), value=change.value.encode())
        moves.insert(0, rpc.RequestOp(request_put=put))
    looks = rpc.RequestOp(request_range=rpc.RangeRequest(key=fence))
    return rpc.TxnRequest(compare=[stands], success=moves, failure=[looks])


@given(fence=IDS, at=TEXTS, to=IDS, change=CHANGES)
def test_a_request_is_what_the_generated_class_makes_of_it(fence: str, at: str, to: str, change: Change | None) -> None:
    encoded = MoveRequest(fence.encode(), at, to, change).SerializeToString()
    assert rpc.TxnRequest.FromString(encoded) == request_of(fence.encode(), at, to, change)


def answer_with(revision: int, term: int, **more: Any) -> Any:
    answer = rpc.TxnResponse(**more)
    answer.header.cluster_id = answer.header.member_id = 2**64 - 1
    answer.header.revision, answer.header.raft_term = revision, term
    return answer


@given(revision=NUMBERS, term=NUMBERS, deleted=st.integers(0, 1))
def test_an_answer_of_success_is_read(revision: int, term: int, deleted: int) -> None:
    answer = answer_with(revision, term, succeeded=True)
    answer.responses.add().response_delete_range.deleted = deleted
    answer.responses.add().response_put.header.revision = revision
    read = MoveAnswer.FromString(answer.SerializeToString())
    assert (read.succeeded, read.header, read.deleted) == (True, (revision, term), deleted)


@given(revision=NUMBERS, value=TEXTS, moved=NUMBERS)
def test_where_the_fence_stands_is_read(revision: int, value: str, moved: int) -> None:
    answer = answer_with(revision, 7, succeeded=False)
    found = answer.responses.add().response_range
    assert MoveAnswer.FromString(answer.SerializeToString()).found is None
    found.header.revision = revision
    found.kvs.add(key=b"f", value=value.encode(), create_revision=1, mod_revision=moved, version=3)
    found.count = 1
    read = MoveAnswer.FromString(answer.SerializeToString())
    assert read == ((revision, 7), False, 0, value, moved)


@given(st.binary(max_size=200))
def test_any_other_bytes_are_an_answer_or_an_error_and_no_hang(message: bytes) -> None:
    with contextlib.suppress(ValueError):
        MoveAnswer.FromString(message)


@given(revision=NUMBERS, value=TEXTS)
def test_an_answer_that_is_cut_short_is_an_error(revision: int, value: str) -> None:
    answer = answer_with(revision, 7)
    answer.responses.add().response_range.kvs.add(key=b"f", value=value.encode(), mod_revision=5)
    with pytest.raises(ValueError, match="cut short"):
        MoveAnswer.FromString(answer.SerializeToString()[:-1])
