# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with a lab's variables and inventory, before any host is asked. One file a kind of check.

Every verb runs :func:`wrong_settings` (by way of the action plugin ``settings_check``), so that what one of them
refuses all of them refuse, in the same words.
"""

from __future__ import annotations

from .addresses import addresses
from .base import Given
from .experiments import experiments
from .inventory import groups, labs_own, nameless
from .limits import limits
from .names import names
from .numbers import numbers
from .ports import ports

__all__ = ["Given", "wrong_settings"]

CHECKS = (names, numbers, groups, addresses, ports, experiments, limits)
# What the role of a system relies on, whoever applies it.
CHECKS_ALONE = (names, numbers, addresses, ports)


def wrong_settings(given: Given) -> list[str]:
    """Return what is wrong, each as one line: what, where, what to try. Empty where nothing is."""
    unresolved = [
        f"{name} cannot be resolved: {why}. Look at what it refers to, in the inventory and in -e."
        for name, why in given.unresolved.items()
    ]
    if given.alone:
        return nameless(given) or unresolved or [line for check in CHECKS_ALONE for line in check(given)]
    # What follows from an inventory of another project would only hide that it is one.
    return labs_own(given) or unresolved or [line for check in CHECKS for line in check(given)]
