"""The quarantine tables: refused rows with all their reasons, one table per Silver entity.

A refused row is kept once, by the hash of the row as received, with the first and the last time
that it was read. Its payload leaves personal columns out; Bronze has the whole row.
"""

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.connect import functions as f

from retail_platform.lakehouse.tables import Commit, Lakehouse
from retail_platform.metadata.loader import Table
from retail_platform.silver.casting import sql_text

TIMESTAMP = pa.timestamp("us", "UTC")
QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("row_hash", pa.string()),
        pa.field("hour", TIMESTAMP),
        pa.field("reasons", pa.string()),
        pa.field("payload", pa.string()),
        pa.field("place", pa.string()),
        pa.field("contract_version", pa.string()),
        pa.field("first_seen", TIMESTAMP),
        pa.field("last_seen", TIMESTAMP),
        pa.field("run_id", pa.string()),
    ]
)


def reasons_of(batch: DataFrame) -> dict[str, int]:
    """Counts the reasons of a classified batch, most frequent first."""
    rows = (
        batch.where("_class = 'quarantined'")
        .select(f.explode("_reasons").alias("reason"))
        .groupBy("reason")
        .agg(f.count(f.lit(1)).alias("rows"))
        .orderBy(f.col("rows").desc(), f.col("reason"))
        .limit(20)
        .collect()
    )
    return {row["reason"]: row["rows"] for row in rows}


def keep(lakehouse: Lakehouse, table: Table, batch: DataFrame, run_id: str) -> Commit:
    """Merges the quarantined rows of a classified, materialised batch into the quarantine."""
    refused = (
        batch.where("_class = 'quarantined'")
        .groupBy(f.col("_row_hash").alias("row_hash"))
        .agg(
            f.min("_hour").alias("hour"),
            f.first(f.expr("array_join(_reasons, '; ')")).alias("reasons"),
            f.first("_payload").alias("payload"),
            f.min("_place").alias("place"),
            f.min("_extracted_at").alias("first_seen"),
            f.max("_extracted_at").alias("last_seen"),
        )
        .selectExpr(
            "row_hash",
            "hour",
            "reasons",
            "payload",
            "place",
            f"{sql_text(table.contract.version)} as contract_version",
            "first_seen",
            "last_seen",
            f"{sql_text(run_id)} as run_id",
        )
    )
    seen = (
        "AND (s.first_seen < t.first_seen OR s.last_seen > t.last_seen "
        "OR s.contract_version <> t.contract_version) THEN UPDATE SET "
        "first_seen = least(s.first_seen, t.first_seen), "
        "last_seen = greatest(s.last_seen, t.last_seen), "
        "hour = least(s.hour, t.hour), reasons = s.reasons, "
        "contract_version = s.contract_version, run_id = s.run_id"
    )
    return lakehouse.merge(
        "quarantine",
        table.entity,
        refused,
        on=["row_hash"],
        matched=[seen],
        insert=QUARANTINE_SCHEMA.names,
    )
