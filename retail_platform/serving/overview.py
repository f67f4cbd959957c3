"""The overview report: one self-contained HTML page from the marts and the ledger.

Pure: figures in, HTML out. Reading the lake and writing the file belong to ``assets``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #667085; --line: #d8dde6; --bar: #4f6bed;
        --bad: #b42318; --paper: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #98a2b3; --line: #333c4d;
        --bar: #7f95ff; --bad: #f97066; --paper: #12161f; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin: 2.2rem 0 .4rem; }
p { color: var(--soft); margin: .2rem 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; } td.n, th.n { text-align: right; }
.bar { height: .7rem; background: var(--bar); border-radius: 2px; min-width: 1px; }
.bad { color: var(--bad); }
"""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A table of the report.

    Attributes:
        title: Heading.
        note: What the figures are, in one sentence.
        columns: Headings of the columns.
        rows: Cells; numbers are set to the right.
        bar: Index of the column that is drawn as bars beside its number, if any.
    """

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | int | float | Decimal | None]]
    bar: int | None = None


def overview_html(*, hour: datetime, made_at: datetime, sections: Sequence[Section]) -> str:
    """The page.

    Args:
        hour: The hour whose load made the report, aware UTC.
        made_at: When it was made, aware UTC.
        sections: Its tables in order.
    """
    body = "".join(_section(section) for section in sections)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>RetailCorp overview</title><style>{STYLE}</style></head><body>"
        "<h1>RetailCorp overview</h1>"
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
    largest = (
        max((float(row[section.bar] or 0) for row in section.rows), default=0.0)
        if (section.bar is not None)
        else 0.0
    )
    lines = "".join(_row(section, row, largest) for row in section.rows)
    nothing = "" if section.rows else "<p>Nothing yet.</p>"
    return (
        f"<h2>{escape(section.title)}</h2><p>{escape(section.note)}</p>{nothing}"
        f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>'
        "</div>"
    )


def _row(
    section: Section, row: Sequence[str | int | float | Decimal | None], largest: float
) -> str:
    cells = "".join(_cell(value) for value in row)
    if section.bar is not None:
        share = 100 * float(row[section.bar] or 0) / largest if largest > 0 else 0.0
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
