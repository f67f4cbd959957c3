"""A lake of Silver tables for the tests of Gold, the engine over it, and dbt on that engine.

Real parts: Delta tables written by delta-rs, Sail as the engine, dbt in a process of its own. Not
here: the tests, and how Silver comes to its rows; a test states them.
"""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from pysail.spark import SparkConnectServer
from pyspark.sql.connect.session import SparkSession

import retail_platform.gold
from retail_platform.bronze.ledger_copy import LEDGER_SCHEMA, NAME
from retail_platform.gold.runner import NOT_HOURLY
from retail_platform.lakehouse.engine import EngineSession

DBT_PROJECT = Path(retail_platform.gold.__file__).parent / "dbt"

_TYPES = {
    "bigint": pa.int64(),
    "int": pa.int32(),
    "string": pa.string(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "money": pa.decimal128(19, 4),
    "pieces": pa.decimal128(8, 2),
    "rate": pa.decimal128(9, 4),
}
_META = (
    "_watermark timestamp, _extracted_at timestamp, _row_hash string, _hour timestamp, "
    "_deleted boolean, _inferred boolean"
)
_SCD2 = "valid_from timestamp, valid_to timestamp, is_current boolean"
_ENTITIES = {
    "customers": (
        "customer_id bigint, account_number string, customer_type string, person_id bigint, "
        "store_id bigint, territory_id int, full_name string, email string, phone string, "
        "address_line string, city string, state_province string, postal_code string, "
        f"country_code string, modified_at timestamp, {_SCD2}"
    ),
    "products": (
        "product_id bigint, name string, product_number string, color string, size string, "
        "product_line string, class string, style string, standard_cost money, list_price money, "
        "subcategory_id int, safety_stock_level int, reorder_point int, sell_start_date date, "
        f"sell_end_date date, modified_at timestamp, {_SCD2}"
    ),
    "categories": (
        "subcategory_id int, subcategory string, category_id int, category string, "
        "modified_at timestamp"
    ),
    "territories": (
        "territory_id int, name string, country_code string, territory_group string, "
        "modified_at timestamp"
    ),
    "suppliers": (
        "supplier_id bigint, account_number string, name string, credit_rating int, "
        f"is_preferred boolean, is_active boolean, modified_at timestamp, {_SCD2}"
    ),
    "purchase_orders": (
        "purchase_order_id bigint, supplier_id bigint, status string, ordered_at timestamp, "
        "modified_at timestamp"
    ),
    "purchase_order_lines": (
        "purchase_order_id bigint, line_number int, product_id bigint, due_date date, "
        "ordered_quantity int, unit_price money, line_total money, received_quantity pieces, "
        "rejected_quantity pieces, received_at timestamp, modified_at timestamp"
    ),
    "stores": (
        "store_id bigint, name string, sales_person_id bigint, territory_id int, "
        "business_type string, year_opened int, specialty string, square_feet int, employees int, "
        "city string, state_province string, country_code string, modified_at timestamp"
    ),
    "orders": (
        "order_id bigint, order_number string, channel string, customer_id bigint, "
        "store_id bigint, sales_person_id bigint, ordered_at timestamp, due_date date, "
        "shipped_at timestamp, status string, sub_total money, tax_amount money, freight money, "
        "total_due money, currency_code string, modified_at timestamp"
    ),
    "order_lines": (
        "order_id bigint, line_number int, product_id bigint, quantity int, unit_price money, "
        "unit_price_discount rate, line_total money, tax_amount money, modified_at timestamp"
    ),
    "stock_levels": (
        "product_id bigint, location_id int, shelf string, bin int, quantity int, "
        f"modified_at timestamp, {_SCD2}"
    ),
    "pos_transactions": (
        "invoice_no string, stock_code string, description string, quantity int, "
        "sold_at timestamp, unit_price money, customer_id bigint, country string, "
        "file_path string, line_number bigint"
    ),
    "facebook_insights": (
        "account_id string, account_name string, campaign_id string, campaign_name string, "
        "objective string, date_start date, hour int, attribution_setting string, "
        "impressions bigint, clicks bigint, spend money, purchases money, purchase_value money, "
        "currency_code string, timezone_name string, campaign_status string, daily_budget bigint"
    ),
    "google_campaign_performance": (
        "account_id string, campaign_id string, campaign_name string, campaign_status string, "
        "channel_type string, segments_date date, segments_hour int, impressions bigint, "
        "clicks bigint, cost_micros bigint, conversions money, conversions_value money, "
        "currency_code string, timezone_name string, daily_budget_micros bigint"
    ),
    "web_events": (
        "event_id string, event_name string, occurred_at timestamp, arrived_at timestamp, "
        "session_id string, client_id string, customer_id bigint, device string, page string, "
        "product_id bigint, order_number string, value money, currency string, "
        "utm_source string, utm_medium string, utm_campaign string, utm_id string, "
        "gclid string, fbclid string"
    ),
    "tickets": (
        "ticket_id bigint, subject string, description string, ticket_type string, "
        "priority string, status string, category string, customer_id bigint, "
        "requester_name string, requester_email string, requester_role string, channel string, "
        "channel_relation string, tags string, satisfaction string, created_at timestamp, "
        "updated_at timestamp"
    ),
    "ticket_comments": (
        "comment_id bigint, ticket_id bigint, author_role string, author_name string, "
        "author_email string, body string, is_public boolean, created_at timestamp"
    ),
    "product_reviews": (
        "review_id bigint, product_id bigint, product_class string, reviewer_age int, "
        "review_title string, review_text string, rating int, is_recommended boolean, "
        "helpful_votes int, created_at timestamp, updated_at timestamp"
    ),
    "survey_responses": (
        "response_id string, customer_id bigint, category string, subcategory string, "
        "answered_at timestamp"
    ),
}

Row = Mapping[str, Any]


def silver_schema(entity: str) -> pa.Schema:
    """The Arrow schema of a Silver entity, meta columns included."""
    fields = (column.split() for column in f"{_ENTITIES[entity]}, {_META}".split(", "))
    return pa.schema([pa.field(name, _TYPES[kind]) for name, kind in fields])


SILVER_ENTITIES = tuple(_ENTITIES)


@dataclass
class SilverLake:
    """A temporary lake with an engine of its own; use it as a context manager.

    Attributes:
        root: Folder of the lake.
        work: Folder for dbt's target and logs.
    """

    root: Path
    work: Path
    _server: SparkConnectServer | None = field(default=None, init=False)
    _session: SparkSession | None = field(default=None, init=False)
    _loop: "subprocess.Popen[str] | None" = field(default=None, init=False)
    remote_url: str = field(default="", init=False)

    @property
    def gold_root(self) -> str:
        """Folder of the Gold tables."""
        return str(self.root / "gold")

    def __enter__(self) -> Self:
        """Start the engine over a lake whose Silver tables are all empty."""
        for entity in SILVER_ENTITIES:
            self.write(entity, [])
        self.write_ledger([])
        server = SparkConnectServer(ip="127.0.0.1", port=0)
        server.start(background=True)
        self._server = server
        self.open_session()
        return self

    def __exit__(self, *_: object) -> None:
        """End dbt, close the session and stop the engine."""
        self._end_loop()
        if self._session is not None:
            self._session.stop()
        if self._server is not None:
            self._server.stop()

    @property
    def session(self) -> EngineSession | None:
        """The open session."""
        if self._session is None:
            return None
        return EngineSession(spark=self._session, remote_url=self.remote_url)

    def drop(self, layer: str, name: str) -> None:
        """Remove a table from the session's catalogue."""
        assert self._session is not None
        self._session.sql(f"drop table {layer}.{name}")

    def write(self, entity: str, rows: Iterable[Row]) -> None:
        """Replace a Silver table by `rows`; what a row leaves out is NULL, flags are false."""
        schema = silver_schema(entity)
        filled = [
            {name: row.get(name) for name in schema.names}
            | {
                "_deleted": row.get("_deleted", False),
                "_inferred": row.get("_inferred", False),
            }
            for row in rows
        ]
        path = self.root / "silver" / entity
        write_deltalake(path, pa.Table.from_pylist(filled, schema=schema), mode="overwrite")

    def write_ledger(self, rows: Iterable[Row]) -> None:
        """Replace the copy of the load ledger by `rows`; what a row leaves out is NULL."""
        filled = [{name: row.get(name) for name in LEDGER_SCHEMA.names} for row in rows]
        table = pa.Table.from_pylist(filled, schema=LEDGER_SCHEMA)
        write_deltalake(self.root / "bronze" / NAME, table, mode="overwrite")

    def open_session(self) -> None:
        """Open a session of its own and register every table that exists, with its columns."""
        assert self._server is not None
        address = self._server.listening_address
        assert address is not None
        self._end_loop()
        if self._session is not None:
            self._session.stop()
        self.remote_url = f"sc://127.0.0.1:{address[1]}/;user_id=test;session_id={uuid.uuid4()}"
        self._session = SparkSession.builder.remote(self.remote_url).create()
        self._session.conf.set("spark.sql.session.timeZone", "UTC")
        self._session.conf.set("spark.sql.ansi.enabled", "true")
        for layer in ("bronze", "silver", "gold"):
            self._session.sql(f"create database if not exists {layer}")
            for path in sorted((self.root / layer).glob("*")):
                table = DeltaTable(path)
                columns = ", ".join(
                    f"`{column.name}` {_spark_type(column.type)}"
                    + ("" if column.nullable else " not null")
                    for column in pa.schema(table.schema().to_arrow())
                )
                declared = "" if table.metadata().partition_columns else f"({columns})"
                self._session.sql(
                    f"create table if not exists {layer}.{path.name} {declared} "
                    f"using delta location '{path}'"
                )

    def dbt(self, *arguments: str, hours: Iterable[datetime] = (), succeeds: bool = True) -> str:
        """Run dbt on this lake and return what it printed; check that it ends as expected."""
        if self._loop is None:
            self._loop = self._start_loop()
        assert self._loop.stdin is not None
        assert self._loop.stdout is not None
        given = ",".join(f"{hour:%Y-%m-%d %H:%M:%S}" for hour in hours)
        self._loop.stdin.write(json.dumps({"arguments": arguments, "hours": given}) + "\n")
        self._loop.stdin.flush()
        answer = json.loads(self._loop.stdout.readline())
        assert answer["success"] is succeeds, answer["output"][-6000:]
        return answer["output"]

    def _start_loop(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("dbt_loop.py"))],
            env={
                **os.environ,
                "SPARK_REMOTE": self.remote_url,
                "RETAIL_GOLD_ROOT": self.gold_root,
                "RETAIL_STAGING": str(self.root / "_staging" / "test"),
                "DBT_PROJECT_DIR": str(DBT_PROJECT),
                "DBT_PROFILES_DIR": str(DBT_PROJECT),
                "DBT_TARGET_PATH": str(self.work / "target"),
                "DBT_LOG_PATH": str(self.work / "logs"),
            },
            cwd=DBT_PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _end_loop(self) -> None:
        if self._loop is not None:
            self._loop.communicate()
            self._loop = None

    def build(self, *hours: datetime) -> str:
        """Build and test the hours of Gold as the hourly asset does."""
        return self.dbt("build", "--exclude", *NOT_HOURLY.split(), hours=hours)

    def run(self, *hours: datetime) -> str:
        """Build the models of the hours, without tests and snapshots."""
        return self.dbt("run", hours=hours)

    def rebuild(self) -> str:
        """Rebuild every model whole from Silver."""
        return self.dbt("run", "--full-refresh")

    def gold(self, model: str, *, technical: bool = False) -> list[dict[str, Any]]:
        """The rows of a Gold table, in a fixed order; columns that begin with `_` on demand."""
        table = pa.table(DeltaTable(f"{self.gold_root}/{model}").to_pyarrow_table())
        names = [name for name in table.column_names if technical or not name.startswith("_")]
        return sorted(table.select(names).to_pylist(), key=lambda row: str(row[names[0]]))

    def version(self, model: str) -> int:
        """The number of a Gold table's last commit."""
        return DeltaTable(f"{self.gold_root}/{model}").version()


def utc(text: str) -> datetime:
    """An aware UTC instant from ISO text."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _spark_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"array<{_spark_type(kind.value_type)}>"
    if pa.types.is_timestamp(kind):
        return "timestamp"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    names = {
        "int64": "bigint",
        "int32": "int",
        "date32[day]": "date",
        "bool": "boolean",
    }
    return names.get(str(kind), str(kind).replace("_view", "").replace("large_", ""))
