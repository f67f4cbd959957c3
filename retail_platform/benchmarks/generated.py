"""Generated metadata and its source: any number of tables, of mixed loads, in levels.

Belongs here: catalog files and the SQLite file that they describe. Not here: running loads.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

HOUR = timedelta(hours=1)
FIRST_HOUR = datetime(2026, 1, 5, 12, tzinfo=UTC)
SOURCE = "generated"
URL_VARIABLE = "GENERATED_URL"
LEVELS = 5
KINDS = (
    ("incremental", "upsert"),
    ("full", "upsert"),
    ("incremental", "scd2"),
    ("snapshot", "upsert"),
    ("incremental", "append"),
    ("snapshot", "scd2"),
    ("incremental", "upsert"),
)
"""Load and merge of the tables, in turn; a prime number of them, so that every level has all."""
COLUMNS = {
    "id": "bigint",
    "parent_id": "bigint",
    "code": "string",
    "name": "string",
    "quantity": "int",
    "amount": "decimal(18,2)",
    "modified_at": "timestamp",
}
REFERRING = 4
"""Every so many tables, one refers to its parent's members."""


@dataclass(frozen=True, kw_only=True)
class Generated:
    """A generated platform.

    Attributes:
        catalog: Folder of the metadata.
        database: SQLite file that the tables are read from.
        tables: Names of the tables, parents before children.
        rows: Rows that an hour changes in each table.
    """

    catalog: Path
    database: Path
    tables: Sequence[str]
    rows: int

    @property
    def environ(self) -> dict[str, str]:
        """The variable that the catalog's connection names."""
        return {URL_VARIABLE: f"sqlite:///{self.database}"}

    def hour(self, number: int) -> datetime:
        """The start of an hour, counted from 0."""
        return FIRST_HOUR + number * HOUR

    def advance(self, number: int) -> None:
        """Changes the source as hour ``number`` does, and sets its clock to that hour's end.

        Hour 0 fills every table with ``rows`` rows; each later one changes half as many and adds
        half as many, so that an incremental load reads ``rows`` rows every hour.
        """
        changed_at = f"{self.hour(number) + timedelta(minutes=30):%Y-%m-%d %H:%M:%S}"
        half = self.rows // 2
        first = 1 if number == 0 else self.rows + 1 + (number - 1) * half
        count = self.rows if number == 0 else half
        connection = sqlite3.connect(self.database)
        with connection:
            for table in self.tables:
                if number:
                    connection.execute(
                        f"update {table} set amount = round(amount + 1.25, 2), modified_at = ? "
                        f"where id <= {self.rows - half}",
                        [changed_at],
                    )
                connection.execute(
                    f"insert into {table} "
                    f"with recursive ids(n) as (values({first}) union all "
                    f"select n + 1 from ids where n < {first + count - 1}) "
                    f"select n, 1 + n % {self.rows}, 'C' || n, 'Member ' || n, n % 90, "
                    "round(n * 0.25, 2), ? from ids",
                    [changed_at],
                )
            connection.execute("delete from clock")
            connection.execute(
                "insert into clock values (?)", [f"{self.hour(number) + HOUR:%Y-%m-%d %H:%M:%S}"]
            )
        connection.close()


def generate(folder: Path, *, tables: int, rows: int) -> Generated:
    """Writes catalog and empty source below ``folder``.

    Args:
        folder: Empty folder.
        tables: Number of tables.
        rows: Rows of each table.
    """
    names = [f"t{number:03}" for number in range(tables)]
    catalog = folder / "catalog"
    contracts = catalog / "contracts" / "silver"
    contracts.mkdir(parents=True)
    (catalog / "sources").mkdir()
    trees = [_row(names, number) for number in range(tables)]
    _write(catalog / "sources" / f"{SOURCE}.yaml", _source(trees))
    for name in names:
        _write(contracts / f"{name}.yaml", _contract(name))
    database = folder / "source.db"
    connection = sqlite3.connect(database)
    with connection:
        connection.execute("create table clock (now text)")
        for name in names:
            connection.execute(
                f"create table {name} (id integer primary key, parent_id integer, code text, "
                "name text, quantity integer, amount numeric, modified_at text)"
            )
    connection.close()
    return Generated(catalog=catalog, database=database, tables=names, rows=rows)


def _source(trees: Sequence[Mapping[str, object]]) -> dict[str, object]:
    return {
        "source": SOURCE,
        "owners": ["team:benchmarks"],
        "connection": {
            "kind": "sql",
            "url": {"env": URL_VARIABLE},
            "timezone": "UTC",
            "clock_query": "select now from clock",
        },
        "tables": list(trees),
    }


def _row(names: Sequence[str], number: int) -> dict[str, object]:
    load, merge = KINDS[number % len(KINDS)]
    row: dict[str, object] = {
        "table": names[number],
        "description": f"Generated table {number}",
        "load": load,
        "key": ["id"],
        "watermark": {"column": "modified_at"},
        "silver": {"entity": names[number], "merge": merge},
    }
    parent = _parent(number, len(names))
    if parent is not None:
        row["depends_on"] = [names[parent]]
        if number % REFERRING == 0:
            row["references"] = [{"column": "parent_id", "entity": names[parent]}]
    return row


def _parent(number: int, tables: int) -> int | None:
    """The table of the level above that a table waits for; the first level has none."""
    a_level = -(-tables // LEVELS)
    return number - a_level if number >= a_level else None


def _contract(name: str) -> dict[str, object]:
    properties = [
        {
            "name": column,
            "logicalType": {"bigint": "integer", "int": "integer", "timestamp": "timestamp"}.get(
                physical, "number" if physical.startswith("decimal") else "string"
            ),
            "physicalType": physical,
            "description": f"Column {column}",
            "required": column in ("id", "modified_at"),
            "primaryKey": column == "id",
            "primaryKeyPosition": 1 if column == "id" else -1,
        }
        for column, physical in COLUMNS.items()
    ]
    rule = {
        "name": "amount is negative",
        "type": "custom",
        "engine": "retail_platform",
        "implementation": "amount >= 0",
        "description": "Amounts are never negative",
    }
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": f"silver-{name}",
        "name": name,
        "version": "1.0.0",
        "status": "active",
        "schema": [
            {
                "name": name,
                "description": f"Generated table {name}",
                "properties": properties,
                "quality": [rule],
            }
        ],
    }


def _write(path: Path, tree: Mapping[str, object]) -> None:
    path.write_text(yaml.safe_dump(dict(tree), sort_keys=False), encoding="utf-8")
