# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A run's verdict as JUnit XML, which CI systems show as test results: a suite an experiment, a case a check.

There is no standard; the elements and attributes are those that Jenkins' xUnit plugin, GitLab and the usual actions of
GitHub read. An ``invalid`` check is a failure, an ``unknown`` one an error, each with its evidence as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from ..shapes import Verdict
from .files import VERDICT_FILE

# What XML 1.0 cannot have in a text (https://www.w3.org/TR/xml/#charsets), as a server's error message may.
NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
ELEMENTS = {Verdict.INVALID.value: "failure", Verdict.UNKNOWN.value: "error"}
# Characters of evidence a check: thousands of lost keys are in verdict.json.
MOST_EVIDENCE = 20_000


def junit(run: str, verdicts: Mapping[str, Mapping[str, Any]], took_s: Mapping[str, float | None]) -> str:
    """Return the XML document.

    :param run: its name
    :param verdicts: each experiment's verdict.json, by its name
    :param took_s: how long each experiment's workload took; a check has no time of its own
    """
    document = ET.Element("testsuites", {"name": run})
    for name, verdict in verdicts.items():
        checks: Sequence[Mapping[str, Any]] = verdict["checks"]
        suite = ET.SubElement(document, "testsuite", {"name": name, "tests": str(len(checks))})
        for word, element in ELEMENTS.items():
            suite.set(f"{element}s", str(sum(check["verdict"] == word for check in checks)))
        if (seconds := took_s.get(name)) is not None:
            suite.set("time", f"{seconds:.3f}")
        for check in checks:
            _add(suite, name, check)
    ET.indent(document)
    return ET.tostring(document, encoding="unicode", xml_declaration=False) + "\n"


def _add(suite: ET.Element, experiment: str, check: Mapping[str, Any]) -> None:
    """Add the case of one check."""
    case = ET.SubElement(suite, "testcase", {"classname": experiment, "name": _text(check["name"])})
    element = ELEMENTS.get(check["verdict"])
    if element is None:
        return
    found = ET.SubElement(case, element, {"type": check["verdict"], "message": _text(check["summary"])})
    evidence = json.dumps(check["evidence"], indent=1, ensure_ascii=False)
    cut = "" if len(evidence) <= MOST_EVIDENCE else f"\n... the rest is in {VERDICT_FILE}"
    found.text = _text(evidence[:MOST_EVIDENCE]) + cut


def _text(words: str) -> str:
    return NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", words)
