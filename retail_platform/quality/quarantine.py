"""The quarantine tables: refused rows with all their reasons, one table per Silver entity.

A refused row is kept once, by the hash of the row as received, with the first and the last time
that it was read. Its payload leaves personal columns out; Bronze has the whole row. A row that a
later load or a replay lets in stays here as accepted; refused again, it is open again. What people
decide about rows is in the control database (``control/decisions``), who reads them in
``quarantined``.
"""

from pyspark.sql import DataFrame
from pyspark.sql.connect import functions as f

from retail_platform.lakehouse.commits import Commit
from retail_platform.lakehouse.merges import Matched
from retail_platform.lakehouse.tables import Lakehouse
from retail_platform.metadata.loader import Table
from retail_platform.quality.quarantine_table import REFUSED
from retail_platform.quality.reasons import rule_sql
from retail_platform.silver.casting import sql_text


def reasons_of(batch: DataFrame) -> dict[str, int]:
    """Counts the quarantined rows of a classified batch by rule, most frequent first."""
    rows = (
        batch.where("_class = 'quarantined'")
        .select(f.explode("_reasons").alias("_reason"))
        .groupBy(f.expr(rule_sql("_reason")).alias("reason"))
        .agg(f.count(f.lit(1)).alias("rows"))
        .orderBy(f.col("rows").desc(), f.col("reason"))
        .limit(20)
        .collect()
    )
    return {row["reason"]: row["rows"] for row in rows}


def keep(
    lakehouse: Lakehouse, table: Table, batch: DataFrame, run_id: str, *, rows: int | None = None
) -> Commit:
    """Merges the quarantined rows of a classified, materialised batch into the quarantine.

    Args:
        lakehouse: The lake.
        table: The table's metadata.
        batch: Classified, materialised batch.
        run_id: Run that the rows name.
        rows: Rows of class ``quarantined``, where they are counted.
    """
    refused = (
        batch.where("_class = 'quarantined'")
        .groupBy(f.col("_row_hash").alias("row_hash"))
        .agg(
            f.min("_hour").alias("hour"),
            f.first(f.expr("array_join(_reasons, '; ')")).alias("reasons"),
            f.first(f.expr("to_json(_reasons)")).alias("reason_list"),
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
            "reason_list",
            "cast(null as string) as accepted_run",
        )
    )
    return lakehouse.merge(
        "quarantine",
        table.entity,
        refused,
        on=REFUSED.on,
        matched=REFUSED.matched,
        insert=REFUSED.insert,
        rows=rows,
    )


def accept(lakehouse: Lakehouse, table: Table, batch: DataFrame, run_id: str) -> Commit:
    """Marks the refused rows that a classified, committed batch has let in.

    A row of the batch whose content was refused earlier and is not refused now is in force, or
    lost to a newer one: either way nobody has to look at it any more.
    """
    version = lakehouse.version("quarantine", table.entity)
    kept = lakehouse.row_count("quarantine", table.entity)
    if kept == 0:
        return Commit(version_before=version, version=version)
    refused = lakehouse.read("quarantine", table.entity).where("accepted_run is null")
    let_in = (
        batch.where("_class <> 'quarantined'")
        .select(f.col("_row_hash").alias("row_hash"))
        .distinct()
        .join(refused.select("row_hash"), "row_hash", "left_semi")
    )
    with lakehouse.staged(let_in, rows=kept) as rows:
        if rows.count() == 0:
            return Commit(version_before=version, version=version)
        return lakehouse.merge(
            "quarantine",
            table.entity,
            rows.withColumn("accepted_run", f.lit(run_id)),
            on=["row_hash"],
            matched=[Matched.replaced(["accepted_run"])],
            rows=kept,
        )
