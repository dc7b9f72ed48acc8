# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The transactions encoded by hand, held against the generated classes."""

from __future__ import annotations

import contextlib
from typing import Any

import etcd3.etcdrpc as rpc
import pytest
from failover.systems.etcd.txn import TxnAnswer, TxnRequest, delete, get, holds, nested, put
from hypothesis import given
from hypothesis import strategies as st

BYTES = st.binary(max_size=300)
NUMBERS = st.integers(0, 2**63 - 1)
HELD = st.one_of(st.none(), BYTES)


def compare_of(key: bytes, value: bytes | None) -> Any:
    if value is None:
        return rpc.Compare(key=key, target=rpc.Compare.VERSION, result=rpc.Compare.EQUAL, version=0)
    return rpc.Compare(key=key, target=rpc.Compare.VALUE, result=rpc.Compare.EQUAL, value=value)


def put_of(key: bytes, value: bytes) -> Any:
    return rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=value))


def get_of(key: bytes) -> Any:
    return rpc.RequestOp(request_range=rpc.RangeRequest(key=key))


def delete_of(key: bytes) -> Any:
    return rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=key))


@given(fence=BYTES, at=HELD, to=BYTES, key=BYTES, value=BYTES)
def test_a_request_is_what_the_generated_class_makes_of_it(
    fence: bytes, at: bytes | None, to: bytes, key: bytes, value: bytes
) -> None:
    request = TxnRequest([holds(fence, at), holds(key, value)], [delete(key), put(fence, to)], [get(fence), get(key)])
    assert rpc.TxnRequest.FromString(request.SerializeToString()) == rpc.TxnRequest(
        compare=[compare_of(fence, at), compare_of(key, value)],
        success=[delete_of(key), put_of(fence, to)],
        failure=[get_of(fence), get_of(key)],
    )


@given(key=BYTES, held=HELD, value=BYTES)
def test_a_transaction_within_another_is_what_the_generated_class_makes_of_it(
    key: bytes, held: bytes | None, value: bytes
) -> None:
    inner = TxnRequest([holds(key, held)], [put(key, value)], [get(key)])
    request = TxnRequest([], [nested(inner), put(key, value)], [])
    inner_told = rpc.TxnRequest(compare=[compare_of(key, held)], success=[put_of(key, value)], failure=[get_of(key)])
    assert rpc.TxnRequest.FromString(request.SerializeToString()) == rpc.TxnRequest(
        success=[rpc.RequestOp(request_txn=inner_told), put_of(key, value)]
    )


def answer_with(revision: int, term: int, **more: Any) -> Any:
    answer = rpc.TxnResponse(**more)
    answer.header.cluster_id = answer.header.member_id = 2**64 - 1
    answer.header.revision, answer.header.raft_term = revision, term
    return answer


def read(answer: Any) -> TxnAnswer:
    return TxnAnswer.FromString(answer.SerializeToString())


@given(revision=NUMBERS, term=NUMBERS, deleted=st.integers(0, 1))
def test_an_answer_of_success_is_read(revision: int, term: int, deleted: int) -> None:
    answer = answer_with(revision, term, succeeded=True)
    answer.responses.add().response_delete_range.deleted = deleted
    answer.responses.add().response_put.header.revision = revision
    told = read(answer)
    assert (told.succeeded, told.header, told.deleted(0)) == (True, (revision, term), deleted)


@given(revision=NUMBERS, value=BYTES, moved=NUMBERS)
def test_what_a_key_holds_is_read(revision: int, value: bytes, moved: int) -> None:
    answer = answer_with(revision, 7, succeeded=False)
    answer.responses.add().response_put.header.revision = revision
    found = answer.responses.add().response_range
    found.header.revision = revision
    assert read(answer).found(1) is None
    found.kvs.add(key=b"f", value=value, create_revision=1, mod_revision=moved, version=3)
    found.count = 1
    told = read(answer)
    assert (told.header, told.succeeded, told.found(1)) == ((revision, 7), False, (value, moved))


@given(value=BYTES, moved=NUMBERS)
def test_what_the_transaction_within_another_did_is_read(value: bytes, moved: int) -> None:
    answer = answer_with(9, 7, succeeded=True)
    inner = answer.responses.add().response_txn
    inner.responses.add().response_range.kvs.add(key=b"k", value=value, mod_revision=moved)
    told = read(answer).nested(0)
    assert (told.succeeded, told.found(0)) == (False, (value, moved))


@given(st.binary(max_size=200))
def test_any_other_bytes_are_an_answer_or_an_error_and_no_hang(message: bytes) -> None:
    with contextlib.suppress(ValueError):
        answer = TxnAnswer.FromString(message)
        answer.found(0)
        answer.nested(0)


def test_a_response_that_is_missing_or_of_another_kind_is_an_error() -> None:
    answer = answer_with(9, 7)
    answer.responses.add().response_put.header.revision = 9
    with pytest.raises(ValueError, match="another kind"):
        read(answer).found(0)
    with pytest.raises(ValueError, match="missing"):
        read(answer).deleted(1)


@given(revision=NUMBERS, value=BYTES)
def test_an_answer_that_is_cut_short_is_an_error(revision: int, value: bytes) -> None:
    answer = answer_with(revision, 7)
    answer.responses.add().response_range.kvs.add(key=b"f", value=value, mod_revision=5)
    with pytest.raises(ValueError, match="cut short"):
        TxnAnswer.FromString(answer.SerializeToString()[:-1])
