"""The overview report: one self-contained HTML page from the marts and the ledger.

Pure: figures in, HTML out. Reading the lake and writing the file belong to ``assets``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from html import escape
from pathlib import Path

STYLE = (
    (Path(__file__).parent / "web" / "page.css").read_text("utf-8")
    + """
.bar { height: .7rem; background: var(--bar); border-radius: 2px; min-width: 1px; }
"""
)


@dataclass(frozen=True, kw_only=True)
class Section:
    """A table of the report.

    Attributes:
        title: Heading.
        note: What the figures are, in one sentence.
        columns: Headings of the columns.
        rows: Cells; numbers are set to the right.
        bar: Index of the column that is drawn as bars beside its number, if any.
        bar_scale: Index of the column whose values each have a scale of their own, such as that of
            the currency: bars of different currencies cannot be compared.
    """

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | int | float | Decimal | None]]
    bar: int | None = None
    bar_scale: int | None = None


def overview_html(
    *,
    hour: datetime,
    made_at: datetime,
    sections: Sequence[Section],
    others: Sequence[tuple[str, str]] = (),
) -> str:
    """The page.

    Args:
        hour: The hour whose load made the report, aware UTC.
        made_at: When it was made, aware UTC.
        sections: Its tables in order.
        others: The pages beside it: file and title.
    """
    links = "".join(f'<a href="{escape(file)}">{escape(title)}</a>' for file, title in others)
    body = "".join(_section(section) for section in sections)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>RetailCorp overview</title><style>{STYLE}</style></head><body>"
        f"<nav>{links}</nav><h1>RetailCorp overview</h1>"
        f"<p>Up to the hour {hour:%Y-%m-%d %H:%M} UTC. Made {made_at:%Y-%m-%d %H:%M:%S} UTC from "
        f"the Gold tables and the ledger.</p>{body}</body></html>\n"
    )


def _section(section: Section) -> str:
    numeric = [
        all(isinstance(row[i], int | float | Decimal) or row[i] is None for row in section.rows)
        and bool(section.rows)
        for i in range(len(section.columns))
    ]
    heads = "".join(
        f'<th class="n">{escape(name)}</th>' if right else f"<th>{escape(name)}</th>"
        for name, right in zip(section.columns, numeric, strict=True)
    )
    if section.bar is not None:
        heads += '<th style="width:30%"></th>'
    largest = _largest(section)
    lines = "".join(_row(section, row, largest) for row in section.rows)
    nothing = "" if section.rows else "<p>Nothing yet.</p>"
    return (
        f"<h2>{escape(section.title)}</h2><p>{escape(section.note)}</p>{nothing}"
        f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>'
        "</div>"
    )


def _largest(section: Section) -> dict[object, float]:
    """The number of the longest bar of each scale."""
    found: dict[object, float] = {}
    if section.bar is not None:
        for row in section.rows:
            scale = _scale(section, row)
            found[scale] = max(float(row[section.bar] or 0), found.get(scale, 0.0))
    return found


def _scale(section: Section, row: Sequence[object]) -> object:
    return row[section.bar_scale] if section.bar_scale is not None else None


def _row(
    section: Section,
    row: Sequence[str | int | float | Decimal | None],
    largest: Mapping[object, float],
) -> str:
    cells = "".join(_cell(value) for value in row)
    if section.bar is not None:
        longest = largest[_scale(section, row)]
        share = 100 * float(row[section.bar] or 0) / longest if longest > 0 else 0.0
        cells += f'<td><div class="bar" style="width:{max(share, 0):.1f}%"></div></td>'
    return f"<tr>{cells}</tr>"


def _cell(value: str | float | Decimal | None) -> str:
    if value is None:
        return "<td></td>"
    if isinstance(value, int):
        return f'<td class="n">{value:,}</td>'
    if isinstance(value, float | Decimal):
        return f'<td class="n">{value:,.2f}</td>'
    return f"<td>{escape(value)}</td>"
