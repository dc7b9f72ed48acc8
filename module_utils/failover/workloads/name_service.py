# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The notebook's workload: operations of a small name service.

Devices join a network with an IPv4 address (CREATE), are looked up (RETRIEVE) and leave (DELETE).
The stream makes the draws of the notebook that this lab reproduces, in its order, so that the
published counts and digests come out again for any seed; docs/measuring.md lists the draws.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from .base import CREATE, DELETE, RETRIEVE, Operation, Workload

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
    """Addresses in insertion order with fast access and removal by position.

    One flat list would move half of itself at every removal (quadratic over a run); here a removal
    moves at most one block and renumbers the starts of the later ones.
    """

    def __init__(self) -> None:
        self._blocks: list[list[str]] = [[]]
        self._starts = [0]  # position of each block's first address

    def append(self, address: str) -> None:
        last = self._blocks[-1]
        if len(last) == _BLOCK:
            self._starts.append(self._starts[-1] + _BLOCK)
            last = []
            self._blocks.append(last)
        last.append(address)

    def at(self, position: int) -> str:
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

    def operations(self, iterations: int, seed: int, options: Mapping[str, Any]) -> list[Operation]:
        """Return the operations of ``iterations`` draws."""
        return draw_operations(iterations, Random(seed))


def _draw_address(bits: Callable[[int], int]) -> str:
    octets = []
    for _ in range(4):
        octet = bits(_OCTET_BITS)
        while octet > 255:
            octet = bits(_OCTET_BITS)
        octets.append(octet)
    return f"{octets[0]}.{octets[1]}.{octets[2]}.{octets[3]}"


def draw_operations(iterations: int, source: Random) -> list[Operation]:
    """Return the operations that ``source`` gives, drawing from it as the notebook does.

    ``choice`` and ``randint`` of :mod:`random` are written out as what they are, draws of as many bits
    as the number of choices has, repeated while too large: the calls themselves cost more than the rest.
    """
    draw = source.random
    bits = source.getrandbits
    names, kinds = GIVEN_NAMES, DEVICE_KINDS
    name_count, kind_count, number_count = len(names), len(kinds), LARGEST_NUMBER + 1
    name_bits, kind_bits, number_bits = name_count.bit_length(), kind_count.bit_length(), number_count.bit_length()

    operations: list[Operation] = []
    device_at: dict[str, str] = {}  # live address -> its device
    live_devices: set[str] = set()
    addresses = _OrderedAddresses()

    for _ in range(iterations):
        live_count = len(device_at)
        if live_count and draw() <= SHARE_ON_LIVE:
            position_bits = live_count.bit_length()
            position = bits(position_bits)
            while position >= live_count:
                position = bits(position_bits)
            address = addresses.at(position)
            device = device_at[address]
            if draw() <= SHARE_OF_DELETES:
                operations.append((DELETE, device))
                addresses.remove_at(position)
                del device_at[address]
                live_devices.remove(device)
            else:
                operations.append((RETRIEVE, device))
            continue

        address = _draw_address(bits)
        while True:
            name = bits(name_bits)
            while name >= name_count:
                name = bits(name_bits)
            number = bits(number_bits)
            while number >= number_count:
                number = bits(number_bits)
            kind = bits(kind_bits)
            while kind >= kind_count:
                kind = bits(kind_bits)
            device = f"{names[name]}{number} {kinds[kind]}"
            if device not in live_devices:
                break
        replaced = device_at.get(address)
        if replaced is None:
            addresses.append(address)
        else:
            operations.append((DELETE, replaced))
            live_devices.remove(replaced)
        device_at[address] = device
        live_devices.add(device)
        operations.append((CREATE, device, address))
    return operations
