# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The names of the files of a results folder, and of those that become part of it. They stand nowhere else in code.

What is in them is told by :mod:`..shapes`.
"""

from __future__ import annotations

# Of a run.
RUN_FILE = "run.json"
PLAN_FILE = "plan.json"
REPORT_JSON_FILE, REPORT_HTML_FILE, REPORT_PDF_FILE = "report.json", "report.html", "report.pdf"

JUNIT_FILE = "junit.xml"

# Beside the runs: what the last selftest found, and what came of the controls.
SELFTEST_FILE = "selftest.json"
CONTROLS_FILE, CONTROLS_HTML_FILE, CONTROLS_PDF_FILE = "controls.json", "controls.html", "controls.pdf"

# Of a run, and of each experiment.
VERDICT_FILE = "verdict.json"

# Of an experiment.
EXPERIMENT_FILE = "experiment.json"
HISTORY_FILE = "history.parquet"
WATCH_FILE = "watch.parquet"
EVENTS_FILE = "events.jsonl"
NODES_FOLDER = "nodes"
LOGS_FOLDER = "logs"
LOG_FILES = f"{LOGS_FOLDER}/*.log"

# Of the load generator's work folder. They are collected, and become part of the others or are left behind.
HISTORY_LINES_FILE = "history.jsonl"  # the history while it is written; older folders still have it
WATCH_LINES_FILE = "watch.jsonl"  # what a watch is told while it is written
HEAL_EVENTS_FILE = "heal.jsonl"
SUMMARY_FILE = "summary.json"
PROGRESS_FILE = "progress.json"


def keys_file(member: str) -> str:
    """Return where an experiment keeps the keys of a member."""
    return f"{NODES_FOLDER}/{member}.jsonl"


def log_file(host: str) -> str:
    """Return where an experiment keeps the log of a server."""
    return f"{LOGS_FOLDER}/{host}.log"
