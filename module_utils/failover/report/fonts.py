# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page's fonts: those that matplotlib ships, cut down to the characters of the page and put into its CSS.

So neither the PDF nor the HTML page needs a font that is installed on a machine.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from pathlib import Path

import matplotlib
from fontTools.subset import Options, Subsetter  # type: ignore[import-untyped]
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

# (CSS family, style, weight, file). The families have names of their own: under its usual name an installed font
# would be taken instead.
FACES = (
    ("Lab Serif", "normal", 400, "STIXGeneral.ttf"),
    ("Lab Serif", "normal", 700, "STIXGeneralBol.ttf"),
    ("Lab Serif", "italic", 400, "STIXGeneralItalic.ttf"),
    ("Lab Sans", "normal", 400, "DejaVuSans.ttf"),
    ("Lab Sans", "normal", 700, "DejaVuSans-Bold.ttf"),
    ("Lab Mono", "normal", 400, "DejaVuSansMono.ttf"),
)

# What the page's style and not its text brings: a list's bullet and the space behind a section's number.
OF_THE_STYLE = "\u2022\u2002"


def font_css(characters: Iterable[str]) -> str:
    """Return ``@font-face`` rules with the fonts inside, holding these characters."""
    wanted = {ord(character) for character in (*characters, *OF_THE_STYLE)} | set(range(0x20, 0x7F))
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    held: dict[str, set[int]] = {}
    for family, _, _, file in FACES:
        with TTFont(folder / file, lazy=True) as font:
            held[family] = held.get(family, wanted) & set(font.getBestCmap())
    rules = []
    for family, style, weight, file in FACES:
        # Only what all faces of the family have: a letter that the bold face lacks would come from the regular one
        # under the bold one's name, and WeasyPrint would then take that file for all bold text.
        data = base64.b64encode(_subset(folder / file, sorted(held[family]))).decode("ascii")
        rules.append(
            f'@font-face{{font-family:"{family}";font-style:{style};font-weight:{weight};'
            f'src:url("data:font/woff2;base64,{data}") format("woff2")}}'
        )
    return "\n".join(rules)


def _subset(path: Path, codepoints: list[int]) -> bytes:
    options = Options()
    options.flavor = "woff2"
    # Ligatures would come out of the PDF's text as one odd character; kerning is what makes text even.
    options.layout_features = ["kern", "mark", "mkmk"]
    options.hinting = False
    options.notdef_outline = True
    # FontForge's own time stamps, which fontTools does not know and would warn of.
    options.drop_tables = [*options.drop_tables, "FFTM"]
    # A time stamp of today would make two reports of one run differ.
    with TTFont(path, lazy=True, recalcTimestamp=False) as font:
        subsetter = Subsetter(options)
        subsetter.populate(unicodes=codepoints)
        subsetter.subset(font)
        font.flavor = "woff2"
        buffer = io.BytesIO()
        font.save(buffer)
    return buffer.getvalue()
