"""What SQL Server's catalogue says of tables: keys, indexes, references, rules, tracked changes.

Sources: Microsoft's documentation of the catalog views ``sys.*`` and of ``INFORMATION_SCHEMA``,
which show an account the tables that it may read.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import sqlglot
from sqlglot import exp

from retail_platform.extract import sql_tree as tree
from retail_platform.extract.sql import SqlSource
from retail_platform.metadata.onboarding_tables import ForeignKey, SourceColumn, SourceTable

_OBJECTS = (
    "JOIN sys.objects AS o ON o.object_id = {} JOIN sys.schemas AS s ON s.schema_id = o.schema_id"
)
_TABLES = """
SELECT s.name AS [schema], o.name AS [name], o.type AS [type]
FROM sys.objects AS o JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0
"""
_COLUMNS = """
SELECT s.TABLE_NAME AS [table], s.COLUMN_NAME AS [name], s.DATA_TYPE AS [type],
    s.CHARACTER_MAXIMUM_LENGTH AS [length], s.NUMERIC_PRECISION AS [precision],
    s.NUMERIC_SCALE AS [scale], s.IS_NULLABLE AS [nullable]
FROM INFORMATION_SCHEMA.COLUMNS AS s
ORDER BY s.TABLE_NAME, s.ORDINAL_POSITION
"""
# Columns that an index merely includes have no ordinal; an index over some rows only is no key.
_INDEXES = f"""
SELECT o.name AS [table], i.name AS [index], c.name AS [column], i.is_primary_key AS [primary],
    i.is_unique AS [unique], i.has_filter AS [partial]
FROM sys.indexes AS i
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id
JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
{_OBJECTS.format("i.object_id")}
WHERE k.key_ordinal > 0 AND i.is_disabled = 0
ORDER BY o.name, i.index_id, k.key_ordinal
"""
_REFERENCES = f"""
SELECT o.name AS [table], f.name AS [key], c.name AS [column], rs.name AS [referred_schema],
    r.name AS [referred], rc.name AS [referred_column]
FROM sys.foreign_keys AS f
JOIN sys.foreign_key_columns AS k ON k.constraint_object_id = f.object_id
JOIN sys.columns AS c ON c.object_id = k.parent_object_id AND c.column_id = k.parent_column_id
JOIN sys.columns AS rc
    ON rc.object_id = k.referenced_object_id AND rc.column_id = k.referenced_column_id
