# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The notebook that this lab reproduces: what it measured, and the same quantities of a run beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...sentences import plural
from ...workloads.name_service import NameService
from .base import Chapter, Told

# As published (docs/measuring.md): 100,000 iterations, seed 123, one client, three etcd nodes, one MySQL server.
ITERATIONS = 100_000
SEED = 123
COUNTS = {"CREATE": 40_234, "RETRIEVE": 41_989, "DELETE": 17_777}
EXPECTED_KEYS = 22_457
ETCD = {"duration_s": 71.0, "ops_per_s": 1_396.94, "client_cpu_s": 26.5}
MYSQL = {"duration_s": 162.0, "ops_per_s": 617.0, "client_cpu_s": 63.0}
ETCD_FAULT = {"duration_s": 73.0, "ops_per_s": 1_353.82}
ETCD_FAULT_INDEX = 11_973

MYSQL_DURABILITY = ("innodb_flush_log_at_trx_commit", "sync_binlog")

Experiment = Mapping[str, Any]


class Notebook(Chapter):
    """Quantities of the notebook and of the run, row by row."""

    anchor = "notebook"
    title = "The notebook\u2019s table beside this run\u2019s"

    # Not ``optional``: that is for chapters which no report had at first, and reports are compared to the last byte.

    def compute(self, told: Told) -> dict[str, Any]:
        """Compare them; a run of another workload has nothing to compare."""
        if told.run.stream.get("name", NameService.name) != NameService.name:
            return {"notebook": None}
        return {"notebook": compare(told.run.info, told.experiments, told.run.info["settings"])}

    def stands(self, content: Mapping[str, Any]) -> bool:
        """Tell whether there is something to compare."""
        return content["notebook"] is not None


def pick(experiments: Sequence[Experiment], system: str, actions: Sequence[str]) -> Experiment | None:
    """Return the run's first experiment of that system whose faults have just these actions, repeated or not."""
    wanted = list(actions)
    return next((e for e in experiments if e["system"] == system and _actions(e) == wanted), None)


def _actions(experiment: Experiment) -> list[str]:
    """Return the actions of an experiment's faults as it defines them: those of one repeat."""
    bases = {fault["base"]: fault["action"] for fault in experiment["faults"]}
    return list(bases.values())


