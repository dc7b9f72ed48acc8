# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Few keys and all clients at each of them: reads, writes, compare-and-set and deletes.

What the name service cannot show: two clients at one key at the same moment. No two writes have the same value, so a
read tells which one it saw.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate
from random import Random
from typing import Any

from .base import CAS, DELETE, RETRIEVE, WRITE, Draw, Sharing, Workload
from .options import mix, whole_number

# Few enough that clients meet at a key.
KEYS = 10
# As many reads as writes that always take effect; a third of the compare-and-sets or more find another value.
MIX = {RETRIEVE: 40, WRITE: 25, CAS: 25, DELETE: 10}


class Register(Workload):
    """Registers that all clients read and write. One operation an iteration.

    A CAS expects what the key would hold if all operations before it in the stream had taken effect in its order; one
    of a key that would hold nothing is a WRITE instead.
    """

    name = "register"
    says = "few keys that all clients read, write, compare-and-set and delete"
    sharing = Sharing.ALL_CLIENTS
    options = ("keys", "mix")

    def draws(self, iterations: int, seed: int, options: Mapping[str, Any]) -> Iterator[Draw]:
        """Yield the operations; values are their indexes."""
        keys = range(whole_number(options, "keys", KEYS, least=1, most=1_000_000))
        shares = mix(options, MIX)
        kinds, bounds = list(shares), list(accumulate(shares.values()))
        source = Random(seed)
        would_hold: dict[int, str] = {}
        for index in range(iterations):
            key, [kind] = source.choice(keys), source.choices(kinds, cum_weights=bounds)
            expected = would_hold.get(key)
            if kind == RETRIEVE:
                yield RETRIEVE, key
            elif kind == DELETE:
                yield DELETE, key
                would_hold.pop(key, None)
            else:
                value = would_hold[key] = str(index)
                if kind == WRITE or expected is None:
                    yield WRITE, key, value
                else:
                    yield CAS, key, value, expected

    def key_name(self, key: int) -> str:
        """Return the name of a register."""
        return f"register{key}"
