# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the operations.json files of etcd's robustness tests, one for each client (tests/robustness/report/client.go).

A line is ``{"ClientId", "Input", "Call", "Output", "Return"}``. Read are ranges of one key at the newest revision, and
transactions without conditions that put or delete one key. Whatever else touches keys is named as not read: several
keys change at one moment there, or what happens depends on revisions, and neither can be judged key by key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..checks.operations import Action, Call, History
from ..shapes import LabError
from .pairing import damaged

NAME = "etcd"
FILE = "operations.json"

# Requests that leave all keys alone; revoking a lease does not.
_PASSED_OVER = ("defragment", "leaseGrant", "compact")


class _NotReadError(Exception):
    """A request that the check cannot judge; says which."""


def looks_so(start: str) -> bool:
    """Tell whether a file that begins so is one of these."""
    return start.lstrip().startswith('{"ClientId":') and '"Input":' in start


def load(files: Iterable[tuple[Path, Iterable[str]]]) -> History:
    """Read the files of all clients.

    Raises :class:`LabError` where one is damaged or has a request that is not read, and where the revisions show that
    clients wrote whose operations are not there.
    """
    calls: dict[str, list[Call]] = {}
    newest, changes = 1, 0
    path = None
    for path, lines in files:
        for number, row in _rows(path, lines):
            try:
                call, key = _call(row, number, path.parent.name)
                newest = max(newest, row["Output"].get("Revision") or 0)
                changes += row["Input"]["Type"] == "txn"
                if call is not None:
                    calls.setdefault(key, []).append(call)
            except _NotReadError as error:
                raise LabError(
                    f"{path}: line {number}: {error} is not read, only ranges, puts and deletes of one key; give "
                    "a history without it"
                ) from error
            except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
                raise damaged(path, number, f"{error!r}", NAME) from error
    # A store begins with revision 1, and each change takes the next one.
    if newest > 1 + changes:
        raise LabError(
            f"{path}: the answers name revision {newest}, and the operations make no more than {1 + changes}: those of "
            "other clients are missing; give the folder that holds all of client-1, client-2, ..."
        )
    return History(None, calls)


def files_beside(path: Path) -> list[Path]:
    """Return the files of all clients, where one of them is given, or the folder of all."""
    if path.is_dir():
        return sorted(path.glob(f"client-*/{FILE}"))
    if path.name == FILE and path.parent.name.startswith("client-"):
        return files_beside(path.parent.parent)
    return [path]


def _rows(path: Path, lines: Iterable[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except ValueError as error:
            raise damaged(path, number, str(error), NAME) from error
        if (
            not isinstance(row, dict)
            or not isinstance(row.get("Input"), dict)
            or not isinstance(row.get("Output"), dict)
        ):
            raise damaged(path, number, "no operation", NAME)
        yield number, row


def _call(row: Mapping[str, Any], number: int, client: str) -> tuple[Call | None, str]:
    """Return what a row says of its key, and the key; None where it says nothing."""
    request, answer = row["Input"], row["Output"]
    # Without an answer, the outcome is unknown; so is the moment of what is only known to have been persisted.
    known = not (answer.get("Error") or answer.get("PartialResponse") or answer.get("Persisted"))
    begin, end = int(row["Call"]), int(row["Return"]) if known else None
    label = f"{{}} of client {row['ClientId']} ({client}, line {number})"
    if answer.get("ClientError"):
        raise _NotReadError(f"the answer {answer['ClientError']!r}")
    if request["Type"] == "range":
        wanted = request["Range"]
        if wanted["End"] or wanted["Revision"]:
            raise _NotReadError("a range of several keys, or of an old revision,")
        if not known:
            return None, wanted["Start"]
        found = answer["Range"]["KVs"] or []
        value = _value(found[0]["Value"]) if found else None
        return Call(Action.READ, None, value, begin, end, label.format(f"read {value!r}")), wanted["Start"]
    if request["Type"] == "txn":
        return _change(request["Txn"], answer.get("Txn"), known, begin, end, label)
    if request["Type"] in _PASSED_OVER:
        return None, ""
    raise _NotReadError(f"a request of type {request['Type']!r}")


def _change(
    txn: Mapping[str, Any], answer: Mapping[str, Any] | None, known: bool, begin: int, end: int | None, label: str
) -> tuple[Call | None, str]:
    steps = txn["OperationsOnSuccess"] or []
    if txn["Conditions"] or txn["OperationsOnFailure"] or len(steps) != 1:
        raise _NotReadError("a transaction with conditions or of several operations")
    step = steps[0]
    if step["Type"] == "put-operation":
        if step["Put"].get("LeaseID"):
            raise _NotReadError("a put with a lease")
        value = _value(step["Put"]["Value"])
        return Call(Action.WRITE, value, None, begin, end, label.format(f"put {value!r}")), step["Put"]["Key"]
    if step["Type"] == "delete-operation":
        key = step["Delete"]["Key"]
        if not known or answer is None:
            return Call(Action.WRITE, None, None, begin, end, label.format("delete")), key
        if answer["Results"][0]["Deleted"]:
            return Call(Action.REMOVE, None, None, begin, end, label.format("delete")), key
        return Call(Action.READ, None, None, begin, end, label.format("delete, which found nothing,")), key
    raise _NotReadError(f"a transaction with a {step['Type']!r}")


def _value(given: Mapping[str, Any]) -> str:
    # Long values are kept as their hash.
    return str(given["Value"]) if given.get("Value") else f"hash {given.get('Hash', 0)}"
