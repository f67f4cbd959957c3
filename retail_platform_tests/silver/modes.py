"""One small table for each way in which rows meet stored ones, for tests of order and replays."""

from pathlib import Path

from retail_platform.metadata.loader import Catalog, load_catalog
from retail_platform_tests.platform.catalogs import Tree, contract, sql_source, write_catalog

RULES = {"amount is negative": "amount >= 0"}
PLAIN = {"id": "bigint", "amount": "int", "modified_at": "timestamp"}
MARKED = {**PLAIN, "gone": "string"}
SEEN = {"id": "bigint", "amount": "int", "seen_at": "timestamp"}
SPEND = {"day": "string", "campaign": "string", "amount": "int"}
RECEIPTS = {"file_path": "string", "line_number": "bigint", "amount": "int"}
ALWAYS = {"max_shrink": 1.0}


def _plain(table: str, load: str, merge: str) -> Tree:
    return {
        "table": table,
        "load": load,
        "key": ["id"],
        "watermark": {"column": "modified_at"},
        "silver": {"entity": table, "merge": merge, **ALWAYS},
    }


def _marked(table: str, load: str, merge: str) -> Tree:
    return {**_plain(table, load, merge), "deleted": {"column": "gone", "values": ["yes"]}}


def modes_catalog(
    folder: Path, *, rules: dict[str, str] = RULES, version: str = "1.0.0"
) -> Catalog:
    """Writes and loads the catalog.

    Its tables: ``contacts`` (incremental, upsert), ``prices`` (incremental, scd2), ``shelf``
    (snapshot, scd2), ``regions`` (full, upsert), ``spend`` (restated by day), ``receipts`` (files),
    ``rates`` (full, replace), ``archive`` (full, append),
    ``members`` and ``fees`` (as ``contacts`` and ``prices``, with rows marked as deleted),
    ``bins`` (as ``shelf``, likewise),
    ``guests`` (incremental, scd2, rows without a believable watermark dated by the clock).
    """
    tables = [
        _plain("contacts", "incremental", "upsert"),
        _plain("prices", "incremental", "scd2"),
        _plain("shelf", "snapshot", "scd2"),
        _plain("regions", "full", "upsert"),
        _marked("members", "incremental", "upsert"),
        _marked("fees", "incremental", "scd2"),
        _marked("bins", "snapshot", "scd2"),
        _plain("rates", "full", "replace"),
        _plain("archive", "full", "append"),
        {
            **_plain("guests", "incremental", "scd2"),
            "watermark": {"column": "seen_at", "null": "default", "future": "default"},
        },
        {
            "table": "spend",
            "load": "restated",
            "key": ["day", "campaign"],
            "silver": {"entity": "spend", "merge": "upsert", "sweep": ["day"], **ALWAYS},
        },
    ]
    receipts = {
        "table": "receipts",
        "load": "files",
        "path": "receipts_%Y%m%dT%H",
        "key": ["file_path", "line_number"],
        "columns": {"_file": "file_path", "_line": "line_number"},
        "silver": {"entity": "receipts", "merge": "append", "sweep": ["file_path"], **ALWAYS},
    }
    landing = {"kind": "files", "root": {"env": "LANDING"}, "timezone": "UTC"}
    quality: Tree = {"rules": rules, "max_quarantined": 100}
    contracts = [
        contract(name, PLAIN, ["id"], required=["amount", "modified_at"], **quality)
        for name in ("contacts", "prices", "shelf", "regions", "rates", "archive")
    ]
    contracts += [
        contract(name, MARKED, ["id"], required=["amount", "modified_at"], **quality)
        for name in ("members", "fees", "bins")
    ]
    contracts += [
        contract("guests", SEEN, ["id"], required=["amount"], **quality),
        contract("spend", SPEND, ["day", "campaign"], required=["amount"], **quality),
        contract(
            "receipts",
            RECEIPTS,
            ["file_path", "line_number"],
            required=["amount"],
            **quality,
        ),
    ]
    contracts = [tree | {"version": version} for tree in contracts]
    sources = [
        sql_source("box", tables),
        {"source": "tills", "connection": landing, "tables": [receipts]},
    ]
    return load_catalog(write_catalog(folder, sources, contracts))
