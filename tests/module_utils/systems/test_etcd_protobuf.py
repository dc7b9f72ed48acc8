# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from failover.systems.etcd.protobuf import bytes_of, field, fields, number_field, number_of


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**31, 2**63 - 1])
@pytest.mark.parametrize("size", [0, 1, 127, 128, 20_000])
def test_what_is_written_is_read(number: int, size: int) -> None:
    message = field(5, b"x" * size) + number_field(3, number) + number_field(20, number)
    assert list(fields(message)) == [(5, b"x" * size), (3, number), (20, number)]
    with pytest.raises(ValueError, match="cut short"):
        list(fields(message[:-1] + b"\xff"))


def test_a_field_of_the_other_type_is_refused() -> None:
    assert (number_of(7), bytes_of(b"x")) == (7, b"x")
    with pytest.raises(ValueError, match="bytes in the place of a number"):
        number_of(b"x")
    with pytest.raises(ValueError, match="a number in the place of bytes"):
        bytes_of(7)
