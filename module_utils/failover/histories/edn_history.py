# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads histories in EDN: Jepsen's history.edn, Knossos' data files, and a map of strings (porcupine's kv files).

An operation is a map with ``:process``, ``:type``, ``:f`` and ``:value``, or a record of such (``#jepsen.history.Op``);
they stand one after the other, or in one vector or list. What is no client's is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..checks.operations import Action, History
from ..shapes import LabError
from . import register
from .edn import EdnError, Name, Tagged, read_forms, told
from .pairing import STAGES, NotAStepError, Step, damaged, not_read, pair_up

_TYPE, _F, _VALUE, _PROCESS, _KEY = map(Name, (":type", ":f", ":value", ":process", ":key"))
_STAGES: dict[Any, str] = {Name(f":{stage}"): stage for stage in STAGES}

KV_ACTIONS = {":get": Action.READ, ":put": Action.WRITE, ":append": Action.APPEND}

REGISTER, KV = "jepsen", "kv"

# Makes a step of an operation: its line, process, stage, action, value and map.
_Reader = Callable[[int, int, str, Action, Any, dict[Any, Any]], Step]


def load(path: Path, text: str, file_format: str | None = None) -> History:
    """Read a history; :class:`LabError` where it is damaged, or of something that is not read.

    :param file_format: REGISTER or KV; None: whichever its first operation is of
    """
    operations = _operations(path, text)
    first = next(operations, None)
    if first is None:
        raise LabError(f"{path} holds no operation of a client; give a history that has some")
    if file_format is None:
        file_format = KV if told(first[1].get(_F)) in KV_ACTIONS else REGISTER
    steps = _steps(path, first, operations, file_format)
    return pair_up(path, steps, "" if file_format == KV else None)


def _operations(path: Path, text: str) -> Iterator[tuple[int, dict[Any, Any]]]:
    """Yield the operations of clients, each with its line."""
    try:
        for line, form in read_forms(text):
            while isinstance(form, Tagged) and not isinstance(form.value, Name):
                tag, form = form.tag, form.value
                if not isinstance(form, dict | Tagged):
                    raise not_read(path, line, f"a record #{tag}")
            if not isinstance(form, dict):
                raise not_read(path, line, f"{told(form)[:60]} is no operation")
            if _F not in form and _TYPE not in form:
                raise LabError(
                    f"{path}: line {line} is a map without :type and :f, so no operation; give Jepsen's history.edn, "
                    "not its results.edn or test.edn"
                )
            process = form.get(_PROCESS)
            if isinstance(process, int):
                yield line, form
            elif not isinstance(process, Name):
                raise not_read(path, line, "the operation has no :process")
    except EdnError as error:
        raise damaged(path, error.line, error.why, "EDN") from error


def _steps(
    path: Path,
    first: tuple[int, dict[Any, Any]],
    rest: Iterator[tuple[int, dict[Any, Any]]],
    file_format: str,
) -> Iterator[Step]:
    actions, read, wanted = {
        REGISTER: (register.ACTIONS, _register_step, ":read, :write and :cas of a register"),
        KV: (KV_ACTIONS, _kv_step, ":get, :put and :append of a map of strings"),
    }[file_format]

    def step(line: int, operation: dict[Any, Any]) -> Step:
        kind, name = operation.get(_TYPE), told(operation.get(_F))
        stage = _STAGES.get(kind) if isinstance(kind, Name) else None
        if stage is None:
            raise not_read(path, line, f":type is {told(kind)}")
        action = actions.get(name)
        if action is None:
            raise not_read(path, line, f"the operation {name}, where only {wanted} are")
        try:
            return read(line, operation[_PROCESS], stage, action, operation.get(_VALUE), operation)
        except NotAStepError as error:
            raise not_read(path, line, str(error)) from error

    yield step(*first)
    for line, operation in rest:
        yield step(line, operation)


def _register_step(line: int, process: int, stage: str, action: Action, value: Any, _: dict[Any, Any]) -> Step:
    return register.step_of(line, process, stage, action, value)


def _kv_step(line: int, process: int, stage: str, action: Action, value: Any, operation: dict[Any, Any]) -> Step:
    key = operation.get(_KEY)
    if not isinstance(key, str):
        raise NotAStepError(f":key is {told(key)}, and has to be a text")
    if value is not None and not isinstance(value, str):
        raise NotAStepError(f":value is {told(value)}, and has to be a text or nil")
    return Step(line, str(process), stage, action, key, "" if value is None else value)
