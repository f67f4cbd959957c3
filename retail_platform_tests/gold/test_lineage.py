"""Columns are followed through the SQL that dbt compiles, and down to tests."""

from collections.abc import Sequence
from typing import Any

import pytest

from retail_platform.failures import PermanentFailure
from retail_platform.gold.lineage import Reader, readers

SILVER = {"orders": ["id", "status", "amount", "customer_id"], "customers": ["id", "name", "city"]}


def node(name: str, sql: str, parents: Sequence[str] = (), kind: str = "model") -> dict[str, Any]:
    return {
        "resource_type": kind,
        "name": name,
        "alias": name,
        "compiled_code": sql,
        "original_file_path": f"models/{name}.sql",
        "depends_on": {"nodes": list(parents)},
    }


def lineage(**nodes: dict[str, Any]) -> dict[str, Reader]:
    return {reader.name: reader for reader in readers({"nodes": nodes}, SILVER)}


def test_values_and_rows_through_ctes_unions_and_subqueries() -> None:
    """Stars are expanded, both sides of a union count, and filters decide about rows."""
    sql = """
        with placed as (select *, amount * 2 as twice from silver.orders where status = 'placed'),
        both as (
          select p.id, p.twice as value, c.name from placed as p
          left join silver.customers as c on c.id = p.customer_id
          union all
          select id, amount, 'none' from silver.orders where id in (select id from silver.customers)
        )
        select id as order_id, value, name, max(value) over (partition by name) as top from both
    """
    found = lineage(a=node("fct", sql))["gold.fct"]
    assert found.columns == {
        "order_id": {("silver.orders", "id")},
        "value": {("silver.orders", "amount")},
        "name": {("silver.customers", "name")},
        "top": {("silver.orders", "amount"), ("silver.customers", "name")},
    }
    assert found.rows == {
        ("silver.orders", "*"),
        ("silver.customers", "*"),
        ("silver.orders", "status"),
        ("silver.orders", "customer_id"),
        ("silver.orders", "id"),
        ("silver.customers", "id"),
    }


def test_models_tests_and_snapshots_in_order() -> None:
    """A child resolves its parent's columns; a test lists all that it reads."""
    found = lineage(
        b=node("mart", "select city, count(*) as n from gold.dim group by city", ["c"]),
        c=node("dim", "select name as city from silver.customers"),
        d=node("never_null", "select * from gold.mart where city is null", ["b"], "test"),
        e=node("snap", "select * from gold.mart", ["b"], "snapshot"),
    )
    assert found["gold.mart"].columns == {"city": {("gold.dim", "city")}, "n": set()}
    assert ("gold.dim", "city") in found["gold.mart"].rows
    assert found["never_null"].rows == {
        ("gold.mart", "*"),
        ("gold.mart", "city"),
        ("gold.mart", "n"),
    }
    assert found["gold.snap"].columns["n"] == {("gold.mart", "n")}


def test_what_is_no_sql_is_named() -> None:
    """The model and its file are in the message."""
    with pytest.raises(PermanentFailure, match=r"gold\.bad \(models/bad\.sql\).*columns"):
        lineage(a=node("bad", "select from where"))
