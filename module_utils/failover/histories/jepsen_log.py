# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
r"""Reads Jepsen's logs, of a register: a call or a return a line, among lines of other loggers.

The operation is the same through the years, ``PROCESS<TAB>:STAGE<TAB>:F<TAB>VALUE[<TAB>ERROR]``
(jepsen.util/log-op), what stands before it is not::

    INFO  jepsen.util - 0\t:invoke\t:write\t1                                                           2013
    2015-05-12 15:20:12,345{GMT}\tINFO\t[jepsen worker 3] jepsen.util: 0\t:invoke\t:write\t1              2015, 2018 on
    INFO [2017-03-30 22:26:45,322] jepsen worker 4 - jepsen.util 4\t:invoke\t:write\t1                    2017
    0\t:invoke\t:write\t1                                                                                history.txt

Lines of the nemesis and of other loggers, and traces of exceptions, are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..checks.operations import History
from ..shapes import LabError
from . import register
from .edn import EdnError, read_form
from .pairing import NotAStepError, Step, damaged, not_read, pair_up

NAME = "jepsen"

_PREFIX = r"(?:.*?\bjepsen\.util\b(?:\s*[-:])?\s+)?"
_OPERATION = re.compile(_PREFIX + r"(\d{1,18})\s+:(invoke|ok|fail|info)\s+(:\S+)\s+(\S.*)", re.DOTALL)
# Of the nemesis, or of another thread that is no client.
_NO_CLIENT = re.compile(_PREFIX + r":[\w-]+\s+:(?:invoke|ok|fail|info)\s.*", re.DOTALL)
# Of another logger, or of jepsen.util but no operation.
_OTHER_LINE = re.compile(
    r"(?:\S+\s+\S+\s+)?(?:TRACE|DEBUG|INFO|WARN|ERROR|FATAL)\b(?!.*\bjepsen\.util\b(?:\s*[-:])?\s+(?:\d+|:)).*",
    re.DOTALL,
)
_TRACE = re.compile(r"\s+\S.*|Caused by: .*|[\w.$]+(?:Exception|Error|ExceptionInfo)\b.*|\s*\.\.\. \d+ .*", re.DOTALL)


def looks_so(start: str) -> bool:
    """Tell whether a file that begins so is such a log."""
    return any("jepsen.util" in line or _OPERATION.match(line) or _NO_CLIENT.match(line) for line in start.splitlines())


def load(path: Path, lines: Iterable[str]) -> History:
    """Read a log; :class:`LabError` where a line is damaged, or its operation is none of a register."""
    return pair_up(path, _steps(path, lines), None)


def _steps(path: Path, lines: Iterable[str]) -> Iterator[Step]:
    found = False
    for number, text in enumerate(lines, 1):
        match = _OPERATION.fullmatch(text)
        if match is None:
            if not text.strip() or _NO_CLIENT.fullmatch(text) or _OTHER_LINE.fullmatch(text) or _TRACE.fullmatch(text):
                continue
            raise damaged(path, number, f"{text.strip()[:60]!r}", NAME)
        process, stage, name, rest = match.groups()
        action = register.ACTIONS.get(name)
        if action is None:
            raise not_read(path, number, f"the operation {name}, where only :read, :write and :cas of a register are")
        try:
            # What failed may have anything there.
            value = _value(rest) if stage in ("invoke", "ok") else None
            yield register.step_of(number, int(process), stage, action, value)
        except EdnError as error:
            raise damaged(path, number, error.why, NAME) from error
        except NotAStepError as error:
            raise not_read(path, number, str(error)) from error
        found = True
    if not found:
        raise LabError(f"{path} holds no operation of a register; give a log that has some")


@lru_cache(maxsize=4096)
def _value(text: str) -> Any:
    return read_form(text)[0]
