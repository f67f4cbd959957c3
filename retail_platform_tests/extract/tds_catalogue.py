"""SQL Server's catalogue views, as far as the platform asks them, for the server of `tds_server`.

Names and types of the columns are those of Microsoft's documentation of ``sys.*`` and
``INFORMATION_SCHEMA``. What a test declares of its tables is what they say: SQL Server's own rows,
their numbering and their permissions are not proved.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from retail_platform_tests.extract.tds_types import split_type

NAME = "nvarchar(128)"
INFORMATION_SCHEMA = "information_schema_"
"""Schema of the server's database that stands for INFORMATION_SCHEMA, which DuckDB has itself."""
VIEWS: Mapping[tuple[str, str], Mapping[str, str]] = {
    (INFORMATION_SCHEMA, "COLUMNS"): {
        **dict.fromkeys(("TABLE_SCHEMA", "TABLE_NAME", "COLUMN_NAME"), NAME),
        "ORDINAL_POSITION": "int",
        "IS_NULLABLE": "varchar(3)",
        "DATA_TYPE": NAME,
        "CHARACTER_MAXIMUM_LENGTH": "int",
        "NUMERIC_PRECISION": "tinyint",
        "NUMERIC_SCALE": "int",
    },
    (INFORMATION_SCHEMA, "TABLES"): {
        "TABLE_SCHEMA": NAME,
        "TABLE_NAME": NAME,
        "TABLE_TYPE": "varchar(10)",
    },
    ("sys", "schemas"): {"name": NAME, "schema_id": "int"},
    ("sys", "objects"): {
        "name": NAME,
        "object_id": "int",
        "schema_id": "int",
        "type": "char(2)",
        "is_ms_shipped": "bit",
    },
    ("sys", "columns"): {"object_id": "int", "name": NAME, "column_id": "int"},
    ("sys", "indexes"): {
        "object_id": "int",
        "name": NAME,
        "index_id": "int",
        "is_unique": "bit",
        "is_primary_key": "bit",
        "is_disabled": "bit",
        "has_filter": "bit",
    },
    ("sys", "index_columns"): {
        "object_id": "int",
        "index_id": "int",
        "column_id": "int",
        "key_ordinal": "tinyint",
    },
    ("sys", "foreign_keys"): {
        "name": NAME,
        "object_id": "int",
        "parent_object_id": "int",
        "referenced_object_id": "int",
    },
    ("sys", "foreign_key_columns"): {
        "constraint_object_id": "int",
        "constraint_column_id": "int",
        "parent_object_id": "int",
        "parent_column_id": "int",
        "referenced_object_id": "int",
        "referenced_column_id": "int",
    },
    ("sys", "check_constraints"): {
        "name": NAME,
        "parent_object_id": "int",
        "is_not_trusted": "bit",
        "definition": "nvarchar(max)",
    },
    # A value is sql_variant, which is only ever asked for as text.
    ("sys", "extended_properties"): {
        "class": "tinyint",
        "major_id": "int",
        "minor_id": "int",
        "name": NAME,
        "value": "nvarchar(4000)",
    },
    ("sys", "partitions"): {"object_id": "int", "index_id": "int", "rows": "bigint"},
    ("sys", "change_tracking_tables"): {"object_id": "int"},
}
_SIZES = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 19, "money": 19, "smallmoney": 10}
_LONG = {"text": 2**31 - 1, "ntext": 2**30 - 1, "image": 2**31 - 1, "xml": -1}
_SIZED = ("char", "varchar", "nchar", "nvarchar", "binary", "varbinary")
Entry = tuple[tuple[str, str], dict[str, object]]


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What a table's declaration says beside its columns' names and types.

    Attributes:
        key: Primary key.
        required: Columns that are NOT NULL beside the key's.
        indexes: Columns of further indexes by name.
        unique: Names of those that are unique.
        filtered: Names of those that hold some rows only.
        references: Referred table and columns, by columns.
        checks: Conditions, as SQL Server stores them; True for one that was never switched off.
        comments: MS_Description by column; of the table itself by ``""``.
        is_view: Whether it is a view.
    """

    key: Sequence[str] = ()
    required: Sequence[str] = ()
    indexes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unique: Sequence[str] = ()
    filtered: Sequence[str] = ()
    references: Mapping[tuple[str, ...], tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    checks: Mapping[str, bool] = field(default_factory=dict)
    comments: Mapping[str, str] = field(default_factory=dict)
    is_view: bool = False


class Catalogue:
    """Numbers objects and writes what the views say of them."""

    def __init__(self) -> None:
        self._schemas: dict[str, int] = {}
        self._objects: dict[tuple[str, str], tuple[int, list[str]]] = {}

    def entries(
        self, place: tuple[str, str], columns: Mapping[str, str], declared: Declared
    ) -> Iterator[Entry]:
        """The rows that a new table adds to the views."""
        schema, name = place
        if schema not in self._schemas:
            self._schemas[schema] = 1 if schema == "dbo" else 5 + len(self._schemas)
            yield ("sys", "schemas"), {"name": schema, "schema_id": self._schemas[schema]}
        number = 1000 * (len(self._objects) + 1)
        names = list(columns)
        self._objects[place] = number, names
        kind = "VIEW" if declared.is_view else "BASE TABLE"
        yield (
            (INFORMATION_SCHEMA, "TABLES"),
            {"TABLE_SCHEMA": schema, "TABLE_NAME": name, "TABLE_TYPE": kind},
        )
        yield (
            ("sys", "objects"),
            {
                "name": name,
                "object_id": number,
                "schema_id": self._schemas[schema],
                "type": "V " if declared.is_view else "U ",
                "is_ms_shipped": 0,
            },
        )
        yield ("sys", "partitions"), {"object_id": number, "index_id": 1, "rows": 0}
        yield from self._columns(place, columns, declared)
        yield from self._indexes(number, names, declared)
        yield from self._constraints(number, names, declared)

    def number(self, place: tuple[str, str]) -> int:
        """A table's object_id."""
        return self._objects[place][0]

    def _columns(
        self, place: tuple[str, str], columns: Mapping[str, str], declared: Declared
    ) -> Iterator[Entry]:
        schema, name = place
        number, _ = self._objects[place]
        for position, (column, written) in enumerate(columns.items(), 1):
            yield (
                ("sys", "columns"),
                {"object_id": number, "name": column, "column_id": position},
            )
            kind, sizes = split_type(written)
            length = sizes[0] if kind in _SIZED and sizes else _LONG.get(kind)
            precision, scale = _SIZES.get(kind), 4 if "money" in kind else 0
            if kind in ("decimal", "numeric"):
                precision, scale = (*sizes, 0)[:2] if sizes else (18, 0)
            needed = column in (*declared.key, *declared.required)
            yield (
                (INFORMATION_SCHEMA, "COLUMNS"),
                {
                    "TABLE_SCHEMA": schema,
                    "TABLE_NAME": name,
                    "COLUMN_NAME": column,
                    "ORDINAL_POSITION": position,
                    "IS_NULLABLE": "NO" if needed or kind == "rowversion" else "YES",
                    "DATA_TYPE": "timestamp" if kind == "rowversion" else kind,
                    "CHARACTER_MAXIMUM_LENGTH": length,
                    "NUMERIC_PRECISION": precision,
                    "NUMERIC_SCALE": None if precision is None else scale,
                },
            )

    def _indexes(self, number: int, names: list[str], declared: Declared) -> Iterator[Entry]:
        indexes = {f"PK_{number}": declared.key} if declared.key else {}
        for position, (index, columns) in enumerate({**indexes, **declared.indexes}.items(), 1):
            primary = index in indexes
            yield (
                ("sys", "indexes"),
                {
                    "object_id": number,
                    "name": index,
                    "index_id": position,
                    "is_unique": int(primary or index in declared.unique),
                    "is_primary_key": int(primary),
                    "is_disabled": 0,
                    "has_filter": int(index in declared.filtered),
                },
            )
            for ordinal, column in enumerate(columns, 1):
                yield (
                    ("sys", "index_columns"),
                    {
                        "object_id": number,
                        "index_id": position,
                        "column_id": names.index(column) + 1,
                        "key_ordinal": ordinal,
                    },
                )

    def _constraints(self, number: int, names: list[str], declared: Declared) -> Iterator[Entry]:
        for position, (columns, (table, referred)) in enumerate(declared.references.items(), 1):
            schema, _, bare = table.rpartition(".")
            parent, parent_names = self._objects[schema or "dbo", bare]
            key = number + position
            yield (
                ("sys", "foreign_keys"),
                {
                    "name": f"FK_{key}",
                    "object_id": key,
                    "parent_object_id": number,
                    "referenced_object_id": parent,
                },
            )
            for ordinal, (own, other) in enumerate(zip(columns, referred, strict=True), 1):
                yield (
                    ("sys", "foreign_key_columns"),
                    {
                        "constraint_object_id": key,
                        "constraint_column_id": ordinal,
                        "parent_object_id": number,
                        "parent_column_id": names.index(own) + 1,
                        "referenced_object_id": parent,
                        "referenced_column_id": parent_names.index(other) + 1,
                    },
                )
        for position, (condition, trusted) in enumerate(declared.checks.items(), 1):
            yield (
                ("sys", "check_constraints"),
                {
                    "name": f"CK_{number}_{position}",
                    "parent_object_id": number,
                    "is_not_trusted": int(not trusted),
                    "definition": condition,
                },
            )
        for column, text in declared.comments.items():
            yield (
                ("sys", "extended_properties"),
                {
                    "class": 1,
                    "major_id": number,
                    "minor_id": names.index(column) + 1 if column else 0,
                    "name": "MS_Description",
                    "value": text,
                },
            )
