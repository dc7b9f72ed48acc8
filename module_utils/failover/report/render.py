# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the report's content and figures to one self-contained HTML page, and from that page to a PDF."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..checks.faults import FAULT_WITHIN_MS, FAULT_WITHIN_OPERATIONS
from ..measured.percentiles import LEAST_DECIDING
from ..results.files import REPORT_PDF_FILE
from ..sentences import ABSENT, at_least, milliseconds, plural
from ..shapes import LabError
from .chapters.registry import CHAPTERS
from .figures.style import without_variables
from .fonts import font_css
from .outage.comparison import SUMS
from .outage.repetition import RESAMPLES, SEED
from .system_facts import SERVER_HASH

TEMPLATES = Path(__file__).parent / "templates"
# Tagged, so that a screen reader finds headings, tables and the texts of figures.
PDF_VARIANT = "pdf/ua-1"

# Evidence beyond this stays in verdict.json, and the report says so: rows of a table, keys that are told with their
# operations, and the newest operations of each.
EVIDENCE_ROWS = 40
EVIDENCE_KEYS = 10
EVIDENCE_OPERATIONS = 8
SYMBOLS = {"valid": "✓", "invalid": "✗", "unknown": "?"}


def signed_milliseconds(value: float | None) -> str:
    """Print a time in ms relative to another, with its sign."""
    if value is None:
        return ABSENT
    return f"{value:+,.2f}" if abs(value) < 1000 else f"{value:+,.1f}"


def count(value: float | None) -> str:
    """Print a whole number with separators."""
    return ABSENT if value is None else f"{value:,.0f}"


def rate(value: float | None) -> str:
    """Print operations per second."""
    return ABSENT if value is None else f"{value:,.2f}" if value < 10_000 else f"{value:,.0f}"


def seconds(value: float | None, digits: int = 1) -> str:
    """Print a number of seconds with its unit."""
    return ABSENT if value is None else f"{value:,.{digits}f} s"


def duration(value: float | None) -> str:
    """Print a longer time as the notebook does, in minutes and seconds."""
    if value is None:
        return ABSENT
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def percent(value: float | None, digits: int = 0) -> str:
    """Print a share of one as a percentage."""
    return ABSENT if value is None else f"{value * 100:.{digits}f} %"


def ratio(value: float | None) -> str:
    """Print a ratio."""
    return ABSENT if value is None else f"{value:.2f}"


FORMATS: dict[str, Callable[[float | None], str]] = {
    "count": count,
    "rate": rate,
    "seconds": seconds,
    "duration": duration,
    "ratio": ratio,
    "ms": lambda value: ABSENT if value is None else f"{milliseconds(value)} ms",
}


def show(value: float | None, form: str) -> str:
    """Print a value in the format that its row names."""
    return FORMATS[form](value)


def plain(value: Any) -> str:
    """Print a value of unknown type in running text: yes and no, numbers with separators, lists with commas."""
    match value:
        case None:
            text = ABSENT
        case bool():
            text = "yes" if value else "no"
        case int():
            # Above this it is an identifier (a member id, a time in ns), which is not read with separators.
            text = f"{value:,}" if abs(value) < 10**12 else str(value)
        case float():
            text = f"{value:,.3f}".rstrip("0").rstrip(".")
        case list() | tuple():
            text = ", ".join(plain(item) for item in value)
        case Mapping():
            text = ", ".join(f"{name} {plain(item)}" for name, item in value.items())
        case _:
            text = str(value)
    return text


def table_columns(rows: list[Mapping[str, Any]]) -> list[str]:
    """Return the names that occur in any of the rows, in the order of their first occurrence."""
    return list(dict.fromkeys(name for row in rows for name in row))


def plain_columns(rows: list[Mapping[str, Any]]) -> list[str]:
    """Return the names of :func:`table_columns` whose values are not objects."""
    return [name for name in table_columns(rows) if not any(isinstance(row.get(name), Mapping) for row in rows)]


def is_listing(value: Any) -> bool:
    """Tell whether a piece of evidence is a number of things with the first of them."""
    return isinstance(value, Mapping) and set(value) == {"count", "listed"}


def states(value: Any) -> str:
    """Print the states that a key may have: values, or absent."""
    if not isinstance(value, list):
        return plain(value)
    return " or ".join("absent" if item is None else plain(item) for item in value)


