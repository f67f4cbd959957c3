"""Products, their categories, and the small reference tables of the company.

Here belongs what is sold, with price changes; stock is in :mod:`stock`, suppliers are in
:mod:`purchasing`.
"""

from datetime import date

import retail_platform.simulator.money as money
import retail_platform.simulator.pack as pack
from retail_platform.simulator.chance import days, dice, shop_second
from retail_platform.simulator.changes import Row, State
from retail_platform.simulator.journal import Journal
from retail_platform.simulator.shifts import DAY, local_micros

PRICE_CHANGES_A_DAY = 4
MOVED_SUBCATEGORY_SHARE = 0.3


def product_rows() -> State:
    """Every product without ``modified_at``, by ``(product_id,)``."""
    rows: State = {}
    for product in pack.oltp_rows("Product"):
        product_id = int(product["ProductID"])
        subcategory = product["ProductSubcategoryID"]
        rows[(product_id,)] = {
            "product_id": product_id,
            "name": product["Name"],
            "product_number": product["ProductNumber"],
            "color": product["Color"] or None,
            "size": product["Size"] or None,
            "product_line": product["ProductLine"] or None,
            "class": product["Class"] or None,
            "style": product["Style"] or None,
            "standard_cost": money.text(money.ticks(product["StandardCost"])),
            "list_price": money.text(money.ticks(product["ListPrice"])),
            "subcategory_id": int(subcategory) if subcategory else None,
            "safety_stock_level": int(product["SafetyStockLevel"]),
            "reorder_point": int(product["ReorderPoint"]),
            "sell_start_date": product["SellStartDate"][:10] or None,
            "sell_end_date": product["SellEndDate"][:10] or None,
        }
    return rows


def write_products(
    journal: Journal, *, seed: int, products: State, first: date, last: date
) -> None:
    """Write all products, then price and subcategory changes from ``first`` to ``last``."""
    rng = dice(seed, "products")
    for key, row in products.items():
        journal.put("products", key, row, journal.start - DAY - int(rng.random() * 300 * DAY))
    current = dict(products)
    priced = [key for key, row in products.items() if row["list_price"] != "0.0000"]
    subcategories = sorted(
        {int(row["subcategory_id"]) for row in products.values() if row["subcategory_id"]}
    )
    for day in days(first, last):
        rng = dice(seed, "products", day)
        instants = sorted(local_micros(day, shop_second(rng)) for _ in range(PRICE_CHANGES_A_DAY))
        moved_today = rng.random() < MOVED_SUBCATEGORY_SHARE
        for number, at in enumerate(instants):
            key, percent = rng.choice(priced), rng.choice((-10, -5, -3, 2, 4, 5, 8))
            subcategory = rng.choice(subcategories)
            if at < journal.start:
                continue
            price = money.ticks(str(current[key]["list_price"]))
            changed = {
                **current[key],
                "list_price": money.text(money.share(price, 100 + percent, 100)),
            }
            if moved_today and number == 0:
                changed["subcategory_id"] = subcategory
            current[key] = changed
            journal.put("products", key, changed, at, op="update")


def write_references(journal: Journal, *, seed: int) -> None:
    """Write categories, territories and locations."""
    rng = dice(seed, "references")

    def past() -> int:
        return journal.start - 30 * DAY - int(rng.random() * 700 * DAY)

    categories = {
        row["ProductCategoryID"]: row["Name"] for row in pack.oltp_rows("ProductCategory")
    }
    for row in pack.oltp_rows("ProductSubcategory"):
        subcategory_id = int(row["ProductSubcategoryID"])
        category: Row = {
            "subcategory_id": subcategory_id,
            "subcategory": row["Name"],
            "category_id": int(row["ProductCategoryID"]),
            "category": categories[row["ProductCategoryID"]],
        }
        journal.put("categories", (subcategory_id,), category, past())
    for row in pack.oltp_rows("SalesTerritory"):
        territory_id = int(row["TerritoryID"])
        territory: Row = {
            "territory_id": territory_id,
            "name": row["Name"],
            "country_code": row["CountryRegionCode"],
            "territory_group": row["Group"],
        }
        journal.put("territories", (territory_id,), territory, past())
    for row in pack.oltp_rows("Location"):
        location_id = int(row["LocationID"])
        location: Row = {
            "location_id": location_id,
            "name": row["Name"],
            "cost_rate": money.text(money.ticks(row["CostRate"])),
            "availability": row["Availability"],
        }
        journal.put("locations", (location_id,), location, past())
