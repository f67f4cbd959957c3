"""The charts of the report pages, drawn with Altair over a dataset named ``rows``.

What belongs here: how figures look. Not here: what is chosen and summed (``pages``).
"""

from functools import cache
from typing import Any

from retail_platform.serving.page import Chart

HEIGHT = 220


def bars_by_time(title: str, *, time: str, value: str, label: str, color: str | None) -> Chart:
    """Bars over time, stacked by colour where one is given."""
    alt = _altair()
    encodings: dict[str, Any] = {
        "x": alt.X(f"{time}:T", title=None, scale=alt.Scale(type="utc")),
        "y": alt.Y(f"sum({value}):Q", title=label),
        "tooltip": [alt.Tooltip(f"{time}:T", title="from"), alt.Tooltip(f"sum({value}):Q")],
    }
    if color is not None:
        encodings["color"] = alt.Color(f"{color}:N", title=None, legend=_legend())
    return _chart(title, _base().mark_bar().encode(**encodings))


def lines_by_time(title: str, *, time: str, values: dict[str, str], label: str) -> Chart:
    """One line for each column, named on the page."""
    alt = _altair()
    names = alt.Color("series:N", title=None, legend=_legend())
    drawn = (
        _base()
        .transform_fold(list(values), as_=["column", "amount"])
        .transform_calculate(series=f"{values!r}[datum.column]")
        .mark_line(point=True)
        .encode(
            x=alt.X(f"{time}:T", title=None, scale=alt.Scale(type="utc")),
            y=alt.Y("sum(amount):Q", title=label),
            color=names,
        )
    )
    return _chart(title, drawn)


def ranked_bars(title: str, *, name: str, value: str, label: str, top: int = 12) -> Chart:
    """Horizontal bars, greatest first."""
    alt = _altair()
    drawn = (
        _base()
        .transform_aggregate(total=f"sum({value})", groupby=[name])
        .transform_window(rank="row_number()", sort=[alt.SortField("total", order="descending")])
        .transform_filter(f"datum.rank <= {top} && datum.total != 0")
        .mark_bar()
        .encode(
            x=alt.X("total:Q", title=label),
            y=alt.Y(f"{name}:N", title=None, sort="-x", axis=alt.Axis(labelLimit=140)),
            tooltip=[f"{name}:N", "total:Q"],
        )
    )
    return _chart(title, drawn)


def heat_map(title: str, *, x: str, y: str, value: str, label: str, x_is_time: bool) -> Chart:
    """A grid of two columns, darker where there is more."""
    alt = _altair()
    across = alt.X(f"utcyearmonthdatehours({x}):O" if x_is_time else f"{x}:N", title=None)
    drawn = (
        _base()
        .mark_rect()
        .encode(
            x=across,
            y=alt.Y(f"{y}:N", title=None, axis=alt.Axis(labelLimit=140)),
            color=alt.Color(f"sum({value}):Q", title=label, legend=_legend()),
            tooltip=[f"{y}:N", across, alt.Tooltip(f"sum({value}):Q", title=label)],
        )
    )
    return _chart(title, drawn.properties(height=alt.Step(16)))


def _chart(title: str, drawn: Any) -> Chart:  # noqa: ANN401 - Altair's charts share no base
    return Chart(title=title, spec=drawn.to_dict())


def _legend() -> Any:  # noqa: ANN401
    return _altair().Legend(orient="top", labelLimit=120)


def _base() -> Any:  # noqa: ANN401
    alt = _altair()
    return (
        alt.Chart(alt.NamedData(name="rows"))
        .properties(width="container", height=HEIGHT)
        .properties(autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
    )


@cache
def _altair() -> Any:  # noqa: ANN401
    # Imported here: Altair takes a second, and a code location must not wait for it.
    import altair as alt

    return alt
