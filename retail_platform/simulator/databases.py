"""The company's two SQLite databases: tables, first content, and changes applied to them.

Here belongs SQL. Each database keeps how far it has come in its own ``clock`` table, in the same
transaction as the rows, so a process that dies between two changes leaves a consistent file.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from retail_platform.simulator.changes import Change, ChangeLog, Row
from retail_platform.simulator.shifts import local_text, to_micros

BUSY_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Table:
    """One source table.

    Attributes:
        database: File it lives in, ``sales`` or ``inventory``, or the database ``suppliers``.
        name: Table name.
        key: Primary key columns.
        columns: Column definitions in order; ``modified_at`` comes last. In files money and time
            are TEXT.
    """

    database: str
    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names without types."""
        return tuple(column.split()[0] for column in self.columns)


def _table(database: str, name: str, key: str, columns: str) -> Table:
    definitions = tuple(column.strip() for column in columns.split(","))
    return Table(database, name, tuple(key.split()), (*definitions, "modified_at TEXT NOT NULL"))


TABLES = (
    _table(
        "sales",
        "customers",
        "customer_id",
        "customer_id INTEGER, account_number TEXT, customer_type TEXT, person_id INTEGER,"
        "store_id INTEGER, territory_id INTEGER, full_name TEXT, email TEXT, phone TEXT,"
        "address_line TEXT, city TEXT, state_province TEXT, postal_code TEXT, country_code TEXT",
    ),
    _table(
        "sales",
        "products",
        "product_id",
        "product_id INTEGER, name TEXT, product_number TEXT, color TEXT, size TEXT,"
        "product_line TEXT, class TEXT, style TEXT, standard_cost TEXT, list_price TEXT,"
        "subcategory_id INTEGER, safety_stock_level INTEGER, reorder_point INTEGER,"
        "sell_start_date TEXT, sell_end_date TEXT",
    ),
    _table(
        "sales",
        "categories",
        "subcategory_id",
        "subcategory_id INTEGER, subcategory TEXT, category_id INTEGER, category TEXT",
    ),
    _table(
        "sales",
        "territories",
        "territory_id",
        "territory_id INTEGER, name TEXT, country_code TEXT, territory_group TEXT",
    ),
    _table(
        "sales",
        "stores",
        "store_id",
        "store_id INTEGER, name TEXT, sales_person_id INTEGER, territory_id INTEGER,"
        "business_type TEXT, year_opened INTEGER, specialty TEXT, square_feet INTEGER,"
        "employees INTEGER, city TEXT, state_province TEXT, country_code TEXT",
    ),
    _table(
        "sales",
        "orders",
        "order_id",
        "order_id INTEGER, order_number TEXT, channel TEXT, customer_id INTEGER,"
        "store_id INTEGER, sales_person_id INTEGER, ordered_at TEXT, due_date TEXT,"
        "shipped_at TEXT, status TEXT, sub_total TEXT, tax_amount TEXT, freight TEXT,"
        "total_due TEXT, currency_code TEXT",
    ),
    _table(
        "sales",
        "order_lines",
        "order_id line_number",
        "order_id INTEGER, line_number INTEGER, product_id INTEGER, quantity INTEGER,"
        "unit_price TEXT, unit_price_discount TEXT, line_total TEXT, tax_amount TEXT",
    ),
    _table(
        "inventory",
        "stock_levels",
        "product_id location_id",
        "product_id INTEGER, location_id INTEGER, shelf TEXT, bin INTEGER, quantity INTEGER",
    ),
    _table(
        "inventory",
        "locations",
        "location_id",
        "location_id INTEGER, name TEXT, cost_rate TEXT, availability TEXT",
    ),
)
BY_NAME = {table.name: table for table in TABLES}
DATABASES = ("sales", "inventory")


@contextmanager
def _transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection in one write transaction: committed at the end, rolled back on any error."""
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")
    finally:
        # Closing an open transaction rolls it back.
        connection.close()


def build(path: Path, *, database: str, log: ChangeLog, clock: datetime) -> None:
    """Create one database file with the rows of the first clock; ``path`` must not exist yet."""
    with _transaction(path) as connection:
        connection.execute("CREATE TABLE clock (now TEXT NOT NULL, utc TEXT NOT NULL)")
        connection.execute("INSERT INTO clock VALUES (?, ?)", _clock_values(clock))
        for table in TABLES:
            if table.database != database:
                continue
            columns, key = ", ".join(table.columns), ", ".join(table.key)
            connection.execute(f"CREATE TABLE {table.name} ({columns}, PRIMARY KEY ({key}))")
            connection.executemany(
                _upsert(table), map(_values(table), log.initial[table.name].values())
            )
            connection.execute(f"CREATE INDEX {table.name}_modified ON {table.name} (modified_at)")


def apply(path: Path, *, database: str, changes: Iterable[Change], clock: datetime) -> int:
    """Apply the changes of one database and set its clock, in one transaction; returns how many."""
    count = 0
    with _transaction(path) as connection:
        for change in changes:
            table = BY_NAME.get(change.table)
            if table is None or table.database != database:
                continue
            if change.op == "delete":
                where = " AND ".join(f"{column} = ?" for column in table.key)
                connection.execute(f"DELETE FROM {table.name} WHERE {where}", change.key)
            else:
                connection.execute(_upsert(table), _values(table)(change.row))
            count += 1
        connection.execute("UPDATE clock SET now = ?, utc = ?", _clock_values(clock))
    return count


def read_clock(path: Path) -> datetime:
    """How far a database has come, aware UTC."""
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS)
    try:
        ((utc,),) = connection.execute("SELECT utc FROM clock").fetchall()
    finally:
        connection.close()
    return datetime.fromisoformat(utc)


def _clock_values(clock: datetime) -> tuple[str, str]:
    return local_text(to_micros(clock)), clock.isoformat()


def _upsert(table: Table) -> str:
    marks = ", ".join("?" for _ in table.columns)
    # Table names come from TABLES above, never from outside.
    return f"INSERT OR REPLACE INTO {table.name} VALUES ({marks})"


def _values(table: Table) -> Callable[[Row], list[str | int | None]]:
    names = table.column_names
    return lambda row: [row[name] for name in names]
