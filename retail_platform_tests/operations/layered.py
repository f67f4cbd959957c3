"""Twenty tables in five levels that depend on each other, over one SQLite source.

Each table depends on two of the level above: on one always, on the other only softly in every third
table. Belongs here: the catalog, its source, and what plain Python says a failure blocks.
"""

from collections.abc import Collection
from pathlib import Path

from retail_platform_tests.platform.catalogs import Tree, contract, sql_source, write_catalog
from retail_platform_tests.platform.sources import Database

LEVELS, WIDTH = 5, 4
COLUMNS = {"id": "bigint", "amount": "int", "modified_at": "timestamp"}
EARLY = "2025-12-01 00:00:00"

HARD: dict[str, set[str]] = {}
SOFT: dict[str, set[str]] = {}
for _level in range(LEVELS):
    for _place in range(WIDTH):
        _name = f"t{_level}{_place}"
        HARD[_name], SOFT[_name] = set(), set()
        if _level:
            HARD[_name].add(f"t{_level - 1}{_place}")
            other = SOFT if (_level + _place) % 3 == 0 else HARD
            other[_name].add(f"t{_level - 1}{(_place + 1) % WIDTH}")
ENTITIES = tuple(HARD)

SMALL = [
    f"{layer}{name}" for name in ("t00", "t01", "t10") for layer in ("bronze/shop__", "silver/")
]
"""A table of the second level with its two parents: enough where the shape does not matter."""


def layered_catalog(folder: Path, *, wait: str = "1s") -> Path:
    """Writes the catalog; a running parent is waited for as long as ``wait`` says."""
    tables: list[Tree] = [
        {
            "table": name,
            "load": "incremental",
            "key": ["id"],
            "watermark": {"column": "modified_at"},
            "silver": {"entity": name, "merge": "upsert"},
            "depends_on": [
                *({"table": parent, "wait": wait} for parent in sorted(HARD[name])),
                *(
                    {"table": parent, "required": False, "wait": wait}
                    for parent in sorted(SOFT[name])
                ),
            ],
        }
        for name in ENTITIES
    ]
    contracts = [
        contract(name, COLUMNS, ["id"], rules={"amount is negative": "amount >= 0"})
        for name in ENTITIES
    ]
    return write_catalog(folder, [sql_source("shop", tables)], contracts)


def layered_source(path: Path) -> Database:
    """The source: one good row in each table, its clock closing hour 0."""
    database = Database(path)
    for name in ENTITIES:
        database.create(name, "id TEXT, amount TEXT, modified_at TEXT")
        database.insert(name, ("1", "1", EARLY))
    database.set_clock(0)
    return database


def blocked_by(failed: Collection[str]) -> set[str]:
    """Entities that these failed ones block: all that needs one of them, near or far."""
    blocked: set[str] = set()
    for _ in range(LEVELS):
        blocked |= {name for name in ENTITIES if HARD[name] & (blocked | set(failed))}
    return blocked - set(failed)