JOIN sys.objects AS r ON r.object_id = f.referenced_object_id
JOIN sys.schemas AS rs ON rs.schema_id = r.schema_id
{_OBJECTS.format("f.parent_object_id")}
ORDER BY o.name, f.name, k.constraint_column_id
"""
# One that is switched off, or was for a time, says nothing of the rows.
_CHECKS = f"""
SELECT o.name AS [table], k.definition AS [condition]
FROM sys.check_constraints AS k {_OBJECTS.format("k.parent_object_id")}
WHERE k.is_not_trusted = 0
ORDER BY o.name, k.name
"""
_COMMENTS = f"""
SELECT o.name AS [table], c.name AS [column], CAST(p.value AS NVARCHAR(4000)) AS [text]
FROM sys.extended_properties AS p {_OBJECTS.format("p.major_id")}
LEFT JOIN sys.columns AS c ON c.object_id = p.major_id AND c.column_id = p.minor_id
WHERE p.class = 1 AND p.name = 'MS_Description'
"""
# A heap is index 0, a clustered index 1: both are the table itself.
_ROWS = f"""
SELECT o.name AS [table], p.rows AS [rows]
FROM sys.partitions AS p {_OBJECTS.format("p.object_id")}
WHERE p.index_id IN (0, 1)
"""
_TRACKED = f"""
SELECT o.name AS [table]
FROM sys.change_tracking_tables AS k {_OBJECTS.format("k.object_id")}
"""

_PHYSICAL: Mapping[str, str] = {
    "bit": "boolean",
    **dict.fromkeys(("tinyint", "smallint", "int"), "int"),
    "bigint": "bigint",
    **dict.fromkeys(("float", "real"), "double"),
    **dict.fromkeys(("money", "smallmoney"), "decimal(19,4)"),
    "date": "date",
    **dict.fromkeys(("datetime", "smalldatetime", "datetime2", "datetimeoffset"), "timestamp"),
}
_ROWVERSION = "timestamp"
"""What INFORMATION_SCHEMA calls the type."""
_MAX = -1
Found = dict[str, object]


@dataclass(kw_only=True)
class _Indexes:
    """The indexes of a table: columns by name, in order."""

    columns: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    primary: str | None = None
    unique: set[str] = field(default_factory=set)


class SqlServerCatalogue:
    """The catalogue of one database.

    Args:
        source: The database.
    """

    def __init__(self, source: SqlSource) -> None:
        self._source = source
        self._default: str | None = None

    def tables(self) -> dict[str, bool]:
        """Whether each table is a view, by its name: bare in the account's default schema.

        Raises:
            TransientFailure: the database cannot be reached.
            PermanentFailure: it refuses the account.
        """
        return {
            self._shown(str(row["schema"]), str(row["name"])): str(row["type"]).strip() == "V"
            for row in self._source.ask(_parsed(_TABLES), place="sys.objects")
        }

    def described(self, names: Sequence[str]) -> Iterator[SourceTable]:
        """Tables of these names, which must exist; eight queries a schema.

        Raises:
            TransientFailure: the database cannot be reached.
            PermanentFailure: it refuses the account.
        """
        by_schema: dict[str, list[str]] = defaultdict(list)
        for name in names:
            schema, bare = tree.split_table(name)
            by_schema[schema or self._default_schema()].append(bare)
        for schema, bare_names in by_schema.items():
            yield from self._of_schema(schema, bare_names)

    def _of_schema(self, schema: str, names: Collection[str]) -> Iterator[SourceTable]:
        columns = self._by_table(_COLUMNS, schema, of="TABLE_SCHEMA")
        comments = self._by_table(_COMMENTS, schema)
        indexes = _indexes(self._by_table(_INDEXES, schema))
        references = self._by_table(_REFERENCES, schema)
        checks = self._by_table(_CHECKS, schema)
        rows = self._by_table(_ROWS, schema)
        tracked = self._by_table(_TRACKED, schema)
        for name in names:
            told = {found["column"]: str(found["text"]) for found in comments[name]}
            own = indexes[name]
            key = tuple(own.columns[own.primary]) if own.primary else ()
            versions = [c["name"] for c in columns[name] if c["type"] == _ROWVERSION]
            yield SourceTable(
                name=self._shown(schema, name),
                columns=tuple(_column(found, told) for found in columns[name]),
                primary_key=key,
                unique=tuple(
                    tuple(listed) for index, listed in own.columns.items() if index in own.unique
                ),
                foreign_keys=tuple(self._foreign_keys(references[name])),
                checks=tuple(str(found["condition"]) for found in checks[name]),
                indexed=frozenset(listed[0] for listed in own.columns.values()),
                comment=told.get(None, ""),
                rows=sum(int(str(found["rows"])) for found in rows[name]) if rows[name] else None,
                ordered=bool(key),
                dialect="tsql",
                rowversion=str(versions[0]) if versions else None,
                tracked=name in tracked,
            )

    def _foreign_keys(self, found: Sequence[Found]) -> Iterator[ForeignKey]:
        by_name: dict[str, list[Found]] = defaultdict(list)
        for row in found:
            by_name[str(row["key"])].append(row)
        for rows in by_name.values():
            yield ForeignKey(
                columns=tuple(str(row["column"]) for row in rows),
                table=self._shown(str(rows[0]["referred_schema"]), str(rows[0]["referred"])),
                referred=tuple(str(row["referred_column"]) for row in rows),
            )

    def _by_table(
        self, text: str, schema: str, *, of: str = "name"
    ) -> defaultdict[str, list[Found]]:
        """The rows of a query for one schema, by table."""
        own = exp.EQ(this=tree.column(of, of="s"), expression=exp.National(this=schema))
        query = _parsed(text).where(own, copy=False)
        found: defaultdict[str, list[Found]] = defaultdict(list)
        for row in self._source.ask(query, place=f"the catalogue of schema {schema}"):
            found[str(row["table"])].append(row)
        return found

    def _default_schema(self) -> str:
        if self._default is None:
            asked = tree.select({"name": exp.CurrentSchema()})
            (row,) = self._source.ask(asked, place="the default schema")
            self._default = str(row["name"])
        return self._default

    def _shown(self, schema: str, name: str) -> str:
        return name if schema == self._default_schema() else f"{schema}.{name}"


def _parsed(text: str) -> exp.Select:
    query = sqlglot.parse_one(text, read="tsql")
    assert isinstance(query, exp.Select), text
    return query


def _indexes(found: Mapping[str, Sequence[Found]]) -> defaultdict[str, _Indexes]:
    indexes: defaultdict[str, _Indexes] = defaultdict(_Indexes)
    for table, rows in found.items():
        own = indexes[table]
        for row in rows:
            name = str(row["index"])
            own.columns[name].append(str(row["column"]))
            if row["primary"]:
                own.primary = name
            if row["unique"] and not row["partial"]:
                own.unique.add(name)
    return indexes


def _column(found: Found, comments: Mapping[object, str]) -> SourceColumn:
    kind = str(found["type"])
    declared, physical = kind, _PHYSICAL.get(kind, "string")
    if kind in ("decimal", "numeric"):
        physical = f"decimal({found['precision']},{found['scale']})"
        declared = f"{kind}({found['precision']},{found['scale']})"
    elif found["length"] is not None:
        length = int(str(found["length"]))
        declared = f"{kind}({'max' if length == _MAX else length})"
    return SourceColumn(
        name=str(found["name"]),
        declared=declared,
        physical=physical,
        required=found["nullable"] == "NO",
        comment=comments.get(found["name"], ""),
    )
