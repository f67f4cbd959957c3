"""A report page: what it shows, and its HTML, which needs no network and no server.

Rows travel in the page as JSON; filters, tiles, table and charts are made of them in the browser
(``web/page.js``). Pure: reading Gold belongs to ``datasets``, the five pages to ``pages``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Any, Literal

WEB = Path(__file__).parent / "web"
Format = Literal["money", "count", "decimal", "percent", "time", ""]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The page's data.

    Attributes:
        columns: Names.
        values: One list a row: texts, numbers, booleans, None; times as milliseconds since 1970.
    """

    columns: Sequence[str]
    values: Sequence[Sequence[object]]


@dataclass(frozen=True, kw_only=True)
class Filter:
    """A choice that leaves out rows.

    Attributes:
        column: Column that must have the chosen value.
        label: Its name on the page.
        every: Text of the choice that leaves out nothing; None: one value is always chosen.
        start: Value chosen first.
        days: For a time column: choices of the last so many days; 0 leaves out nothing.
    """

    column: str
    label: str
    every: str | None = None
    start: str | None = None
    days: Sequence[tuple[int, str]] = ()


@dataclass(frozen=True, kw_only=True)
class Value:
    """A figure of a tile or of a table's column: a sum, a ratio of sums, or their change.

    Attributes:
        label: Its name on the page.
        format: How it is written; texts have none.
        sum: Column to add.
        ratio: Two columns, the sum of one by that of the other.
        change: Two columns, how much more the sum of one is than that of the other.
        greatest: Column whose greatest value it is.
        mean: Column whose mean it is; rows without a value count for nothing.
        count: Whether it counts the rows.
        column: For tables without groups: the column to show.
    """

    label: str
    format: Format = ""
    sum: str | None = None
    ratio: tuple[str, str] | None = None
    change: tuple[str, str] | None = None
    greatest: str | None = None
    mean: str | None = None
    count: bool = False
    column: str | None = None


@dataclass(frozen=True, kw_only=True)
class Table:
    """The page's table.

    Attributes:
        values: Its columns.
        sort: Label of the column by which it is sorted, greatest first.
        group: Columns whose values make one row; none: every row of the data is a row.
        limit: Rows shown.
    """

    values: Sequence[Value]
    sort: str
    group: Sequence[str] = ()
    limit: int = 200


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A Vega-Lite chart over the dataset ``rows``.

    Attributes:
        title: Heading.
        spec: Vega-Lite specification without data.
    """

    title: str
    spec: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Page:
    """A report.

    Attributes:
        name: Name of its file, without ``.html``, and of its asset.
        title: Heading.
        note: What its figures are, and from which tables they come.
        filters: Choices, in order.
        tiles: Figures at the top, of the headline's rows where those have the columns.
        charts: Charts, in order.
        table: The table at the end.
    """

    name: str
    title: str
    note: str
    filters: Sequence[Filter]
    tiles: Sequence[Value]
    charts: Sequence[Chart]
    table: Table


def page_html(
    page: Page,
    rows: Rows,
    *,
    hour: datetime,
    made_at: datetime,
    made_from: Mapping[str, int],
    others: Sequence[tuple[str, str]],
    script: str,
    headline: Rows | None = None,
) -> str:
    """The page as HTML.

    Args:
        page: What it shows.
        rows: Its data.
        hour: The hour up to which it tells, aware UTC.
        made_at: When it was made, aware UTC.
        made_from: Tables it was made from, with their Delta versions.
        others: The pages beside it: file and title.
        script: The drawing libraries.
        headline: Rows of other columns, of which tiles are made. A filter leaves out those that
            have another value in its column; those without that column or without a value stay.
    """
    content = {
        "hour": hour.isoformat(),
        "data": {"columns": rows.columns, "rows": rows.values},
        "headline": {
            "columns": headline.columns if headline else [],
            "rows": headline.values if headline else [],
        },
        "filters": [_filter(one) for one in page.filters],
        "tiles": [_value(one) for one in page.tiles],
        "table": {
            "group": list(page.table.group) or None,
            "values": [_value(one) for one in page.table.values],
            "sort": page.table.sort,
            "limit": page.table.limit,
        },
        "charts": [{"spec": chart.spec} for chart in page.charts],
    }
    # A text of a source could hold "</script>" or "<!--": no "<" is left in the JSON.
    data = json.dumps(content, default=_plain, separators=(",", ":")).replace("<", "\\u003c")
    tables = ", ".join(f"{name} (version {number})" for name, number in made_from.items())
    links = "".join(f'<a href="{escape(file)}">{escape(title)}</a>' for file, title in others)
    charts = "".join(
        f'<h2>{escape(chart.title)}</h2><div class="chart" id="chart-{number}"></div>'
        for number, chart in enumerate(page.charts)
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(page.title)}</title><style>{_web('page.css')}</style></head><body>"
        f"<nav>{links}</nav><h1>{escape(page.title)}</h1>"
        f"<p>Up to the hour {hour:%Y-%m-%d %H:%M} UTC. Made {made_at:%Y-%m-%d %H:%M:%S} UTC from "
        f"{escape(tables)}. {escape(page.note)}</p>"
        f'<div id="filters"></div><div id="tiles"></div>{charts}'
        '<h2>Figures</h2><p id="counted"></p><div class="wide"><table id="table">'
        "<thead></thead><tbody></tbody></table></div>"
        f'<script id="page" type="application/json">{data}</script>'
        f"<script>{script}</script><script>{_web('page.js')}</script></body></html>\n"
    )


def _web(name: str) -> str:
    return (WEB / name).read_text("utf-8")


def _filter(one: Filter) -> dict[str, object]:
    found: dict[str, object] = {"column": one.column, "label": one.label}
    if one.every is not None:
        found["all"] = one.every
    if one.start is not None:
        found["start"] = one.start
    if one.days:
        found["days"] = list(one.days)
    return found


def _value(one: Value) -> dict[str, object]:
    fields = {
        "label": one.label,
        "format": one.format,
        "sum": one.sum,
        "ratio": one.ratio,
        "change": one.change,
        "greatest": one.greatest,
        "mean": one.mean,
        "count": one.count,
        "column": one.column,
    }
    return {name: value for name, value in fields.items() if value}


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{value!r} cannot be written into a page")
