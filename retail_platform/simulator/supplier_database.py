"""The supplier database: a real PostgreSQL that holds suppliers, their products and purchases.

Here belongs SQL of that database. Money is ``numeric``, moments are ``timestamptz``. The cluster is
made anew at each start and filled with what the change log says for the clock.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime

import psycopg

from retail_platform.simulator.changes import Change, ChangeLog, Row
from retail_platform.simulator.databases import Table
from retail_platform.simulator.postgres import postgres_server
from retail_platform.simulator.shifts import COMPANY_ZONE

DATABASE = "suppliers"


def _table(name: str, key: str, columns: str) -> Table:
    definitions = tuple(column.strip() for column in columns.split(";"))
    stamped = (*definitions, "modified_at timestamptz NOT NULL")
    return Table(DATABASE, name, tuple(key.split()), stamped)


TABLES = (
    _table(
        "suppliers",
        "supplier_id",
        "supplier_id integer; account_number text; name text; credit_rating smallint;"
        "is_preferred boolean; is_active boolean",
    ),
    _table(
        "supplier_products",
        "supplier_id product_id",
        "supplier_id integer; product_id integer; average_lead_time_days integer;"
        "standard_price numeric(19,4); last_receipt_cost numeric(19,4);"
        "last_receipt_at timestamptz; min_order_quantity integer; max_order_quantity integer;"
        "on_order_quantity integer; unit_code char(3)",
    ),
    _table(
        "purchase_orders",
        "purchase_order_id",
        "purchase_order_id bigint; supplier_id integer; employee_id integer;"
        "ship_method_id smallint; status text; ordered_at timestamptz; approved_at timestamptz;"
        "shipped_at timestamptz; sub_total numeric(19,4); tax_amount numeric(19,4);"
        "freight numeric(19,4); total_due numeric(19,4)",
    ),
    _table(
        "purchase_order_lines",
        "purchase_order_id line_number",
        "purchase_order_id bigint; line_number integer; product_id integer; due_date date;"
        "ordered_quantity integer; unit_price numeric(19,4); line_total numeric(19,4);"
        "received_quantity numeric(8,2); rejected_quantity numeric(8,2); received_at timestamptz",
    ),
)
BY_NAME = {table.name: table for table in TABLES}


class SupplierDatabase:
    """The running database.

    Attributes:
        url: Its SQLAlchemy URL, password included.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def build(self, log: ChangeLog, clock: datetime) -> None:
        """Create the tables with the rows of ``clock`` (aware)."""
        with self._transaction() as cursor:
            cursor.execute("CREATE TABLE clock (now timestamptz NOT NULL)")
            cursor.execute("INSERT INTO clock VALUES (%s)", [clock])
            for table in TABLES:
                columns, key = ", ".join(table.columns), ", ".join(table.key)
                cursor.execute(
                    f"CREATE TABLE {table.name} ({columns}, PRIMARY KEY ({key}))".encode()
                )
                cursor.execute(
                    f"CREATE INDEX {table.name}_modified ON {table.name} (modified_at)".encode()
                )
                with cursor.copy(f"COPY {table.name} FROM STDIN".encode()) as copy:
                    for row in log.state(table.name, clock).values():
                        copy.write_row(_texts(table, row))

    def apply(self, changes: Iterable[Change], clock: datetime) -> int:
        """Apply its changes and set its clock, in one transaction; returns how many."""
        count = 0
        with self._transaction() as cursor:
            for change in changes:
                table = BY_NAME.get(change.table)
                if table is None:
                    continue
                cursor.execute(_upsert(table), _texts(table, change.row))
                count += 1
            cursor.execute("UPDATE clock SET now = %s", [clock])
        return count

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Cursor]:
        with psycopg.connect(self.url) as connection, connection.cursor() as cursor:
            yield cursor


@contextmanager
def serve(log: ChangeLog, clock: datetime) -> Iterator[SupplierDatabase]:
    """A server with the rows of ``clock``, stopped at the end of the context.

    Raises:
        PermanentFailure: PostgreSQL is not installed, or did not start.
    """
    with postgres_server() as url:
        database = SupplierDatabase(url)
        database.build(log, clock)
        yield database


def _texts(table: Table, row: Row) -> list[str | None]:
    """Values as texts, which the server reads as its columns' types."""
    return [
        _text(row[name], definition)
        for name, definition in zip(table.column_names, table.columns, strict=True)
    ]


def _text(value: str | int | None, definition: str) -> str | None:
    if value is None or "timestamptz" not in definition:
        return None if value is None else str(value)
    # PostgreSQL would take a local time of a doubled hour for its second pass.
    return datetime.fromisoformat(str(value)).replace(tzinfo=COMPANY_ZONE).isoformat()


def _upsert(table: Table) -> bytes:
    """Nothing is ever deleted in this database."""
    names = table.column_names
    marks = ", ".join("%s" for _ in names)
    news = ", ".join(f"{name} = excluded.{name}" for name in names if name not in table.key)
    # Names come from TABLES above, never from outside.
    return (
        f"INSERT INTO {table.name} VALUES ({marks}) "
        f"ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {news}"
    ).encode()
