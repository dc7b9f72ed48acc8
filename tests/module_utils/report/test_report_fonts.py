# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import base64
import io
import re

from failover.report.fonts import FACES, OF_THE_STYLE, font_css
from fontTools.ttLib import TTFont


def test_all_faces_of_a_family_hold_the_same_characters_of_the_page_and_no_others() -> None:
    css = font_css("≥ p99 →")
    fonts = re.findall(r'font-family:"([\w ]+)".*?base64,([^"]+)', css)
    assert [family for family, _ in fonts] == [family for family, *_ in FACES]
    held: dict[str, list[set[int]]] = {}
    for family, data in fonts:
        with TTFont(io.BytesIO(base64.b64decode(data))) as font:
            held.setdefault(family, []).append(set(font.getBestCmap()))
    for family, faces in held.items():
        assert all(face == faces[0] for face in faces), family
        assert {ord(character) for character in "Ap9" + OF_THE_STYLE[0]} <= faces[0], family
        assert ord("é") not in faces[0], family
    assert font_css("≥ p99 →") == css