def is_table(value: Any) -> bool:
    """Tell whether a piece of evidence is a list of objects."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


UNITS = {"ms": "ms", "s": "s", "mb": "MB", "ns": "ns"}
SPELLED = {"cpu": "CPU", "os": "operating system", "id": "id"}


def words(name: str) -> str:
    """Turn an identifier into words, with its unit in parentheses: ``memory_mb`` is "memory (MB)"."""
    parts = [SPELLED.get(part, part) for part in name.replace(".", "_").split("_")]
    if len(parts) > 1 and parts[-1] in UNITS:
        return f"{' '.join(parts[:-1])} ({UNITS[parts[-1]]})"
    return " ".join(parts)


def moment(value: str | None) -> str:
    """Print an ISO 8601 time to the second; as it stands where it is none."""
    if value is None:
        return ABSENT
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return value
    zone = "UTC" if parsed.utcoffset() == timedelta(0) else parsed.strftime("%z")
    return f"{parsed:%Y-%m-%d %H:%M:%S} {zone}".rstrip()


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        ms=milliseconds,
        signed_ms=signed_milliseconds,
        count=count,
        rate=rate,
        seconds=seconds,
        duration=duration,
        percent=percent,
        ratio=ratio,
        plain=plain,
        words=words,
        moment=moment,
        plural=plural,
        at_least=at_least,
        states=states,
        table_columns=table_columns,
        plain_columns=plain_columns,
        show=show,
    )
    environment.tests.update(table=is_table, listing=is_listing)
    environment.globals.update(
        SYMBOLS=SYMBOLS,
        SERVER_HASH=SERVER_HASH,
        ABSENT=ABSENT,
        SUMS=SUMS,
        LEAST_DECIDING=LEAST_DECIDING,
        RESAMPLES=RESAMPLES,
        SEED=SEED,
        WITHIN_OPERATIONS=FAULT_WITHIN_OPERATIONS,
        WITHIN_MS=FAULT_WITHIN_MS,
        EVIDENCE_ROWS=EVIDENCE_ROWS,
        EVIDENCE_KEYS=EVIDENCE_KEYS,
        EVIDENCE_OPERATIONS=EVIDENCE_OPERATIONS,
    )
    return environment


def render_html(content: Mapping[str, Any], drawings: Mapping[str, str]) -> str:
    """Return the page: one file with its style, figures and fonts inside.

    :param content: the report's content, as in report.json
    :param drawings: SVG by the names under which the template asks for them
    """
    return render_page(
        "page.html.j2",
        **content,
        drawings={name: Markup(svg) for name, svg in drawings.items()},
        chapters=CHAPTERS,
        standing={chapter.anchor for chapter in CHAPTERS if chapter.stands(content)},
    )


def render_page(template: str, **given: Any) -> str:
    """Return a page of its own: a template with what it asks for, and style and fonts inside."""
    page = (
        _environment()
        .get_template(template)
        .render(
            **given,
            css=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
            fonts=Markup("/*FONTS*/"),
        )
    )
    return page.replace("/*FONTS*/", font_css(page), 1)


# What keeps the cover on a page of its own, and the element after it.
COVER_PAGE, MAIN = ' class="page"', '<main id="content">'
# A figure's title and its text, as the drawings have them.
TOLD = re.compile(r'<title id="[^"]*">([^<]*)</title><desc id="[^"]*">([^<]*)</desc>')


def render_pdf(page: str, path: Path) -> int:
    """Write the page as a tagged PDF (PDF/UA-1); return the number of its pages. Nothing is fetched while doing so.

    Raises :class:`LabError` where this machine lacks a library that a PDF needs.
    """
    # WeasyPrint logs CSS that only screens understand; the progress lines are for the reader.
    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    try:
        from weasyprint import HTML
    except OSError as error:
        # Its packages are Python's, the libraries that it loads are the system's.
        raise LabError(
            f"{REPORT_PDF_FILE} cannot be made: the system library Pango is missing ({str(error).splitlines()[0]}); "
            "on Debian: apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
        ) from error

    # WeasyPrint takes a figure's alternative text from its <title> alone.
    titled = TOLD.sub(r"<title>\1. \2</title>", without_variables(page))
    cover, _, _ = titled.partition(MAIN)
    if len(HTML(string=cover).render(pdf_variant=PDF_VARIANT).pages) > 1:
        # What a cover has too much for one page would stand alone on the next.
        titled = titled.replace(COVER_PAGE, "", 1)
    document = HTML(string=titled).render(pdf_variant=PDF_VARIANT)
    document.write_pdf(path, pdf_identifier=hashlib.sha256(page.encode()).digest()[:16], pdf_variant=PDF_VARIANT)
    return len(document.pages)
