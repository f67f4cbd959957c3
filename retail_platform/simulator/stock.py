"""Stock levels: what orders take, what the nightly restock brings, rows that vanish and return.

Here belongs the warehouse. Movements are simulated from the first clock on; before it, stock is
what the pack says.
"""

from datetime import date

import retail_platform.simulator.pack as pack
from retail_platform.simulator.chance import days, dice
from retail_platform.simulator.changes import Key, State
from retail_platform.simulator.journal import Journal
from retail_platform.simulator.order_life import PlacedLine
from retail_platform.simulator.shifts import DAY, HOUR, SECOND, local_micros

FINISHED_GOODS = 7
RESTOCK_SECOND = 2.5 * 3600
_TAKE, _RESTOCK, _VANISH, _RETURN = range(4)


def stock_rows() -> State:
    """Every stock row without ``modified_at``, by ``(product_id, location_id)``."""
    rows: State = {}
    for row in pack.oltp_rows("ProductInventory"):
        key = int(row["ProductID"]), int(row["LocationID"])
        rows[key] = {
            "product_id": key[0],
            "location_id": key[1],
            "shelf": row["Shelf"],
            "bin": int(row["Bin"]),
            "quantity": int(row["Quantity"]),
        }
    return rows


def write_stock(
    journal: Journal, *, seed: int, placed: list[PlacedLine], first: date, last: date
) -> None:
    """Write all stock rows, then every movement from the first clock to the end.

    A product is taken from finished goods if it lies there, else from its lowest location. A
    product that has no stock row moves nothing; a row never goes below zero.
    """
    rng = dice(seed, "stock")
    full = stock_rows()
    for key, row in full.items():
        journal.put("stock_levels", key, row, journal.start - DAY - int(rng.random() * 90 * DAY))
    shelf: dict[int, Key] = {}
    for key in sorted(full, key=lambda key: (key[1] != FINISHED_GOODS, key[1])):
        shelf.setdefault(key[0], key)
    _Warehouse(journal, full).run(_events(seed, full, shelf, placed, journal.start, first, last))


_Event = tuple[int, int, Key, int]


def _events(
    seed: int,
    full: State,
    shelf: dict[int, Key],
    placed: list[PlacedLine],
    start: int,
    first: date,
    last: date,
) -> list[_Event]:
    events: list[_Event] = [
        (line.at, _TAKE, shelf[line.product_id], line.quantity)
        for line in placed
        if line.at >= start and line.product_id in shelf
    ]
    keys = list(full)
    for day in days(first, last):
        rng = dice(seed, "stock", day)
        events.append((local_micros(day, RESTOCK_SECOND), _RESTOCK, (), 0))
        vanished = local_micros(day, round(rng.uniform(9, 16) * 3600, 6))
        key = rng.choice(keys)
        if vanished >= start:
            events.append((vanished, _VANISH, key, 0))
            events.append((vanished + int(rng.uniform(2, 6) * HOUR), _RETURN, key, 0))
    return sorted(event for event in events if event[0] >= start)


class _Warehouse:
    """The shelves while the events pass."""

    def __init__(self, journal: Journal, full: State) -> None:
        self._journal = journal
        self._full = full
        self._now = {key: dict(row) for key, row in full.items()}
        self._gone: set[Key] = set()
        self._touched: set[Key] = set()

    def run(self, events: list[_Event]) -> None:
        for at, kind, key, quantity in events:
            if kind == _RESTOCK:
                self._restock(at)
            elif kind == _VANISH:
                if key not in self._gone:
                    self._journal.delete("stock_levels", key, self._now[key], at)
                    self._gone.add(key)
            elif kind == _RETURN:
                if key in self._gone:
                    self._journal.put("stock_levels", key, self._now[key], at)
                    self._gone.discard(key)
            else:
                self._set(key, max(0, int(self._now[key]["quantity"] or 0) - quantity), at + 1)

    def _restock(self, at: int) -> None:
        for number, key in enumerate(sorted(self._touched)):
            full = int(self._full[key]["quantity"] or 0)
            if int(self._now[key]["quantity"] or 0) * 2 < full:
                self._set(key, full, at + number * SECOND)
                self._touched.discard(key)

    def _set(self, key: Key, quantity: int, at: int) -> None:
        if key in self._gone or self._now[key]["quantity"] == quantity:
            return
        self._now[key]["quantity"] = quantity
        self._journal.put("stock_levels", key, self._now[key], at, op="update")
        self._touched.add(key)
