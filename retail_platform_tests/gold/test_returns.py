"""A return is linked to the last sale of its article, also when what the sales were is corrected.

The file of an hour can come again, with other lines in the place of those that were there: its hour
is built again, that of the return is not. The links are by hand; a full refresh agrees.
"""

from typing import Any

from retail_platform_tests.gold.scenario import START, at, till
from retail_platform_tests.gold.silver_lake import NewLake, SilverLake

SELECTED = ("--select", "dim_customer", "dim_product", "fct_sales")
STEPS: list[tuple[int, dict[str, Any], int | None]] = [
    (12, {"stock_code": "22423"}, 11),
    (12, {}, 12),
    (12, {"customer_id": None}, 11),
    (12, {"sold_at": at("14:00:00")}, 11),
    (11, {"sold_at": at("13:10:00")}, 11),
    (12, {"sold_at": at("13:15:00")}, 12),
    (12, {"quantity": -1, "invoice_no": "C1", "sold_at": at("15:00:00")}, 11),
    (11, {"_deleted": True}, 10),
    (10, {"customer_id": 1}, None),
    (11, {}, 11),
]
"""Hour of the file that comes again, what its sale now is, and the file of the return's sale."""


def test_a_return_follows_what_an_hour_corrects_of_sales(new_lake: NewLake) -> None:
    hours = {number: START.replace(hour=number) for number in (10, 11, 12, 13)}
    lines = {number: till(number, 1, 1, _hour=hour) for number, hour in hours.items()}
    lines[13] = till(13, 1, -1, invoice_no="C513", _hour=hours[13])
    with new_lake() as lake:
        lake.write("pos_transactions", lines.values())
        lake.dbt("run", *SELECTED, hours=[hours[13]])
        assert _linked_file(lake) == 12
        for number, change, expected in STEPS:
            lines[number] = till(number, 1, 1, _hour=hours[number]) | change
            lake.write("pos_transactions", lines.values())
            lake.dbt("run", *SELECTED, hours=[hours[number]])
            assert _linked_file(lake) == expected, (number, change)
        built = lake.gold("fct_sales")
        lake.dbt("run", "--full-refresh", *SELECTED)
        assert built == lake.gold("fct_sales")


def _linked_file(lake: SilverLake) -> int | None:
    """The hour of the file whose line was taken back at 13:20, as its invoice tells."""
    rows = {row["sales_key"]: row for row in lake.gold("fct_sales")}
    (returned,) = (row for row in rows.values() if row["invoice_no"] == "C513")
    sale = rows.get(returned["returned_sales_key"])
    return None if sale is None else int(sale["invoice_no"]) - 500
