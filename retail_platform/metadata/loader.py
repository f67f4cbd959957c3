"""Reads the catalog folder into one validated ``Catalog``; a bad file raises, with its line."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from retail_platform.failures import PermanentFailure
from retail_platform.metadata.connections import Connection
from retail_platform.metadata.contract import Contract
from retail_platform.metadata.live import LiveTable, live_table, refuse_filled_twice
from retail_platform.metadata.models import Dependency, TableRow
from retail_platform.metadata.row_checks import check_row
from retail_platform.metadata.source import Source
from retail_platform.metadata.yaml_files import Place, line_of, read_model


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
    check_row(where, source, row, contract)
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
