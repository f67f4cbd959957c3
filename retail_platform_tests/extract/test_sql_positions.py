"""Queries over positions, as text for each dialect.

What SQL Server makes of its own is not proved here, nor anywhere else in these tests: that its text
is what is meant, and T-SQL as far as sqlglot knows it.
"""

from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from retail_platform.extract.sql_dialects import dialect_of
from retail_platform.extract.sql_positions import (
    Tracking,
    between,
    marked,
    marks_of_whole_table,
    positions,
    tracked_changes,
)
from retail_platform.extract.sql_query import Queries
from retail_platform.failures import PermanentFailure

SCHEMA = pa.schema([("id", pa.int64()), ("part", pa.string()), ("label", pa.string())])
TYPES = {"id": "bigint", "part": "int", "label": "nvarchar"}
BY_VERSION = Tracking(by="rowversion", table="dbo.things", column="version")
TRACKED = Tracking(by="change_tracking", table="dbo.things", key=("id", "part"))


def queries(dialect: str) -> Queries:
    return Queries(dialect_of(dialect), ZoneInfo("UTC"))


def asked(tracking: Tracking, dialect: str) -> str:
    return queries(dialect).compile(positions(tracking, dialect_of(dialect), source="erp"))


def parsed(text: str) -> exp.Select:
    """What sqlglot reads in a text of T-SQL."""
    tree = sqlglot.parse_one(text, dialect="tsql")
    assert isinstance(tree, exp.Select)
    return tree


def of_range(dialect: str, declared: str, start: int, end: int) -> str:
    where = between(BY_VERSION, dialect_of(dialect), start, end, declared=declared)
    return where.sql(dialect_of(dialect).grammar)


def test_where_changes_stand() -> None:
    """Below the oldest open transaction; what Change Tracking keeps begins after its minimum."""
    assert asked(BY_VERSION, "mssql") == (
        "SELECT CAST(0 AS BIGINT) AS [low], CAST(MIN_ACTIVE_ROWVERSION() AS BIGINT) AS [high]"
    )
    assert asked(TRACKED, "mssql") == (
        "SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'[dbo].[things]')) + 1 AS [low],"
        " CHANGE_TRACKING_CURRENT_VERSION() + 1 AS [high]"
    )
    assert "PG_SNAPSHOT_XMIN(PG_CURRENT_SNAPSHOT())" in asked(BY_VERSION, "postgresql")


def test_names_cannot_break_out_of_their_quotes() -> None:
    """A table whose name has brackets and quotes stays one name, also within the text literal."""
    odd = Tracking(by="change_tracking", table="dbo.it's [odd]", key=("id",))
    text = asked(odd, "mssql")
    assert "OBJECT_ID(N'[dbo].[it''s [odd]]]')" in text
    changes = queries("mssql").compile(tracked_changes(odd, {}, 1, 2))
    assert "CHANGETABLE(CHANGES [dbo].[it's [odd]]], 0)" in changes


@pytest.mark.parametrize(("tracking", "dialect"), [(TRACKED, "postgresql"), (BY_VERSION, "sqlite")])
def test_databases_without_positions_are_refused(tracking: Tracking, dialect: str) -> None:
    with pytest.raises(PermanentFailure, match="read the table with load: incremental"):
        positions(tracking, dialect_of(dialect), source="erp")


def test_a_range_of_versions_is_compared_as_the_column_is() -> None:
    """So that the column's index is used; from 0 on rows without a version are among them."""
    assert of_range("mssql", "timestamp", 5, 9) == (
        "[t].[version] >= CAST(CAST(5 AS BIGINT) AS BINARY(8))"
        " AND [t].[version] < CAST(CAST(9 AS BIGINT) AS BINARY(8))"
    )
    assert of_range("postgresql", "xid8", 5, 9) == (
        '"t"."version" >= CAST(\'5\' AS xid8) AND "t"."version" < CAST(\'9\' AS xid8)'
    )
    assert of_range("postgresql", "bigint", 0, 9) == (
        '"t"."version" < CAST(9 AS BIGINT) OR "t"."version" IS NULL'
    )


def test_tracked_changes_are_joined_to_the_rows_as_they_are() -> None:
    """A deleted row has its key from the changes; one that changed again later is left out."""
    exact = queries("mssql").exact(SCHEMA, TYPES)
    text = queries("mssql").compile(tracked_changes(TRACKED, exact, 42, 90))
    assert "FROM CHANGETABLE(CHANGES [dbo].[things], 41) AS [c]" in text
    # The one form that sqlglot writes and does not read.
    known = text.replace("CHANGETABLE(CHANGES [dbo].[things], 41)", "[changes]")
    tree = parsed(known)
    assert tree.named_selects == [*marked(SCHEMA).names]
    (join,) = tree.args["joins"]
    assert join.side == "LEFT"
    assert join.args["on"].sql("tsql") == "[t].[id] = [c].[id] AND [t].[part] = [c].[part]"
    where = tree.args["where"].this.sql("tsql")
    assert where == (
        "[c].[SYS_CHANGE_VERSION] < 90"
        " AND ([c].[SYS_CHANGE_OPERATION] = 'D' OR NOT [t].[id] IS NULL)"
    )
    of = {e.alias: {c.table for c in e.find_all(exp.Column)} for e in tree.expressions}
    assert of == {
        "_change_version": {"c"},
        "_change_operation": {"c"},
        "id": {"c"},
        "part": {"c"},
        "label": {"t"},
    }


def test_a_whole_table_is_marked_with_the_last_position_before_its_end() -> None:
    query = queries("mssql").rows(
        "dbo.things", schema=SCHEMA, types=TYPES, where=None, also=marks_of_whole_table(90)
    )
    tree = parsed(queries("mssql").compile(query))
    assert tree.named_selects == [*marked(SCHEMA).names]
    assert [e.this.sql("tsql") for e in tree.expressions[:2]] == ["CAST(89 AS BIGINT)", "'I'"]
