"""Reads the catalog folder into one validated ``Catalog``; a bad file raises, with its field."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from retail_platform.failures import PermanentFailure
from retail_platform.metadata.contract import Contract
from retail_platform.metadata.models import Connection, Source, TableRow

Model = TypeVar("Model", bound=BaseModel)


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
    """

    source: str
    connection: Connection
    owners: tuple[str, ...]
    row: TableRow
    contract: Contract
    parents: tuple[str, ...]
    hard_parents: tuple[str, ...]

    @property
    def bronze(self) -> str:
        """Name of the Bronze table."""
        return f"{self.source}__{self.row.table}"

    @property
    def entity(self) -> str:
        """Name of the Silver table."""
        return self.row.silver.entity


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """All tables of the platform, by Silver entity, parents before children."""

    tables: tuple[Table, ...]

    @cached_property
    def by_entity(self) -> dict[str, Table]:
        """Tables by Silver entity."""
        return {table.entity: table for table in self.tables}

    @cached_property
    def by_bronze(self) -> dict[str, Table]:
        """Tables by Bronze name."""
        return {table.bronze: table for table in self.tables}

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Source names, sorted."""
        return tuple(sorted({table.source for table in self.tables}))


def load_catalog(folder: Path) -> Catalog:
    """Reads ``sources/*.yaml`` and ``contracts/silver/*.yaml`` below ``folder``.

    Raises:
        PermanentFailure: a file cannot be read, does not fit its model, or rows contradict each
            other or their contract. The message names file, field and cure.
    """
    sources = [(path, _read(path, Source)) for path in _yaml_files(folder / "sources")]
    _refuse_twins([(path, source.source) for path, source in sources], "source")
    read = [(path, _read(path, Contract)) for path in _yaml_files(folder / "contracts" / "silver")]
    _refuse_twins([(path, contract.name) for path, contract in read], "name")
    contracts = {contract.name: contract for _, contract in read}
    tables: dict[str, Table] = {}
    for path, source in sources:
        for row in source.tables:
            table = _resolve(path, source, row, contracts, [s for _, s in sources])
            if table.entity in tables:
                raise PermanentFailure(
                    f"{path.name}: table {row.table}: Silver entity {table.entity!r} is already "
                    f"filled by {tables[table.entity].bronze}; give one of them another entity."
                )
            tables[table.entity] = table
    for path, source in sources:
        for row in source.tables:
            _check_references(f"{path.name}: table {row.table}", row, tables)
    return Catalog(tables=tuple(tables[entity] for entity in _parents_first(tables)))


def _refuse_twins(named: list[tuple[Path, str]], field: str) -> None:
    first: dict[str, Path] = {}
    for path, name in named:
        if name in first:
            raise PermanentFailure(
                f"{path.name}: {field} {name!r} is already that of {first[name].name}; give one of "
                "them another name."
            )
        first[name] = path


def _check_references(where: str, row: TableRow, tables: dict[str, Table]) -> None:
    for reference in row.references:
        parent = tables.get(reference.entity)
        if parent is None:
            raise PermanentFailure(
                f"{where}: references names entity {reference.entity!r}, which no table fills. "
                f"Entities: {sorted(tables)}."
            )
        if len(parent.row.key) != 1:
            raise PermanentFailure(
                f"{where}: references names entity {reference.entity!r}, whose key "
                f"{list(parent.row.key)} is not one column: leave the reference out."
            )


def _yaml_files(folder: Path) -> Iterator[Path]:
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise PermanentFailure(f"No *.yaml in the catalog folder {folder}.")
    yield from paths


def _read(path: Path, model: type[Model]) -> Model:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise PermanentFailure(f"{path.name} is not YAML: {error}") from error
    try:
        return model.model_validate(content)
    except ValidationError as error:
        details = "; ".join(
            f"{_place(content, problem['loc'])}: {problem['msg']}" for problem in error.errors()
        )
        raise PermanentFailure(f"{path.name}: {details}") from error


def _place(content: object, location: tuple[int | str, ...]) -> str:
    """The field's path with table names instead of positions: ``tables.orders.key``."""
    names: list[str] = []
    for step in location:
        content = _step(content, step)
        label = step
        if isinstance(step, int) and isinstance(content, dict):
            label = content.get("table") or content.get("name") or step
        names.append(str(label))
    return ".".join(names)


def _step(content: object, step: int | str) -> object:
    if isinstance(content, dict):
        return content.get(step, content)
    if isinstance(content, list) and isinstance(step, int) and step < len(content):
        return content[step]
    return content


def _resolve(
    path: Path,
    source: Source,
    row: TableRow,
    contracts: dict[str, Contract],
    sources: list[Source],
) -> Table:
    where = f"{path.name}: table {row.table}"
    contract = contracts.get(row.silver.entity)
    if contract is None:
        raise PermanentFailure(
            f"{where}: silver.entity {row.silver.entity!r} has no contract; "
            f"write contracts/silver/{row.silver.entity}.yaml. Contracts: {sorted(contracts)}."
        )
    _check_columns(where, row, contract)
    return Table(
        source=source.source,
        connection=source.connection,
        owners=source.owners,
        row=row,
        contract=contract,
        parents=_parents(where, source, row, sources, required_only=False),
        hard_parents=_parents(where, source, row, sources, required_only=True),
    )


def _check_columns(where: str, row: TableRow, contract: Contract) -> None:
    if contract.key != row.key:
        raise PermanentFailure(
            f"{where}: key {list(row.key)} differs from the primary key {list(contract.key)} of "
            f"contract {contract.name}."
        )
    named = {
        "watermark.column": [row.watermark.column] if row.watermark else [],
        "columns": list(row.columns.values()),
        "pii": list(row.pii),
        "references": [reference.column for reference in row.references],
        "silver.sweep": list(row.silver.sweep),
    }
    known = [column.name for column in contract.columns]
    for field, names in named.items():
        for name in names:
            if name not in known:
                raise PermanentFailure(
                    f"{where}: {field} names column {name!r}, which contract {contract.name} "
                    f"does not have. Its columns: {known}."
                )
    for name in row.pii:
        column = contract.column(name)
        if column is not None and column.physicalType != "string":
            raise PermanentFailure(
                f"{where}: pii column {name!r} is {column.physicalType}; only text can be masked."
            )


def _parents(
    where: str, source: Source, row: TableRow, sources: list[Source], *, required_only: bool
) -> tuple[str, ...]:
    entities = {
        f"{other.source}.{other_row.table}": other_row.silver.entity
        for other in sources
        for other_row in other.tables
    }
    parents = []
    for dependency in row.depends_on:
        qualified = (
            dependency.table if "." in dependency.table else f"{source.source}.{dependency.table}"
        )
        if qualified not in entities:
            raise PermanentFailure(
                f"{where}: depends_on names {qualified!r}, which no source has. "
                f"Tables: {sorted(entities)}."
            )
        if dependency.required or not required_only:
            parents.append(entities[qualified])
    return tuple(parents)


def _parents_first(tables: dict[str, Table]) -> list[str]:
    graph = {entity: table.parents for entity, table in sorted(tables.items())}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise PermanentFailure(
            f"depends_on forms a cycle: {' -> '.join(error.args[1])}. Remove one of these edges."
        ) from error
