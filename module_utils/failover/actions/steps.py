# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps of a choreographed fault: what there are, how they are written down, and which cuts they add up to.

A step is a mapping with ``do`` and its options. Some are done by the agent on the target's host, the others by the
director, which sees all members and the clients. From whom a cut separates is told by role, as members have it then:
``target``, ``winner`` (who leads after it), ``losers`` (the others).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..host.packets import DIRECTIONS, HOW, Cut
from ..shapes import LabError
from .options import Choice, Number

# By whom a cut or its end is meant.
EVERYBODY, WINNER, LOSERS = "everybody", "winner", "losers"
# Where clients go.
OTHERS, ANYWHERE = "others", "anywhere"
# What can be waited for.
LEADER, WRITES = "leader", "writes"
# A step that waits holds everything up that comes after it: a minute is longer than any election.
MOST_MS = 60_000
# More steps than anybody reads.
MOST_STEPS = 100


@dataclass(frozen=True)
class Step:
    """One kind of step."""

    do: str
    says: str  # what it does, for people
    options: tuple[Choice | Number, ...] = ()
    by_agent: bool = False
    takes_s: float = 0.0  # how long it may take by itself, beyond what quick steps do

    def read(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return a step with all its options; LabError names what is wrong.

        :param name: of the step, as messages begin
        """
        known = ("do", *(option.key for option in self.options))
        foreign = [str(key) for key in given if key not in known]
        if foreign:
            raise LabError(
                f"{name} ({self.do}) has the unknown key {', '.join(foreign)}. Known are {', '.join(known)}."
            )
        return {"do": self.do, **{option.key: option.read(name, given) for option in self.options}}


_WITHIN = Number("within_ms", 1, MOST_MS, 5_000)
_FROM = Choice("from", "from", (EVERYBODY, WINNER, LOSERS), EVERYBODY)
_DIRECTION = Choice("direction", "direction", DIRECTIONS, "both")

STEPS: dict[str, Step] = {
    step.do: step
    for step in (
        Step("wait", "lets time pass", (Number("ms", 1, MOST_MS),), by_agent=True),
        Step("pause", "stops the target's processes", by_agent=True),
        Step("resume", "lets them go on", by_agent=True),
        Step(
            "cut",
            "holds up packets between the target and its peers",
            (
                _FROM,
                _DIRECTION,
                Choice("how", "how", HOW, "drop"),
                Choice("what", "what", ("all", "data"), "all"),
            ),
            by_agent=True,
        ),
        Step("mend", "lets them through again", (_FROM, _DIRECTION), by_agent=True),
        # MySQL took 42 s for it, with peers that do not answer.
        Step("force", "has the target go on alone, without the majority that it lost", by_agent=True, takes_s=100.0),
        Step("clients", "sends the clients to the other members", (Choice("to", "to", (OTHERS, ANYWHERE), OTHERS),)),
        Step(
            "await",
            "waits until another member leads, or until writes that began since then are acknowledged",
            (Choice("moment", "moment", (LEADER, WRITES), LEADER), Number("count", 1, 1_000, 1), _WITHIN),
        ),
        Step("read", "has clients make their next reads at the target", (Number("times", 1, 1_000, 1), _WITHIN)),
    )
}


def read_steps(name: str, given: Any) -> list[dict[str, Any]]:
    """Return the steps of a fault's data with all their options; LabError names what is wrong.

    :param name: of the fault, as messages begin
    """
    if not isinstance(given, list | tuple) or not 0 < len(given) <= MOST_STEPS:
        raise LabError(f"{name}: steps has to be a list of 1 to {MOST_STEPS} steps like {{do: wait, ms: 100}}.")
    steps = []
    for number, step in enumerate(given, 1):
        own = f"{name}, step {number}"
        do = step.get("do") if isinstance(step, Mapping) else None
        if not isinstance(do, str) or do not in STEPS:
            raise LabError(f"{own} is {step!r}. Write it like {{do: wait, ms: 100}}; known are {', '.join(STEPS)}.")
        read = STEPS[do].read(own, step)
        if read.get("ms", 0) is None:
            raise LabError(f"{own} (wait) lacks ms, the time in milliseconds.")
        steps.append(read)
    _check_order(name, steps)
    return steps


def told(step: Mapping[str, Any]) -> str:
    """Return a step in words, as it was written down or with its usual values."""
    kind = STEPS.get(step["do"])
    given = [(option.key, step[option.key]) for option in kind.options if option.key in step] if kind else []
    return " ".join(
        [
            step["do"],
            ", ".join(f"{key.removesuffix('ms').removesuffix('_')} {_value(key, each)}".strip() for key, each in given),
        ]
    ).strip()


def _value(key: str, value: Any) -> str:
    return f"{value:,} ms" if key.endswith("ms") else str(value)


def _check_order(name: str, steps: Sequence[Mapping[str, Any]]) -> None:
    """Refuse steps that need a moment which none before them waits for."""
    elected = False
    for number, step in enumerate(steps, 1):
        needs = step.get("from") in (WINNER, LOSERS) or step.get("moment") == WRITES
        if needs and not elected:
            raise LabError(
                f"{name}, step {number} ({step['do']}) is about what follows another leader: put "
                "{do: await, moment: leader} before it."
            )
        elected = elected or step.get("moment") == LEADER
    if not any(STEPS[step["do"]].by_agent and step["do"] != "wait" for step in steps):
        raise LabError(f"{name}: its steps do nothing to the target. Known are {', '.join(STEPS)}.")


def cuts_after(steps: Iterable[Mapping[str, Any]], peers: Sequence[str]) -> list[Cut]:
    """Return the cuts that are in force once these steps are done, those of each direction in the order of the peers.

    :param steps: as an agent gets them: a cut or mend that is not from everybody has ``peers``, their addresses
    :param peers: addresses of all peers
    """
    cuts: dict[tuple[str, str], Cut] = {}
    for step in steps:
        if step["do"] not in ("cut", "mend"):
            continue
        ways = ("in", "out") if step["direction"] == "both" else (step["direction"],)
        for way in ways:
            for peer in step.get("peers", peers):
                cuts.pop((way, peer), None)
                if step["do"] == "cut":
                    cuts[way, peer] = Cut(way, peer, step["how"], data_only=step["what"] == "data")
    return [cuts[way, peer] for way in ("in", "out") for peer in peers if (way, peer) in cuts]
