# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How old the answers of reads were that may be old, where answers have the store's revision."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..results.read import Experiment
from ..shapes import FORMER_SETTINGS, READ_KINDS, Outcome, ReadConsistency

_MS = 1_000_000


@dataclass(frozen=True)
class Staleness:
    """Of an experiment's acknowledged reads.

    A read is old whose answer is of a revision below one that some client had been given before the read began. It is
    by so much older, in ms, as there are between the first answer of a newer revision and the read's beginning.
    """

    reads: int
    old: int
    most_ms: float  # 0 where none was old
    most_revisions: int

    def as_dict(self) -> dict[str, Any]:
        """Return it as report.json has it."""
        return asdict(self)


def staleness_of(experiment: Experiment) -> Staleness | None:
    """Return how old the reads were; None where they were to be linearizable, or answers have no revision."""
    asked = experiment.info.get("read_consistency", FORMER_SETTINGS["read_consistency"])
    if asked == ReadConsistency.LINEARIZABLE:
        return None
    _, rows = experiment.history()
    table = rows.select(["kind", "outcome", "revision", "invoke_ns", "complete_ns"])
    ok = pc.and_(pc.equal(table["outcome"].cast(pa.string()), Outcome.OK.value), table["revision"].is_valid())
    table = table.filter(pc.fill_null(ok, False))
    if not table.num_rows:
        return None
    margin_ns = 2 * max((one["clock_uncertainty_ns"] for one in experiment.load_generators), default=0)
    is_read = pc.is_in(table["kind"].cast(pa.string()), pa.array([kind.value for kind in READ_KINDS])).to_numpy()
    revision, complete_ns = table["revision"].to_numpy(), table["complete_ns"].to_numpy()
    began_ns = table["invoke_ns"].to_numpy()[is_read] - margin_ns
    own = revision[is_read]
    order = np.argsort(complete_ns, kind="stable")
    given_ns, highest = complete_ns[order], np.maximum.accumulate(revision[order])
    before = np.searchsorted(given_ns, began_ns, side="left")
    behind = np.where(before > 0, highest[np.maximum(before, 1) - 1], 0) - own
    old = behind > 0
    since_ns = given_ns[np.searchsorted(highest, own[old], side="right")]
    return Staleness(
        reads=len(own),
        old=int(np.count_nonzero(old)),
        most_ms=float(np.max(began_ns[old] - since_ns, initial=0) / _MS),
        most_revisions=int(np.max(behind[old], initial=0)),
    )
