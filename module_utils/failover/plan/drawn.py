# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Draws the faults of an experiment from a seed, as data like any that a user writes.

The same seed gives the same faults on every machine, so that a run that failed is repeated by its seed. The drawn
faults stand in experiment.json, from where they can be written into a catalog one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Annotated, Any

import msgspec

from ..actions.registry import ACTIONS
from ..shapes import LabError
from ..typed import convert

# What an experiment's ``faults`` say to have them drawn: the word alone, or as a key with settings.
RANDOM = "random"
MOST_FAULTS = 50
_EXAMPLE = f"faults: {{{RANDOM}: {{count: 3, actions: [kill, pause]}}}}"


class Draw(msgspec.Struct, forbid_unknown_fields=True):
    """How faults are drawn."""

    seed: int | None = None  # None: that of the run
    count: Annotated[int, msgspec.Meta(ge=1, le=MOST_FAULTS)] = 4
    # Those that every machine can do.
    actions: Annotated[list[str], msgspec.Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: [action.name for action in ACTIONS.values() if action.drawable]
    )
    keep_majority: bool = True


# A part of the stream that is shorter has no room for a fault, its heal, and the member's return.
SHORTEST_PART = 20

# A fault strikes and heals within its own part of the stream. Shares of that part: the rest, after the heal, is the
# time that the member has to come back before the next fault.
STRIKES_WITHIN = (0.05, 0.30)
HEALS_WITHIN = (0.40, 0.60)
# Where no operation may get through, none comes that a heal could wait for: it comes after so many s. That is so where
# no quorum may be left, and where a primary is partitioned from its clients alone: its peers do not replace it.
HEALS_AFTER_S = (1.0, 5.0)


def draw_faults(given: str | Mapping[str, Any], seed: int, members: Sequence[str], repeat: int) -> list[dict[str, Any]]:
    """Return the faults of one repeat.

    With ``keep_majority`` one member is struck at a time, and only while a majority is left without it (the key of
    each fault says so, and the director looks when it strikes); without, several may be, and faults may overlap.

    :param given: ``random``, or ``{random: settings}`` with those of Draw
    :param seed: the run's
    :param repeat: from 1; each draws faults of its own
    """
    settings = _settings(given)
    source = Random(f"{seed if settings.seed is None else settings.seed}/{repeat}")
    faults = []
    for number in range(settings.count):
        fault: dict[str, Any] = {"action": source.choice(settings.actions)}
        if len(members) == 1:
            fault["target"] = "leader"
        elif settings.keep_majority:
            fault |= {"target": source.choice(("leader", "follower")), "keep_majority": True}
        else:
            fault["target"] = source.choice(("leader", "follower", "majority", "all"))
        fault["at"] = _share(number, settings.count, source.uniform(*STRIKES_WITHIN))
        action = ACTIONS[fault["action"]]
        fault |= action.draw(source, len(members))
        if not action.comes_back:
            in_time = len(members) == 1 or not settings.keep_majority or action.blocks_clients(fault)
            fault["heal"] = _heal(number, settings, source, in_time=in_time)
        faults.append(fault)
    return faults


def check_draw(given: str | Mapping[str, Any], operations: int, members: Sequence[str], repeats: int) -> None:
    """Raise LabError where faults that can be drawn do not fit into a repeat, whichever are drawn.

    :param operations: length of a repeat
    """
    settings = _settings(given)
    if operations < settings.count * SHORTEST_PART:
        raise LabError(
            f"faults: {RANDOM}: {settings.count} faults in {operations:,} operations have fewer than "
            f"{SHORTEST_PART} each. Try a smaller count, or more iterations."
        )
    if repeats > 1 and len(members) > 1 and not settings.keep_majority:
        raise LabError(
            f"faults: {RANDOM}: with keep_majority false all members may be taken away, and with repeats no quorum is "
            "left that they could come back to. Leave repeats or keep_majority out."
        )


def _heal(number: int, settings: Draw, source: Random, *, in_time: bool) -> str:
    if in_time:
        return f"{source.uniform(*HEALS_AFTER_S):.1f}s"
    return _share(number, settings.count, source.uniform(*HEALS_WITHIN))


def _share(number: int, count: int, within: float) -> str:
    """Return a place in one of ``count`` equal parts of the stream, as a share of the whole stream."""
    return f"{100 * (number + within) / count:.2f}%"


def _settings(given: str | Mapping[str, Any]) -> Draw:
    """Return the settings, checked; LabError names what is wrong."""
    if isinstance(given, str):
        return Draw()
    if list(given) != [RANDOM]:
        raise LabError(
            f"faults is {dict(given)!r}: as an object it has the one key {RANDOM}. Try faults: {RANDOM}, or {_EXAMPLE}."
        )
    try:
        settings = convert(given[RANDOM], Draw, f"faults: {RANDOM}")
    except LabError as error:
        raise LabError(f"{error} Try {_EXAMPLE}.") from None
    strange = [action for action in settings.actions if action not in ACTIONS]
    if strange:
        raise LabError(
            f"faults: {RANDOM}: actions has the unknown {', '.join(strange)}. Known are {', '.join(ACTIONS)}."
        )
    return settings
