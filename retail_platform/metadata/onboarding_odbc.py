"""What an ODBC driver's catalogue functions say of tables.

They tell columns, keys, indexes and references alike of any database; checks, and how many rows
there are, hardly any driver tells. What they describe is no promise: PostgreSQL's driver calls a
numeric without precision one of 28 digits, and SQLite holds what it likes. So types are held
against a sample, and unique indexes, of which a driver need not say that they are over some rows
only, against the table.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from retail_platform.extract import sql_tree as tree
from retail_platform.extract.odbc_catalogue import OdbcCatalogue, Row, of_no_such_function
from retail_platform.extract.sql_odbc import OdbcDriver
from retail_platform.failures import PermanentFailure
from retail_platform.metadata.onboarding_tables import (
    EXACT,
    MOST_DIGITS,
    ForeignKey,
    SourceColumn,
    SourceTable,
)

_INDEXED = (1, 2, 3)
"""Kinds of rows of SQLStatistics that are of an index: clustered, hashed, other."""
_TABLE = 0
_PHYSICAL: Mapping[int, str] = {
    -7: "boolean",
    **dict.fromkeys((-6, 5, 4), "int"),
    -5: "bigint",
    **dict.fromkeys((6, 7, 8), "double"),
    **dict.fromkeys((9, 91), "date"),
    **dict.fromkeys((11, 93), "timestamp"),
}
"""By ODBC's type codes, those of version 2 among them."""
_DECIMALS = (2, 3)
_WRITTEN_DECIMAL = re.compile(r"(?:decimal|numeric|number)\((\d+)(?:,\s*(\d+))?\)", re.IGNORECASE)


class OdbcTables:
    """The catalogue of one database.

    Args:
        driver: Reads the database.
        dialect: Its SQL, as sqlglot calls it.
        source: Name of the source, for messages.
    """

    def __init__(self, driver: OdbcDriver, dialect: str, source: str) -> None:
        self._driver = driver
        self._dialect = dialect
        self._source = source

    def tables(self) -> dict[str, bool]:
        """Whether each table is a view, by its name, with its schema where there are schemas.

        Raises:
            TransientFailure: the database cannot be reached.
            PermanentFailure: the driver has no catalogue, or refuses.
        """
        with self._driver.catalogue("its list of tables") as catalogue:
            return {
                _spelled(row["schema"], row["name"]): row["type"] == "VIEW"
                for row in self._listed(catalogue)
            }

    def described(self, names: Sequence[str]) -> Iterator[SourceTable]:
        """Tables of these names, which must exist, over one connection.

        Raises:
            TransientFailure: the database cannot be reached.
            PermanentFailure: the driver refuses, or says nothing of a table's columns.
        """
        with self._driver.catalogue("its catalogue") as catalogue:
            comments = {
                _spelled(row["schema"], row["name"]): row["comment"] or ""
                for row in self._listed(catalogue)
            }
            found = [self._described(catalogue, name, comments[name]) for name in names]
        yield from found

    def _listed(self, catalogue: OdbcCatalogue) -> list[Row]:
        import pyodbc

        try:
            return catalogue.tables()
        except pyodbc.Error as error:
            if not of_no_such_function(error):
                raise
            raise self._by_hand(f"its ODBC driver cannot list tables ({error})") from error

    def _by_hand(self, found: str) -> PermanentFailure:
        return PermanentFailure(
            f"source {self._source}: {found}; write the row into sources/{self._source}.yaml and "
            "the contract by hand, with the columns that the database has, after the example of "
            "the rows that are there"
        )

    def _described(self, catalogue: OdbcCatalogue, name: str, comment: str) -> SourceTable:
        schema, bare = tree.split_table(name)
        columns = tuple(self._column(row) for row in catalogue.columns(schema, bare))
        if not columns:
            raise self._by_hand(f"its ODBC driver describes no columns of table {name}")
        key = [row for row in catalogue.primary_key(schema, bare) if row["name"]]
        key_names = tuple(row["name"] for row in sorted(key, key=_place))
        known = {column.name for column in columns}
        statistics = catalogue.statistics(schema, bare)
        indexes = {
            index: listed
            for index, listed in _indexes(statistics).items()
            # An index over expressions names no columns.
            if set(listed[1]) <= known
        }
        rows = [row["rows"] for row in statistics if row["kind"] == _TABLE and row["rows"]]
        leading = {listed[0] for _, listed in indexes.values()} | set(key_names[:1])
        return SourceTable(
            name=name,
            columns=columns,
            primary_key=key_names,
            unique=tuple(tuple(listed) for unique, listed in indexes.values() if unique),
            foreign_keys=tuple(_foreign_keys(catalogue.foreign_keys(schema, bare))),
            indexed=frozenset(leading),
            comment=comment,
            rows=rows[0] if rows else None,
            ordered=bool(key_names),
            dialect=self._dialect,
            promised=False,
        )

    def _column(self, row: Row) -> SourceColumn:
        return SourceColumn(
            name=row["name"],
            declared=row["type"] or "",
            physical=self._physical(row),
            required=row["nullable"] == 0,
            comment=row["comment"] or "",
        )

    def _physical(self, row: Row) -> str | None:
        declared, code = (row["type"] or "").lower(), row["code"]
        written = _WRITTEN_DECIMAL.fullmatch(declared)
        if written or code in _DECIMALS:
            told = written.groups("0") if written else (row["size"] or 0, row["scale"] or 0)
            size, scale = map(int, told)
            fits = 0 < size <= MOST_DIGITS and 0 <= scale <= size
            return f"decimal({size},{scale})" if fits else EXACT
        if declared in ("bool", "boolean"):
            return "boolean"
        physical = _PHYSICAL.get(code)
        if self._dialect == "sqlite":
            # Text there is also how money and time are kept, and an integer has 64 bits.
            return "bigint" if physical == "int" else physical
        return physical or "string"


def _spelled(schema: str | None, name: str) -> str:
    return f"{schema}.{name}" if schema else name


def _place(row: Row) -> int:
    return row["place"]


def _indexes(found: Sequence[Row]) -> dict[str, tuple[bool, list[str]]]:
    """Whether each index is unique over all rows, and its columns in order."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in found:
        if row["kind"] in _INDEXED:
            rows[row["index"]].append(row)
    return {
        index: (
            not any(row["not_unique"] or row["filter"] for row in parts),
            [row["name"] for row in sorted(parts, key=_place)],
        )
        for index, parts in rows.items()
    }


def _foreign_keys(found: Sequence[Row]) -> Iterator[ForeignKey]:
    keys: list[list[Row]] = []
    for row in found:
        # The name is optional; the first column of each begins a new one.
        if _place(row) == 1:
            keys.append([])
        keys[-1].append(row)
    for rows in keys:
        yield ForeignKey(
            columns=tuple(row["name"] for row in rows),
            table=_spelled(rows[0]["referred_schema"], rows[0]["referred_table"]),
            referred=tuple(row["referred"] for row in rows),
        )
