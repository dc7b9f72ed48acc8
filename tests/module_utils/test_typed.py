# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from failover.shapes import LabError
from failover.typed import Misfit, convert, misfit


class Row(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    size: Annotated[int, msgspec.Meta(ge=1, le=50)]
    parts: list[dict[str, Any]] | None = None


class Text(str):
    """As Ansible's, which knows where it is from."""


def test_what_fits_is_of_the_type() -> None:
    assert convert({Text("name"): Text("a"), "size": 3}, Row, "it") == Row("a", 3)
    assert convert({"name": "a", "size": 3, "parts": [{Text("x"): 1}]}, Row, "it").parts == [{"x": 1}]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([1], "Row 2 is [1]: it must have the keys name, size, parts."),
        ({"size": 1}, "Row 2: no name. Its keys are name, size, parts."),
        ({"nam": "a", "size": 1, "sise": 2}, "Row 2: unknown key nam, sise. Its keys are name, size, parts."),
        ({"name": 1, "size": 1}, "Row 2: name is 1, and has to be text."),
        ({"name": "a", "size": True}, "Row 2: size is True, and has to be a whole number from 1 to 50."),
        ({"name": "a", "size": 51}, "Row 2: size is 51, and has to be a whole number from 1 to 50."),
        ({"name": "a", "size": 1, "parts": [3]}, "Row 2: parts[0] has to be a mapping."),
        ({"name": "a", "size": 1, "parts": 3}, "Row 2: parts is 3, and has to be a list or nothing."),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(value: Any, said: str) -> None:
    with pytest.raises(LabError) as failed:
        convert(value, Row, "Row 2")
    assert str(failed.value) == said


def test_what_is_read_from_json_is_told_apart() -> None:
    class Loose(msgspec.Struct):
        name: str

    assert misfit({"name": "a", "more": 1}, Loose) is None
    assert misfit({"more": 1}, Loose) == Misfit([], ["name"], "")
    assert misfit({"name": None}, Loose) == Misfit([], [], "name is None, and has to be text")
