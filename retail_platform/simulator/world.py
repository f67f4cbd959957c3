"""The world: puts people, goods, orders and stock together into one change log.

Here belongs the order in which the parts are written and the choice of late customers. Same seed,
same first start, same pack: same log, to the microsecond.
"""

import gc
from collections.abc import Mapping
from datetime import datetime

import retail_platform.simulator.pack as pack
from retail_platform.simulator.chance import dice
from retail_platform.simulator.changes import ChangeLog
from retail_platform.simulator.databases import TABLES as FILE_TABLES
from retail_platform.simulator.goods import product_rows, write_products, write_references
from retail_platform.simulator.journal import Journal
from retail_platform.simulator.order_life import placed_at, write_order
from retail_platform.simulator.people import (
    addresses,
    customer_rows,
    store_rows,
    write_customers,
    write_stores,
)
from retail_platform.simulator.purchasing import write_purchases, write_suppliers
from retail_platform.simulator.sales_orders import Draft, reseller_drafts, web_drafts, web_names
from retail_platform.simulator.shifts import COMPANY_ZONE, MINUTE, to_micros
from retail_platform.simulator.stock import write_stock
from retail_platform.simulator.supplier_database import TABLES as SUPPLIER_TABLES

TABLES = {table.name: table for table in (*FILE_TABLES, *SUPPLIER_TABLES)}
"""Every table of the company's databases by name."""

LATE_CUSTOMER_SHARE = 0.01


def build_log(*, seed: int, start: datetime, end: datetime, weeks: Mapping[str, int]) -> ChangeLog:
    """Everything that the company's databases hold at ``start`` and will do until ``end``.

    Args:
        seed: Seed of every draw.
        start: The first clock, aware UTC.
        end: The end of the data, aware UTC.
        weeks: Shift of the feeds ``web``, ``reseller`` and ``purchases`` in whole weeks.
    """
    # Hundreds of thousands of rows that all stay: the collector would walk them in vain.
    gc.disable()
    try:
        return _written(seed, start, end, weeks)
    finally:
        gc.enable()


def _written(seed: int, start: datetime, end: datetime, weeks: Mapping[str, int]) -> ChangeLog:
    journal = Journal(tables=TABLES, start=to_micros(start), end=to_micros(end))
    first, last = start.astimezone(COMPANY_ZONE).date(), end.astimezone(COMPANY_ZONE).date()
    places = addresses()
    web_lines = pack.web_order_lines()
    customers = customer_rows(places, web_names(web_lines))
    products = product_rows()
    drafts = web_drafts(web_lines, customers, products, weeks["web"])
    drafts += reseller_drafts(customers, weeks["reseller"])
    drafts = [draft for draft in drafts if draft.day <= last]
    write_references(journal, seed=seed)
    write_suppliers(journal, seed=seed, first=first, last=last)
    write_purchases(journal, seed=seed, weeks=weeks["purchases"], last=last)
    write_products(journal, products=products, seed=seed, first=first, last=last)
    write_stores(journal, stores=store_rows(places, customers), seed=seed, first=first, last=last)
    write_customers(
        journal, customers=customers, late=_late(drafts, seed), seed=seed, first=first, last=last
    )
    placed = [line for draft in drafts for line in write_order(journal, draft, seed=seed)]
    write_stock(journal, placed=placed, seed=seed, first=first, last=last)
    return journal.close()


def _late(drafts: list[Draft], seed: int) -> dict[int, int]:
    """Customers committed only after their first order, with the instant of their commit."""
    first_order: dict[int, int] = {}
    for draft in drafts:
        if draft.customer_id is not None and draft.channel == "online":
            at = placed_at(draft, seed)
            first_order[draft.customer_id] = min(at, first_order.get(draft.customer_id, at))
    late = {}
    for customer_id, at in first_order.items():
        rng = dice(seed, "late", customer_id)
        if rng.random() < LATE_CUSTOMER_SHARE:
            late[customer_id] = at + int(rng.uniform(20, 240) * MINUTE)
    return late
