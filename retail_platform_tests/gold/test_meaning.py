"""What Gold's rows mean, against plain Python over the same Silver and against values by hand."""

import shutil
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from retail_platform_tests.gold.scenario import BATCHES, HOURS, at
from retail_platform_tests.gold.silver_lake import NewLake, SilverLake
from retail_platform_tests.gold.silver_model import Row, SilverModel

pytestmark = pytest.mark.xdist_group("gold_five_hours")


def test_sales_buckets_equal_those_of_plain_python(lake: SilverLake, silver: SilverModel) -> None:
    expected: dict[tuple[Any, ...], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
    for sale in _live_sales(silver):
        bucket = expected[sale["bucket"]]
        gross = sale["amount"] if sale["amount"] > 0 else Decimal(0)
        returned = -sale["amount"] if sale["amount"] < 0 else Decimal(0)
        for index, value in enumerate((gross, returned, sale["amount"])):
            bucket[index] += value
    found = {
        (
            row["sold_hour"],
            row["region"],
            row["category"],
            row["channel"],
            row["currency"],
        ): [
            row["gross_amount"],
            row["returns_amount"],
            row["net_amount"],
        ]
        for row in lake.gold("mart_sales_by_region_category")
        if row["line_count"] > row["cancelled_line_count"]
    }
    assert found == dict(expected)


def test_a_sale_takes_region_and_category_as_of_the_sale(lake: SilverLake) -> None:
    sales = {
        (row["order_number"], row["line_number"]): (row["region"], row["category"])
        for row in lake.gold("fct_sales")
        if row["source"] == "sales"
    }
    # Customer 1 moved at 09:00, learnt in the third hour; product 10 changed category at 10:20.
    assert sales["SO100", 1] == ("Central", "Cycles")
    assert sales["SO102", 1] == ("Unknown", "Clothing")
    # Customer 9 was inferred when it ordered; its first version reaches back.
    assert sales["SO105", 1] == ("Northwest", "Clothing")
    assert sales["SO101", 1] == ("Central", "Unclassified")


def test_cancelled_deleted_and_returned_lines_stay_as_flagged_facts(
    lake: SilverLake,
) -> None:
    sales = {
        (row["order_number"] or row["invoice_no"], row["line_number"]): row
        for row in lake.gold("fct_sales")
    }
    assert sales["SO101", 1]["is_cancelled"]
    assert sales["SO100", 2]["is_deleted"]
    assert sales["C510", 2]["is_return"]
    assert sales["C510", 2]["net_amount"] == Decimal("-2.5500")
    assert sales["SO102", 1]["net_amount"] == Decimal("52.5025")


def test_a_line_waits_for_its_header(new_lake: NewLake) -> None:
    silver = SilverModel()
    with new_lake() as lake:
        for index in (0, 3):
            silver.process(HOURS[index], BATCHES[index])
            silver.write_to(lake)
            lake.run(HOURS[index])
        assert "SO106" not in {row["order_number"] for row in lake.gold("fct_sales")}
        silver.process(HOURS[4], BATCHES[4])
        silver.write_to(lake)
        lake.run(HOURS[4])
        assert "SO106" in {row["order_number"] for row in lake.gold("fct_sales")}


def test_spend_is_exact_to_four_places_and_in_utc_hours(lake: SilverLake) -> None:
    spend = {(row["platform"], row["local_hour"]): row for row in lake.gold("fct_marketing_spend")}
    assert spend["facebook", 5]["spend"] == Decimal("12.5000")
    assert spend["facebook", 5]["spend_hour"] == at("10:00:00")
    assert spend["facebook", 6]["is_deleted"]
    assert spend["google", 2]["spend"] == Decimal("6.0000")
    assert spend["google", 2]["spend_hour"] == at("10:00:00")


def test_return_on_spend_is_per_currency_and_null_without_spend(
    lake: SilverLake,
) -> None:
    rows = {
        (row["grain"], row["period_start"], row["currency"]): row
        for row in lake.gold("mart_sales_vs_spend")
    }
    dollars = rows["hour", at("10:00:00"), "USD"]
    # SO100 line 1 (21.001) and SO102 (52.5025) against Facebook 12.5 and Google 6.
    assert dollars["sales_net"] == Decimal("73.5035")
    assert dollars["spend_total"] == Decimal("18.5000")
    assert dollars["roas"] == round(73.5035 / 18.5, 6)
    assert rows["hour", at("10:00:00"), "GBP"]["roas"] is None
    day = rows["day", at("00:00:00"), "USD"]
    assert day["spend_total"] == Decimal("19.5000")
    assert day["sales_net"] == Decimal("73.5035") + Decimal("42.0020") + Decimal("21.0010")


def test_stock_is_that_of_the_end_of_the_hour(lake: SilverLake) -> None:
    stock = {
        (row["product_id"], row["stock_hour"]): row["quantity"]
        for row in lake.gold("fct_stock_level")
    }
    assert [stock[10, hour] for hour in HOURS] == [50, 50, 45, 45, 40]
    assert [stock[20, hour] for hour in HOURS] == [0, 8, 8, 8, 7]


def test_turnover_is_units_over_average_stock(lake: SilverLake) -> None:
    (row,) = (row for row in lake.gold("mart_stock_turnover") if row["product_id"] == 10)
    # SO100: 2, SO102: 5, SO106: 2 pieces; average stock (50 + 50 + 45 + 45 + 40) / 5 = 46.
    assert row["units_sold"] == 9
    assert row["average_stock"] == 46.0
    assert row["turnover"] == round(9 / 46, 6)
    assert row["days_of_cover"] == round(46 * 30 / 9, 6)
    assert row["hours_known"] == 5


def test_returns_are_linked_to_the_last_sale_of_the_article_to_the_customer(
    lake: SilverLake,
) -> None:
    """Whichever of the two is learnt first; without such a sale the return stands alone."""
    sales = {(row["invoice_no"], row["line_number"]): row for row in lake.gold("fct_sales")}
    keys = {row["sales_key"]: row["invoice_no"] for row in sales.values()}
    assert keys[sales["C510", 2]["returned_sales_key"]] == "510"
    assert keys[sales["C512", 2]["returned_sales_key"]] == "510"
    assert sales["C513", 3]["returned_sales_key"] is None


def test_an_unknown_currency_has_buckets_of_its_own_and_moves_with_its_order(
    lake: SilverLake,
) -> None:
    """Order 107, in euros, was moved from the last hour of February to a morning of March."""
    hours = {
        (row["grain"], row["period_start"]): row["net_amount"]
        for row in lake.gold("mart_sales_kpi")
        if row["currency"] == "EUR"
    }
    assert hours == {
        ("hour", at("08:00:00")): Decimal("10.5005"),
        ("day", at("00:00:00")): Decimal("10.5005"),
    }
    euros = [row for row in lake.gold("mart_sales_vs_spend") if row["currency"] == "EUR"]
    assert {row["spend_total"] for row in euros} == {Decimal("0.0000")}


def test_suppliers_are_measured_by_what_was_received(lake: SilverLake) -> None:
    """Lines received after 8, 10 and 12 days, two of 60 pieces missing and two refused."""
    rows = {row["supplier_id"]: row for row in lake.gold("mart_supplier_performance")}
    assert rows[5]["lead_time_days"] == 10.0
    assert rows[5]["lead_time_spread_days"] == 2.0
    assert rows[5]["fill_rate"] == round(56 / 60, 6)
    assert rows[5]["reject_rate"] == round(2 / 58, 6)
    assert rows[5]["on_time_rate"] == round(1 / 3, 6)
    assert (rows[5]["open_line_count"], rows[6]["open_line_count"]) == (1, 0)
    (bikes,) = (row for row in lake.gold("mart_replenishment") if row["product_id"] == 10)
    assert (bikes["lead_time_days"], bikes["lead_time_spread"]) == (10.0, 2.0)
    assert bikes["on_order"] == 20


def test_movements_of_stock_add_up_to_its_level(lake: SilverLake) -> None:
    """Opening level and every change: their sum is the level of the last hour."""
    totals: dict[int, int] = defaultdict(int)
    for row in lake.gold("fct_stock_movement"):
        totals[row["product_id"]] += row["quantity_change"]
    last = {
        row["product_id"]: row["quantity"]
        for row in lake.gold("fct_stock_level")
        if row["stock_hour"] == HOURS[-1]
    }
    assert dict(totals) == last


def test_local_hours_follow_the_clocks_of_their_zone(lake: SilverLake) -> None:
    """London, 2026: 29 March has no hour from 1 to 2, 25 October has it twice."""
    hours: dict[tuple[Any, int], list[Row]] = defaultdict(list)
    for row in lake.gold("dim_hour"):
        if row["time_zone"] == "Europe/London":
            hours[row["local_date"], row["local_hour"]].append(row)
    assert (date(2026, 3, 29), 0) in hours
    assert (date(2026, 3, 29), 1) not in hours
    twice = sorted(hours[date(2026, 10, 25), 1], key=lambda row: row["hour_start"])
    assert [row["utc_offset_minutes"] for row in twice] == [60, 0]
    assert [row["is_repeated"] for row in twice] == [False, True]
    for row in (row for rows in hours.values() for row in rows):
        local = row["hour_start"].astimezone(ZoneInfo("Europe/London"))
        assert (local.date(), local.hour) == (row["local_date"], row["local_hour"])


def test_the_snapshot_keeps_what_was_believed(lake: SilverLake) -> None:
    beliefs = [row for row in lake.gold("snap_campaign") if row["platform"] == "google"]
    assert sorted(row["status"] for row in beliefs) == ["ENABLED", "PAUSED"]
    (current,) = (row for row in beliefs if row["dbt_valid_to"] is None)
    assert current["status"] == "PAUSED"


def test_members_have_one_gapless_chain_from_the_beginning_of_time(
    lake: SilverLake,
) -> None:
    versions: dict[str, list[Row]] = defaultdict(list)
    for row in lake.gold("dim_customer"):
        versions[row["customer_key"]].append(row)
    assert len(versions) == 4  # three customers and the unknown one
    for chain in versions.values():
        chain.sort(key=lambda row: row["effective_from"])
        assert chain[0]["effective_from"].year == 1900
        assert chain[-1]["effective_to"].year == 2200
        assert [row["is_current"] for row in chain] == [False] * (len(chain) - 1) + [True]
        for one, following in pairwise(chain):
            assert one["effective_to"] == following["effective_from"]


def test_the_models_pass_their_unit_tests(lake: SilverLake) -> None:
    output = lake.dbt("test", "--select", "test_type:unit")
    assert "ERROR=0" in output
    assert "PASS=0" not in output


def test_everything_builds_on_an_empty_silver(new_lake: NewLake) -> None:
    with new_lake() as lake:
        lake.build(HOURS[0])
        lake.build(HOURS[1])
        assert lake.gold("fct_sales") == []
        assert len(lake.gold("dim_product")) == 1  # the unknown product


def test_a_table_without_an_hour_is_refused(lake: SilverLake) -> None:
    output = lake.dbt("run", "--select", "dim_store", succeeds=False)
    assert "no hour was given" in output
    assert "--full-refresh" in output


def test_a_table_with_other_columns_is_named_and_a_full_refresh_mends_it(new_lake: NewLake) -> None:
    silver = SilverModel()
    with new_lake() as lake:
        silver.process(HOURS[0], BATCHES[0])
        silver.write_to(lake)
        lake.run(HOURS[0])
        expected = lake.gold("dim_store")

        location = f"{lake.gold_root}/dim_store"
        older = pa.table(DeltaTable(location).to_pyarrow_table()).drop_columns(["specialty"])
        position = older.column_names.index("store_id")
        older = older.set_column(position, "store_id", older["store_id"].cast(pa.int32()))
        write_deltalake(location, older, mode="overwrite", schema_mode="overwrite")
        lake.open_again()
        output = lake.dbt("run", "--select", "dim_store", hours=[HOURS[0]], succeeds=False)
        assert (
            "gold.dim_store has the columns [store_id int] where the model documents "
            "[specialty string, store_id bigint]"
        ) in " ".join(output.split())
        assert "dbt build --full-refresh --select retail_gold.dimensions.dim_store.v1+" in output
        lake.rebuild()
        assert lake.gold("dim_store") == expected


def test_a_table_with_other_partitions_is_named_and_a_full_refresh_mends_it(
    new_lake: NewLake,
) -> None:
    """One that was made before its model named a partition gives right rows, and reads them all."""
    silver = SilverModel()
    select = ("--select", "fct_marketing_spend")
    with new_lake() as lake:
        silver.process(HOURS[0], BATCHES[0])
        silver.write_to(lake)
        lake.dbt("run", *select, hours=[HOURS[0]])
        expected = lake.gold("fct_marketing_spend")

        location = f"{lake.gold_root}/fct_marketing_spend"
        rows = DeltaTable(location).to_pyarrow_table()
        shutil.rmtree(location)
        write_deltalake(location, rows)
        lake.open_again()
        output = lake.dbt("run", *select, hours=[HOURS[0]], succeeds=False)
        assert (
            "gold.fct_marketing_spend is stored with partitions by nothing but its model wants "
            "them by spend_month. Rebuild it: dbt build --full-refresh --select "
            "retail_gold.facts.fct_marketing_spend.v1+"
        ) in " ".join(output.split())
        lake.dbt("run", "--full-refresh", *select)
        lake.dbt("run", *select, hours=[HOURS[0]])
        assert DeltaTable(location).metadata().partition_columns == ["spend_month"]
        assert lake.gold("fct_marketing_spend") == expected


def _live_sales(silver: SilverModel) -> Iterator[dict[str, Any]]:
    tables = silver.tables
    for line in tables["order_lines"].values():
        header = tables["orders"].get((line["order_id"],))
        if header is None or line.get("_deleted") or header["status"] == "cancelled":
            continue
        sold = header["ordered_at"]
        customer = _as_of(silver, "customers", header["customer_id"], sold)
        territory = tables["territories"].get((customer.get("territory_id"),), {})
        product = _as_of(silver, "products", line["product_id"], sold)
        category = tables["categories"].get((product.get("subcategory_id"),), {})
        region = territory.get("name", "Unknown")
        place = (
            region,
            category.get("category", "Unclassified"),
            header["channel"],
            header["currency_code"],
        )
        yield {"bucket": (_hour(sold), *place), "amount": line["line_total"]}
    for row in tables["pos_transactions"].values():
        place = (row["country"] or "Unknown", "Unclassified", "pos", "GBP")
        amount = row["unit_price"] * row["quantity"]
        yield {"bucket": (_hour(row["sold_at"]), *place), "amount": amount}


def _as_of(silver: SilverModel, entity: str, member: int | None, moment: Any) -> Row:
    chain = sorted(
        (row for key, row in silver.tables[entity].items() if key[0] == member),
        key=lambda row: row["valid_from"],
    )
    begun = [row for row in chain if row["valid_from"] <= moment] or chain[:1]
    return begun[-1] if begun else {}


def _hour(moment: Any) -> Any:
    return moment - timedelta(minutes=moment.minute, seconds=moment.second)


def test_a_fact_keeps_its_keys_when_its_dimension_arrives_later(new_lake: NewLake) -> None:
    """Customer 9 orders in one hour and is known in another: completed in place, never re-keyed."""
    silver = SilverModel()
    seen: list[tuple[str, str, bool, str | None]] = []
    with new_lake() as lake:
        for hour, batch in zip(HOURS, BATCHES, strict=True):
            silver.process(hour, batch)
            silver.write_to(lake)
            lake.run(hour)
            member = [r for r in lake.gold("dim_customer") if r["customer_id"] == 9]
            sales = [r for r in lake.gold("fct_sales") if r["order_number"] == "SO105"]
            assert {r["customer_key"] for r in sales} <= {r["customer_key"] for r in member}
            current = [r for r in member if r["is_current"]]
            seen += [
                (sale["sales_key"], sale["customer_key"], row["is_inferred"], sale["region"])
                for sale in sales
                for row in current
            ]
    assert [inferred for _, _, inferred, _ in seen][:1] == [True]
    assert [inferred for _, _, inferred, _ in seen][-1:] == [False]
    assert len({(sale, customer) for sale, customer, _, _ in seen}) == 1
    assert (seen[0][3], seen[-1][3]) == ("Unknown", "Northwest")
