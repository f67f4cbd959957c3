"""Reads the catalog folder into one validated ``Catalog``; a bad file raises, with its line."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pyarrow as pa

from retail_platform.failures import PermanentFailure
from retail_platform.metadata.column_policies import RemovedDefault
from retail_platform.metadata.connections import Connection
from retail_platform.metadata.contract import Contract
from retail_platform.metadata.live import LiveTable, live_table, refuse_filled_twice
from retail_platform.metadata.models import Dependency, Source, TableRow
from retail_platform.metadata.yaml_files import Place, line_of, read_model

PARTITION_TYPES = ("string", "int", "bigint", "date", "boolean")


@dataclass(frozen=True, kw_only=True)
class Table:
    """A row of metadata together with all that it refers to.

    Attributes:
        source: Name of its source.
        connection: The source's connection.
        owners: The source's owners.
        row: The row itself.
        contract: Contract of its Silver entity.
        parents: Silver entities that go first, hard and soft.
        hard_parents: The subset whose failure blocks this table.
        waits: How long each parent is waited for while another run loads it.
    """

    source: str
    connection: Connection
    owners: tuple[str, ...]
    row: TableRow
    contract: Contract
    parents: tuple[str, ...]
    hard_parents: tuple[str, ...]
    waits: Mapping[str, timedelta]

    @property
    def soft_parents(self) -> tuple[str, ...]:
        """Silver entities that go first, but whose failure only warns."""
        return tuple(parent for parent in self.parents if parent not in self.hard_parents)

    @property
    def bronze(self) -> str:
        """Name of the Bronze table."""
        return f"{self.source}__{self.row.table}"

    @property
    def entity(self) -> str:
        """Name of the Silver table."""
        return self.row.silver.entity

    @property
    def columns_in_source(self) -> list[str]:
        """The source's columns that the contract takes, as the source spells them."""
        return [self.row.in_source(column.name) for column in self.contract.columns]


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """All tables of the platform, parents before children.

    Attributes:
        tables: Those that are loaded.
        left_out: Those of sources that this deployment leaves out. They exist in Silver, so that
            references to them and models over them work, and no load fills them.
        live: Tables beside the hours, of sources that are not left out.
    """

    tables: tuple[Table, ...]
    left_out: tuple[Table, ...] = ()
    live: tuple[LiveTable, ...] = ()

    @cached_property
    def by_entity(self) -> dict[str, Table]:
        """Tables by Silver entity, those that are left out among them."""
        return {table.entity: table for table in (*self.tables, *self.left_out)}

    @cached_property
    def by_bronze(self) -> dict[str, Table]:
        """Tables by Bronze name."""
        return {table.bronze: table for table in self.tables}

    @cached_property
    def quarantines(self) -> tuple[str, ...]:
        """Names of all tables that may refuse rows, sorted: Silver entities and live tables."""
        return tuple(sorted([*self.by_entity, *(table.entity for table in self.live)]))

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Source names, sorted."""
        return tuple(sorted({table.source for table in self.tables}))


def load_catalog(folder: Path, *, without: Collection[str] = ()) -> Catalog:
    """Reads ``sources/*.yaml`` and ``contracts/silver/*.yaml`` below ``folder``.

    Args:
        folder: The catalog.
        without: Sources that are left out; nothing waits for their tables.

    Raises:
        PermanentFailure: a file cannot be read, does not fit its model, or rows contradict each
            other or their contract. The message names file, line, field and cure.
    """
    sources = [(path, read_model(path, Source)) for path in _yaml_files(folder / "sources")]
    _refuse_twins([(path, source.source) for path, source in sources], "source")
    read = [
        (path, read_model(path, Contract)) for path in _yaml_files(folder / "contracts" / "silver")
    ]
    _refuse_twins([(path, contract.name) for path, contract in read], "name")
    contracts = {contract.name: contract for _, contract in read}
    for path, contract in read:
        _check_relationships(path, contract, contracts)
    tables: dict[str, Table] = {}
    places: dict[str, Place] = {}
    for path, source in sources:
        for where, row in _rows(path, source):
            table = _resolve(where, source, row, contracts, [s for _, s in sources])
            if table.entity in tables:
                raise PermanentFailure(
                    f"{where.at('silver', 'entity')}: Silver entity {table.entity!r} is already "
                    f"filled by {tables[table.entity].bronze}; give one of them another entity."
                )
            tables[table.entity] = table
            places[table.entity] = where
    for path, source in sources:
        for where, row in _rows(path, source):
            _check_references(where, row, tables)
    live = [table for path, source in sources for table in _live(path, source, contracts)]
    refuse_filled_twice(live, {entity: table.bronze for entity, table in tables.items()})
    _refuse_unknown(without, [source.source for _, source in sources])
    ordered = [tables[entity] for entity in _parents_first(tables, places)]
    kept = [table for table in ordered if table.source not in without]
    return Catalog(
        tables=tuple(_waiting_for(table, {other.entity for other in kept}) for table in kept),
        left_out=tuple(table for table in ordered if table.source in without),
        live=tuple(table for table in live if table.source not in without),
    )


def _refuse_unknown(without: Collection[str], sources: Collection[str]) -> None:
    unknown = sorted(set(without) - set(sources))
    if unknown:
        raise PermanentFailure(
            f"RETAIL_WITHOUT_SOURCES names {unknown}, which are no sources of the catalog. "
            f"Sources: {sorted(sources)}."
        )


def _waiting_for(table: Table, entities: Collection[str]) -> Table:
    """The table, waiting for no parent but these."""
    return replace(
        table,
        parents=tuple(parent for parent in table.parents if parent in entities),
        hard_parents=tuple(parent for parent in table.hard_parents if parent in entities),
    )


def _rows(path: Path, source: Source) -> Iterator[tuple[Place, TableRow]]:
    first: dict[str, Place] = {}
    for position, row in enumerate(source.tables):
        where = Place(path, ("tables", position), f"table {row.table}")
        if row.table in first:
            raise PermanentFailure(
                f"{where}: the source has this table already, on line "
                f"{line_of(path, first[row.table].steps)}; remove one of the two rows."
            )
        first[row.table] = where
        yield where, row


def _live(path: Path, source: Source, contracts: Mapping[str, Contract]) -> Iterator[LiveTable]:
    for position, row in enumerate(source.live):
        yield live_table(
            Place(path, ("live", position), f"live table {row.table}"),
            row,
            source=source.source,
            connection=source.connection,
            owners=source.owners,
            contract=contracts.get(row.table),
        )


def _refuse_twins(named: list[tuple[Path, str]], field: str) -> None:
    first: dict[str, Path] = {}
    for path, name in named:
        if name in first:
            raise PermanentFailure(
                f"{Place(path, (field,))}: {field} {name!r} is already that of "
                f"{first[name].name}; give one of them another name."
            )
        first[name] = path


def _check_references(where: Place, row: TableRow, tables: dict[str, Table]) -> None:
    for position, reference in enumerate(row.references):
        parent = tables.get(reference.entity)
        if parent is None:
            raise PermanentFailure(
                f"{where.at('references', position)}: references names entity "
                f"{reference.entity!r}, which no table fills. Entities: {sorted(tables)}."
            )
        if len(parent.row.key) != 1:
            raise PermanentFailure(
                f"{where.at('references', position)}: references names entity "
                f"{reference.entity!r}, whose key {list(parent.row.key)} is not one "
                "column: leave the reference out."
            )


def _yaml_files(folder: Path) -> Iterator[Path]:
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise PermanentFailure(f"No *.yaml in the catalog folder {folder}.")
    yield from paths


def _resolve(
    where: Place,
    source: Source,
    row: TableRow,
    contracts: dict[str, Contract],
    sources: list[Source],
) -> Table:
    contract = contracts.get(row.silver.entity)
    if contract is None:
        raise PermanentFailure(
            f"{where.at('silver', 'entity')}: silver.entity {row.silver.entity!r} has no contract; "
            f"write contracts/silver/{row.silver.entity}.yaml. Contracts: {sorted(contracts)}."
        )
    _check_load(where, source, row)
    _check_columns(where, row, contract)
    _check_masks(where, row, contract)
    _check_policies(where, row, contract)
    parents = _parents(where, source, row, sources)
    return Table(
        source=source.source,
        connection=source.connection,
        owners=source.owners,
        row=row,
        contract=contract,
        parents=tuple(parents),
        hard_parents=tuple(entity for entity, edge in parents.items() if edge.required),
        waits={entity: edge.wait for entity, edge in parents.items()},
    )


def _check_load(where: Place, source: Source, row: TableRow) -> None:
    streams = source.connection.kind == "kafka"
    if streams != (row.load == "stream"):
        raise PermanentFailure(
            f"{where.at('load')}: load {row.load!r} does not go with the connection of kind "
            f"{source.connection.kind!r}: topics are read by load: stream, and nothing else is."
        )


def _check_policies(where: Place, row: TableRow, contract: Contract) -> None:
    types = {column.name: column for column in contract.columns}
    for name in row.case:
        if types[name].physicalType != "string":
            raise PermanentFailure(
                f"{where.at('case', name)}: case names column {name!r}, which is "
                f"{types[name].physicalType}; only text has a case: leave it out."
            )
    for name, policy in row.removed.columns.items():
        if isinstance(policy, RemovedDefault):
            try:
                pa.scalar(str(policy.default)).cast(types[name].arrow)
            except pa.ArrowInvalid as error:
                raise PermanentFailure(
                    f"{where.at('removed', 'columns', name)}: removed.columns gives {name!r} the "
                    f"default {policy.default!r}, which is no {types[name].physicalType}."
                ) from error


def _check_columns(where: Place, row: TableRow, contract: Contract) -> None:
    if contract.key != row.key:
        raise PermanentFailure(
            f"{where.at('key')}: key {list(row.key)} differs from the primary key "
            f"{list(contract.key)} of contract {contract.name}: the columns with primaryKey: true."
        )
    named = {
        "watermark.column": [row.watermark.column] if row.watermark else [],
        "changes.column": [row.changes.column] if row.changes and row.changes.column else [],
        "read.partition_by": [row.read.partition_by] if row.read else [],
        "deleted.column": [row.deleted.column] if row.deleted else [],
        "columns": list(row.columns.values()),
        "pii": list(row.pii),
        "case": list(row.case),
        "removed.columns": list(row.removed.columns),
        "references": [reference.column for reference in row.references],
        "silver.sweep": list(row.silver.sweep),
        "silver.partition_by": list(row.silver.partition_by),
        "silver.cluster_by": list(row.silver.cluster_by),
    }
    known = [column.name for column in contract.columns]
    for field, names in named.items():
        for name in names:
            if name not in known:
                raise PermanentFailure(
                    f"{where.at(*field.split('.'))}: {field} names column {name!r}, "
                    f"which contract {contract.name} does not have. Its columns: {known}."
                )
    for name in row.pii:
        column = contract.column(name)
        if column is not None and column.physicalType != "string":
            raise PermanentFailure(
                f"{where.at('pii', name)}: pii column {name!r} is {column.physicalType}; "
                "only text can be masked."
            )
    _check_layout(where, row, contract)


def _check_layout(where: Place, row: TableRow, contract: Contract) -> None:
    for name in row.silver.partition_by:
        column = contract.column(name)
        if column is not None and column.physicalType not in PARTITION_TYPES:
            raise PermanentFailure(
                f"{where.at('silver', 'partition_by')}: column {name!r} is {column.physicalType}; "
                f"partitions are named by {', '.join(PARTITION_TYPES)}: add a coarser column, such "
                "as the day of a timestamp, to the source or its view."
            )
    both = [name for name in row.silver.cluster_by if name in row.silver.partition_by]
    if both:
        raise PermanentFailure(
            f"{where.at('silver', 'cluster_by')}: {both} are in partition_by, so every file "
            "holds one value of them already: leave them out of cluster_by."
        )


def _check_relationships(path: Path, contract: Contract, contracts: dict[str, Contract]) -> None:
    for position, column in enumerate(contract.columns):
        for relationship in column.relationships:
            entity, _, other = str(relationship.to).partition(".")
            target = contracts.get(entity)
            if target is None or target.column(other) is None:
                where = Place(path, ("schema", 0, "properties", position), f"column {column.name}")
                raise PermanentFailure(
                    f"{where.at('relationships')}: relationships: to {relationship.to!r} names no "
                    "column of a contract; write it as entity.column."
                )


def _check_masks(where: Place, row: TableRow, contract: Contract) -> None:
    """Batch rules see the batch as it is stored: masked."""
    for rule in contract.batch_rules:
        if not rule.reads_values:
            continue
        for name in row.pii:
            if re.search(rf"\b{name}\b", rule.condition or ""):
                raise PermanentFailure(
                    f"{where.at('pii', name)}: rule {rule.name!r} of contract {contract.name} "
                    f"judges the values of {name!r}, which are masked when the batch is judged: "
                    "make it a rule on rows (severity: error, no threshold), or drop it."
                )


def _parents(
    where: Place, source: Source, row: TableRow, sources: list[Source]
) -> dict[str, Dependency]:
    entities = {
        f"{other.source}.{other_row.table}": other_row.silver.entity
        for other in sources
        for other_row in other.tables
    }
    parents: dict[str, Dependency] = {}
    for position, dependency in enumerate(row.depends_on):
        qualified = (
            dependency.table if "." in dependency.table else f"{source.source}.{dependency.table}"
        )
        if qualified not in entities:
            raise PermanentFailure(
                f"{where.at('depends_on', position)}: depends_on names {qualified!r}, "
                f"which no source has. Tables: {sorted(entities)}."
            )
        parents[entities[qualified]] = dependency
    return parents


def _parents_first(tables: dict[str, Table], places: dict[str, Place]) -> list[str]:
    graph = {entity: table.parents for entity, table in sorted(tables.items())}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        around = error.args[1]
        edges = ", ".join(str(places[entity].at("depends_on")) for entity in around[:-1])
        raise PermanentFailure(
            f"depends_on forms a cycle: {' -> '.join(around)} ({edges}). Remove one of these edges."
        ) from error