def compare(
    run: Mapping[str, Any], experiments: Sequence[Experiment], settings: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Put the notebook's quantities beside a run's.

    :param run: ``iterations``, ``seed``, ``clients`` and ``rate`` (operations per s) of the run
    :param experiments: the report's experiments
    :param settings: effective settings by system
    :returns: ``same_stream``, ``comparable``, ``reasons`` why not, and ``groups`` of rows (label, format, the
        notebook's value and the run's, None where not measured), each group with a sentence on why the two differ.
    """
    reasons = []
    if run["iterations"] != ITERATIONS:
        reasons.append(f"this run has {plural(run['iterations'], 'iteration')}, the notebook {ITERATIONS:,}")
    if run["seed"] != SEED:
        reasons.append(f"this run has seed {run['seed']}, the notebook {SEED}")
    same_stream = not reasons
    if run["clients"] != 1:
        reasons.append(f"this run has {run['clients']} clients, the notebook one")
    if run["rate"]:
        reasons.append(
            f"this run has a rate of {run['rate']:,g} op/s, the notebook sent each operation when the last was done"
        )
    etcd, mysql = pick(experiments, "etcd", []), pick(experiments, "mysql", [])
    stopped = pick(experiments, "etcd", ["stop"])
    struck = stopped if stopped is not None and any(fault["fired"] for fault in stopped["faults"]) else None
    return {
        "same_stream": same_stream,
        "comparable": not reasons,
        "reasons": reasons,
        "groups": [
            _stream(experiments, same_stream),
            _group("etcd, healthy", _name(etcd), _why_etcd(run["clients"]), _speed(ETCD, etcd)),
            _group("MySQL, healthy", _name(mysql), _why_mysql(settings.get("mysql", {})), _speed(MYSQL, mysql)),
            _stop(stopped, struck),
            _ratios(etcd, mysql, struck),
            _keys(experiments),
        ],
    }


def _row(label: str, form: str, notebook: float | None, ours: float | None) -> dict[str, Any]:
    return {"label": label, "format": form, "notebook": notebook, "ours": ours}


def _group(title: str, name: str | None, why: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    if all(row["ours"] is None for row in rows):
        why = "No experiment of this run measures it."
    return {"title": title, "experiment": name, "why": why, "rows": rows}


def _name(experiment: Experiment | None) -> str | None:
    return experiment["name"] if experiment else None


def _stream(experiments: Sequence[Experiment], same_stream: bool) -> dict[str, Any]:
    """Rows of the stream: counts by kind, and the keys that have to remain."""
    stream = experiments[0]["stream"] if experiments else {}
    rows = [_row(f"{kind} operations", "count", count, stream.get(kind)) for kind, count in COUNTS.items()]
    remaining = stream["CREATE"] - stream["DELETE"] if stream else None
    rows.append(_row("CREATE less DELETE: keys expected", "count", EXPECTED_KEYS, remaining))
    same = same_stream and all(row["notebook"] == row["ours"] for row in rows)
    why = (
        "Nothing differs: the same draws from the same seed give the same stream."
        if same
        else "Iterations or seed differ, and with them the stream."
        if not same_stream
        else "They should not differ: the history does not match the stream of this seed (see the checks)."
    )
    return _group("Stream of operations", None, why, rows)


def _speed(notebook: Mapping[str, float], experiment: Experiment | None) -> list[dict[str, Any]]:
    """Rows of one system: wall time, rate, and CPU time of the client where the notebook has it."""
    rows = []
    for key, label, form in (
        ("duration_s", "wall time", "duration"),
        ("ops_per_s", "operations per s", "rate"),
        ("client_cpu_s", "CPU time of the client", "seconds"),
    ):
        if key in notebook:
            rows.append(_row(label, form, notebook[key], experiment[key] if experiment else None))
    return rows


def _why_etcd(clients: int) -> str:
    """Say what differs in the healthy etcd experiment."""
    load = "one client, as there" if clients == 1 else f"{clients} clients instead of one"
    return (
        f"Another machine (see the cover), {load}, the same package (etcd3). Here every request has a deadline, and "
        "each operation is timed and written to the history while the run goes on."
    )


def _why_mysql(settings: Mapping[str, Any]) -> str:
    """Say what differs in the MySQL experiment, with the durability settings that were in force here."""
    known = [f"{name} = {settings[name]}" for name in MYSQL_DURABILITY if name in settings]
    durability = ", ".join(known) if known else "not recorded"
    return (
        "Another machine and another client: the notebook sent each statement through a notebook magic, here PyMySQL "
        f"sends it with parameters over an open connection. Durability here: {durability}; the notebook does not say "
        "what its server had."
    )


def _stop(experiment: Experiment | None, struck: Experiment | None) -> dict[str, Any]:
    """Rows of the experiment with a stop; ``struck`` is the same experiment where that happened, else None.

    The notebook stopped a node once: of repeats the place is the first one's and the gap the median one.
    """
    fired = [fault for fault in struck["faults"] if fault["fired"]] if struck else []
    gap = struck["repetition"][0]["measures"][0] if struck else None
    assert gap is None or gap["name"] == "gap"
    several = len(fired) > 1
    median = "median time" if gap is not None and gap["n"] > 1 else "time"
    endless = "" if gap is None or not gap["endless"] else ", at least"
    group = _group(
        "etcd, one node stopped",
        _name(experiment),
        "The notebook stopped the node in use, by hand, leader or not, retried any error after a fixed 2 s, and "
        "recorded no latencies. Here the fault goes to its target at a fixed place of the stream, and the client tries "
        "the next member at once." + (f" It struck {len(fired)} times here, so wall times differ." if several else ""),
        [
            _row(
                f"{'first ' if several else ''}stopped at operation",
                "count",
                ETCD_FAULT_INDEX,
                fired[0]["at_index"] if fired else None,
            ),
            *_speed(ETCD_FAULT, struck),
            _row(
                f"{median} without an acknowledged operation{endless}",
                "ms",
                None,
                gap["median_ms"] if gap else None,
            ),
        ],
    )
    if experiment is None:
        group["why"] = "No experiment of this run stops one etcd node and does nothing else."
    elif struck is None:
        group["why"] = "The fault did not strike: no node was stopped."
    return group


def _ratio(above: Experiment | None, below: Experiment | None) -> float | None:
    if above is None or below is None or above["ops_per_s"] is None or not below["ops_per_s"]:
        return None
    return float(above["ops_per_s"] / below["ops_per_s"])


def _ratios(etcd: Experiment | None, mysql: Experiment | None, fault: Experiment | None) -> dict[str, Any]:
    """Rows with ratios of rates: they depend less on the machine than the rates."""
    return _group(
        "Ratios of operations per s",
        None,
        "Here both systems get the same stream through clients that work alike; in the notebook the clients differ. "
        "With a member stopped, two share the disk and the CPU where three did, so the second ratio is "
        "not the cost of the failover alone. Each is a single run.",
        [
            _row("etcd to MySQL, healthy", "ratio", ETCD["ops_per_s"] / MYSQL["ops_per_s"], _ratio(etcd, mysql)),
            _row(
                "etcd with a node stopped to healthy",
                "ratio",
                ETCD_FAULT["ops_per_s"] / ETCD["ops_per_s"],
                _ratio(fault, etcd),
            ),
        ],
    )


def _keys(experiments: Sequence[Experiment]) -> dict[str, Any]:
    """Rows of the keys at the end, one for each member of each experiment."""
    return _group(
        "Keys at the end",
        None,
        "The notebook compared this number and nothing else; here every key and its value is compared on every member "
        "(see the checks).",
        [
            _row(f"{experiment['name']}, {member['name']}", "count", EXPECTED_KEYS, member["keys"])
            for experiment in experiments
            for member in experiment["members"]
        ],
    )
