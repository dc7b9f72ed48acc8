# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The notebook's workload: operations of a small name service.

Devices join a network with an IPv4 address (CREATE), are looked up (RETRIEVE) and leave (DELETE).
The stream makes the draws of the notebook that this lab reproduces, in its order, so that the
published counts and digests come out again for any seed; docs/measuring.md lists the draws.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

from .base import CREATE, DELETE, RETRIEVE, Draw, Workload
from .packed import zeros

# A draw at or below this looks up or deletes a live device, anything above creates one.
SHARE_ON_LIVE = 0.6
# Of those, a draw at or below this deletes.
SHARE_OF_DELETES = 0.3
# Devices are called NAME + a number from 0 to this + " " + KIND OF DEVICE.
LARGEST_NUMBER = 10_000

_NAME_TEXT = (
    "Abena Adil Agnes Aiko Ailsa Akira Alba Aldo Alma Amadou Amina Anders Anika Anton Arash Arvid Asha Astrid Aylin "
    "Aziz Bao Beatriz Benedikt Bianca Birgit Boris Brigid Bruno Callum Carmen Cesar Chidi Chiara Ciro Clara Cosima "
    "Dalia Damir Daria Deniz Dimitri Dina Dora Edda Edwin Eero Efua Eiji Elif Elin Emeka Enzo Erika Esben Esra "
    "Estela Fabio Farah Fatima Felix Femke Filip Fiona Florin Frida Galina Gerda Gustav Hakan Halima Hamid Hanna "
    "Haruki Hedda Hilda Hiro Hugo Ida Idris Ilse Imani Indira Inga Irina Ismail Ivana Ivar Jadwiga Jamila Jana Jarek "
    "Javier Jelena Jonas Jorge Juana Jukka Kaito Kalle Karim Katya Keiko Kenji Kerstin Khadija Kofi Kwame Laila Lars "
    "Leila Lena Liv Livia Lorenzo Luisa Magnus Mahdi Maja Malik Manuela Marek Margot Marisol Marta Matteo Mehmet "
    "Meera Mika Milan Mina Mirko Moira Nadia Naoko Nasrin Neven Niamh Nils Nina Nuria Olga Oskar Otto Paloma Paolo "
    "Pavel Petra Pilar Priya Quentin Rafiq Ragna Rana Renata Rosa Ruben Saskia Selma Sigrid Silvio Soren Stefan Svea "
    "Tariq Tomas Ulrika"
)
_NAMES = _NAME_TEXT.split()
# In the notebook's list of 168 two names stand twice. A repeated name is drawn twice as often and makes
# names of live devices come up again sooner, so the stream depends on which positions are equal.
_NAMES.insert(43, _NAMES[21])
_NAMES.insert(143, _NAMES[27])
GIVEN_NAMES = tuple(_NAMES)
DEVICE_KINDS = ("router", "printer", "laptop", "tablet", "camera", "phone", "sensor", "switch", "laptop")

_OCTET_BITS = (256).bit_length()
# Addresses in a block of the live list: long enough for few blocks, short enough for a cheap list.pop.
_BLOCK = 4096


class _OrderedAddresses:
    """Addresses, as numbers, in insertion order with fast access and removal by position.

    One flat list would move half of itself at every removal (quadratic over a run); here a removal
    moves at most one block and renumbers the starts of the later ones.
    """

    def __init__(self) -> None:
        self._blocks: list[array[int]] = [array("I")]
        self._starts = [0]  # position of each block's first address

    def append(self, address: int) -> None:
        last = self._blocks[-1]
        if len(last) == _BLOCK:
            self._starts.append(self._starts[-1] + _BLOCK)
            last = array("I")
            self._blocks.append(last)
        last.append(address)

    def at(self, position: int) -> int:
        block = bisect_right(self._starts, position) - 1
        return self._blocks[block][position - self._starts[block]]

    def remove_at(self, position: int) -> None:
        starts = self._starts
        block = bisect_right(starts, position) - 1
        del self._blocks[block][position - starts[block]]
        for later in range(block + 1, len(starts)):
            starts[later] -= 1


class NameService(Workload):
    """Devices that join, are looked up and leave.

    There can be a few more operations than iterations: an address that is drawn again while assigned deletes its
    device first.
    """

    name = "name_service"
    says = "devices that join, are looked up and leave"

    def draws(self, iterations: int, seed: int, options: Mapping[str, Any]) -> Iterator[Draw]:
        """Yield what ``iterations`` draws of the notebook give."""
        return draw_operations(iterations, Random(seed))

    def key_name(self, key: int) -> str:
        """Return the name of a device."""
        named, kind = divmod(key, len(DEVICE_KINDS))
        name, number = divmod(named, LARGEST_NUMBER + 1)
        return f"{GIVEN_NAMES[name]}{number} {DEVICE_KINDS[kind]}"


def _draw_address(bits: Callable[[int], int]) -> tuple[int, str]:
    """Return an address as a number and as text."""
    while (first := bits(_OCTET_BITS)) > 255:
        pass
    while (second := bits(_OCTET_BITS)) > 255:
        pass
    while (third := bits(_OCTET_BITS)) > 255:
        pass
    while (fourth := bits(_OCTET_BITS)) > 255:
        pass
    return first << 24 | second << 16 | third << 8 | fourth, f"{first}.{second}.{third}.{fourth}"


def draw_operations(iterations: int, source: Random) -> Iterator[Draw]:
    """Yield the operations that ``source`` gives, drawing from it as the notebook does.

    ``choice`` and ``randint`` of :mod:`random` are written out as what they are, draws of as many bits
    as the number of choices has, repeated while too large: the calls themselves cost more than the rest.
    A device is the number that ``key_name`` names, of equal names the first.
    """
    draw = source.random
    bits = source.getrandbits
    names = [GIVEN_NAMES.index(name) for name in GIVEN_NAMES]
    kinds = [DEVICE_KINDS.index(kind) for kind in DEVICE_KINDS]
    name_count, kind_count, number_count = len(names), len(kinds), LARGEST_NUMBER + 1
    name_bits, kind_bits, number_bits = name_count.bit_length(), kind_count.bit_length(), number_count.bit_length()

    device_at: dict[int, int] = {}  # live address -> its device
    is_live = zeros(name_count * number_count * kind_count)  # a byte a device
    addresses = _OrderedAddresses()

    for _ in range(iterations):
        live_count = len(device_at)
        if live_count and draw() <= SHARE_ON_LIVE:
            position_bits = live_count.bit_length()
            while (position := bits(position_bits)) >= live_count:
                pass
            address = addresses.at(position)
            if draw() <= SHARE_OF_DELETES:
                addresses.remove_at(position)
                device = device_at.pop(address)
                is_live[device] = 0
                yield DELETE, device
            else:
                yield RETRIEVE, device_at[address]
            continue

        address, text = _draw_address(bits)
        while True:
            while (name := bits(name_bits)) >= name_count:
                pass
            while (number := bits(number_bits)) >= number_count:
                pass
            while (kind := bits(kind_bits)) >= kind_count:
                pass
            device = (names[name] * number_count + number) * kind_count + kinds[kind]
            if not is_live[device]:
                break
        replaced = device_at.get(address)
        if replaced is None:
            addresses.append(address)
        else:
            is_live[replaced] = 0
            yield DELETE, replaced
        device_at[address] = device
        is_live[device] = 1
        yield CREATE, device, text
