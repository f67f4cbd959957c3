"""ODBC's catalogue functions, which arrow-odbc does not offer, through pyodbc.

Belongs here: calling them, and their rows by meaning. Not here: rows of tables (`sql_odbc`), and
what is made of a catalogue. Source: Microsoft's ODBC reference, SQLTables, SQLColumns,
SQLPrimaryKeys, SQLForeignKeys and SQLStatistics: drivers of ODBC 2 name the result's columns
otherwise, so they are told by their place.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from retail_platform.failures import PermanentFailure

if TYPE_CHECKING:
    import pyodbc

_NOT_THERE = ("IM001", "HYC00")
"""States of a function that a driver does not have."""

_TABLES = {1: "schema", 2: "name", 3: "type", 4: "comment"}
_COLUMNS = {
    1: "schema",
    2: "table",
    3: "name",
    4: "code",
    5: "type",
    6: "size",
    8: "scale",
    10: "nullable",
    11: "comment",
}
_PRIMARY = {3: "name", 4: "place"}
_FOREIGN = {1: "referred_schema", 2: "referred_table", 3: "referred", 7: "name", 8: "place"}
_STATISTICS = {
    3: "not_unique",
    5: "index",
    6: "kind",
    7: "place",
    8: "name",
    10: "rows",
    12: "filter",
}
Row = dict[str, Any]
Call = Callable[["pyodbc.Cursor"], object]


class OdbcCatalogue:
    """Catalogue functions of one open connection; `odbc_catalogue` opens it."""

    def __init__(self, connection: "pyodbc.Connection") -> None:
        self._connection = connection

    def tables(self) -> list[Row]:
        """``schema``, ``name``, ``type`` (TABLE or VIEW) and ``comment`` of tables and views.

        Raises:
            pyodbc.Error: the driver cannot say.
        """
        return self._rows(_TABLES, lambda cursor: cursor.tables(tableType="TABLE,VIEW"))

    def columns(self, schema: str | None, table: str) -> list[Row]:
        """``name``, ``type``, ``code``, ``size``, ``scale``, ``nullable``, ``comment``, in order.

        Raises:
            pyodbc.Error: the driver cannot say.
        """
        found = self._rows(_COLUMNS, lambda cursor: cursor.columns(table=table, schema=schema))
        # Names are patterns there, in which an underscore is any character.
        return [row for row in found if row["table"] == table and (row["schema"] or None) == schema]

    def primary_key(self, schema: str | None, table: str) -> list[Row]:
        """``name`` and ``place`` (from 1) of the key's columns; none where nobody knows."""
        return self._known(_PRIMARY, lambda cursor: cursor.primaryKeys(table, schema=schema))

    def foreign_keys(self, schema: str | None, table: str) -> list[Row]:
        """Columns that refer to other tables, and to which; none where nobody knows."""
        return self._known(
            _FOREIGN,
            lambda cursor: cursor.foreignKeys(foreignTable=table, foreignSchema=schema),
        )

    def statistics(self, schema: str | None, table: str) -> list[Row]:
        """Columns of indexes, and the table's number of rows; none where nobody knows."""
        return self._known(_STATISTICS, lambda cursor: cursor.statistics(table, schema=schema))

    def _known(self, places: Mapping[int, str], call: Call) -> list[Row]:
        import pyodbc

        try:
            return self._rows(places, call)
        except pyodbc.Error as error:
            if not of_no_such_function(error):
                raise
            return []

    def _rows(self, places: Mapping[int, str], call: Call) -> list[Row]:
        with closing(self._connection.cursor()) as cursor:
            call(cursor)
            return [
                {name: row[place] for place, name in places.items()} for row in cursor.fetchall()
            ]


def of_no_such_function(error: "pyodbc.Error") -> bool:
    """Whether the driver does not have what was called."""
    return error.args[0] in _NOT_THERE


@contextmanager
def odbc_catalogue(connection: str, seconds: int) -> Generator[OdbcCatalogue, None, None]:
    """Connects, and disconnects at the end of the context.

    Args:
        connection: ODBC connection string.
        seconds: How long logging in may take, where the driver heeds it.

    Raises:
        PermanentFailure: pyodbc is not installed.
        pyodbc.Error: the driver refuses.
    """
    try:
        import pyodbc
    except ImportError as error:
        raise PermanentFailure(
            "the catalogue of a source of kind odbc is read by pyodbc; install the extra: "
            "pip install 'retail-platform[odbc]'"
        ) from error
    with closing(pyodbc.connect(connection, autocommit=True, timeout=seconds)) as opened:
        yield OdbcCatalogue(opened)
