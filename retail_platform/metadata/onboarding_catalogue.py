"""Describes tables of a database by its own catalogue, over the driver that loads them.

So onboarding needs no further driver, and logs in as loads do. Belongs here: what is alike of all
catalogues. Not here: asking SQL Server's (`onboarding_sql_server`) and ODBC's (`onboarding_odbc`),
and databases that SQLAlchemy describes (`onboarding_sql`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from sqlglot import exp

from retail_platform.extract import sql_tree as tree
from retail_platform.extract.sql import SqlSource
from retail_platform.metadata.onboarding_tables import SAMPLE_ROWS, SourceTable


class Catalogue(Protocol):
    """What a database says of its tables."""

    def tables(self) -> Mapping[str, bool]:
        """Whether each table is a view, by its name: bare in the default schema."""
        ...

    def described(self, names: Sequence[str]) -> Iterator[SourceTable]:
        """Tables of these names, which must exist, without a sample."""
        ...


class CatalogueDescriber:
    """Describes the tables of one database.

    Args:
        source: The database, as loads read it.
        catalogue: Its catalogue.
    """

    def __init__(self, source: SqlSource, catalogue: Catalogue) -> None:
        self._source = source
        self._catalogue = catalogue

    def names(self) -> list[str]:
        """All tables and views: bare in the default schema, else ``schema.name``.

        Raises:
            TransientFailure: the database cannot be reached.
            PermanentFailure: it refuses the account.
        """
        return sorted(self._catalogue.tables())

    def views(self) -> set[str]:
        """The views, which a wildcard leaves out."""
        return {name for name, is_view in self._catalogue.tables().items() if is_view}

    def describe(self, names: Sequence[str]) -> list[SourceTable]:
        """The tables of these names, which must exist, with a sample of each.

        Raises:
            TransientFailure: the database cannot be reached.
            PermanentFailure: it refuses the account.
        """
        order = {name: place for place, name in enumerate(names)}
        found = sorted(self._catalogue.described(names), key=lambda table: order[table.name])
        return [
            replace(table, unique=self._proved(table), sample=tuple(self._sample(table)))
            for table in found
        ]

    def unique(self, table: str, columns: Sequence[str]) -> bool:
        """Whether no two rows of the whole table agree in these columns and none is NULL.

        Raises:
            TransientFailure: the database cannot be reached.
        """
        missing = tree.either(
            [exp.Is(this=tree.column(name), expression=exp.Null()) for name in columns]
        )
        with_nulls = self._any(table).where(missing, copy=False)
        several = exp.GT(this=tree.count(), expression=tree.number(1))
        twice = self._any(table).group_by(*map(tree.column, columns), copy=False)
        twice.having(several, copy=False)
        return not any(self._source.ask(query, place=table) for query in (with_nulls, twice))

    def _proved(self, table: SourceTable) -> tuple[tuple[str, ...], ...]:
        """The unique columns of a table; asked of the table itself where they may be its key."""
        if table.promised:
            return table.unique
        needed = () if table.primary_key else table.unique
        return tuple(columns for columns in needed if self.unique(table.name, columns))

    def _any(self, table: str) -> exp.Select:
        return tree.select({"found": tree.number(1)}, tree.table(table)).limit(1, copy=False)

    def _sample(self, table: SourceTable) -> Iterator[dict[str, str | None]]:
        # From the end: the index has these rows at hand, and they are those written today.
        for row in self._source.last_rows(table.name, table.primary_key, SAMPLE_ROWS).to_pylist():
            yield {name: None if value is None else str(value) for name, value in row.items()}
