"""What a load would meet in the lake: stored columns, and the files and partitions it would touch.

Read from the Delta logs with delta-rs: no engine is started and no table is created.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from retail_platform.lakehouse.places import table_location
from retail_platform.lakehouse.retyping import Retyped, retyped_columns
from retail_platform.metadata.loader import Table
from retail_platform.silver.standardise import silver_schema

_PARTITION = "partition."


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Columns of a load, against what is stored.

    Attributes:
        added_to_bronze: The source has them, Bronze does not yet.
        added_to_silver: The contract has them, Silver does not yet.
        cast: ``name: source type -> contract type`` of what is not text in the contract.
        dropped: The source has them and the contract does not: they end in Bronze.
        missing: The contract has them and the source does not: NULL in Silver.
        retyped: ``name: stored type, now type``: such a load fails or is held.
    """

    added_to_bronze: tuple[str, ...] = ()
    added_to_silver: tuple[str, ...] = ()
    cast: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    retyped: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Touched:
    """Files of one stored table that a load may touch.

    Attributes:
        table: ``bronze.<name>`` or ``silver.<name>``.
        exists: Whether the table is there; a load creates it otherwise.
        version: Its present version; None where it does not exist.
        files: Files of the table.
        touched: Files that the load may rewrite (Silver), or that share its partition (Bronze,
            which is only added to).
        rows: Rows in those.
        partitions: Partitions that it may touch, as ``column=value``.
    """

    table: str
    exists: bool
    version: int | None = None
    files: int = 0
    touched: int = 0
    rows: int = 0
    partitions: tuple[str, ...] = ()


class Storage:
    """The lake below a root, to be looked at.

    Args:
        root: Root of the lake.
    """

    def __init__(self, root: str) -> None:
        self._root = root

    def retyped(self, table: Table) -> list[Retyped]:
        """Columns of the Silver table whose stored type is not the contract's."""
        silver = self._schema("silver", table.entity)
        return [] if silver is None else retyped_columns(silver, silver_schema(table))

    def columns(self, table: Table, source: Mapping[str, str] | None) -> Columns:
        """Compares source, stored tables and contract.

        Args:
            table: The table.
            source: Declared type by column of the source; None where it declares none.
        """
        spelled = {target: name for name, target in table.row.columns.items()}
        wanted = {spelled.get(c.name, c.name).lower(): c for c in table.contract.columns}
        bronze = self._schema("bronze", table.bronze)
        silver = self._schema("silver", table.entity)
        present = {name.lower(): (name, kind) for name, kind in (source or {}).items()}
        known = {name.lower() for name in bronze.names} if bronze is not None else set()
        needed = silver_schema(table)
        return Columns(
            added_to_bronze=tuple(n for key, (n, _) in present.items() if key not in known)
            if bronze is not None
            else (),
            added_to_silver=tuple(f.name for f in needed if f.name not in silver.names)
            if silver is not None
            else (),
            cast=tuple(
                f"{column.name}: {present[key][1] if key in present else 'text'} -> "
                f"{column.physicalType}"
                for key, column in wanted.items()
                if column.physicalType != "string" and (source is None or key in present)
            ),
            dropped=tuple(name for key, (name, _) in present.items() if key not in wanted),
            missing=tuple(c.name for key, c in wanted.items() if source and key not in present),
            retyped=tuple(str(column) for column in self.retyped(table)),
        )

    def bronze(self, table: Table, hour: datetime) -> Touched:
        """The partition of Bronze that the hour is added to."""
        delta = self._delta("bronze", table.bronze)
        partition = f"_hour={hour:%Y-%m-%d %H:%M}"
        name = f"bronze.{table.bronze}"
        if delta is None:
            return Touched(table=name, exists=False, partitions=(partition,))
        actions = _actions(delta)
        stored = [_moment(v) for v in actions.column(f"{_PARTITION}_hour").to_pylist()]
        same = actions.filter(pa.array([moment == hour for moment in stored], pa.bool_()))
        return _touched(name, delta, actions, same, (partition,))

    def silver(
        self, table: Table, ranges: Mapping[str, tuple[int, int]], rows: int | None
    ) -> Touched:
        """The files of Silver that may hold keys of the window, by the statistics of the log.

        Args:
            table: The table.
            ranges: Least and greatest key in the window by source column, where known.
            rows: Rows of the window; None where that is not known.
        """
        delta = self._delta("silver", table.entity)
        name = f"silver.{table.entity}"
        if delta is None:
            return Touched(table=name, exists=False)
        actions = _actions(delta)
        spelled = {target: column for column, target in table.row.columns.items()}
        hit = pa.array([rows != 0 or table.row.swept_by == ()] * actions.num_rows, pa.bool_())
        for column in table.row.key:
            between = ranges.get(spelled.get(column, column))
            if between is not None and table.row.swept_by is None:
                hit = pc.and_(hit, _overlap(actions, column, *between))
        touched = actions.filter(hit)
        names = [n for n in actions.column_names if n.startswith(_PARTITION)]
        partitions = dict.fromkeys(
            "/".join(f"{n.removeprefix(_PARTITION)}={row[n]}" for n in names)
            for row in touched.select(names).to_pylist()
            if names
        )
        return _touched(name, delta, actions, touched, tuple(partitions))

    def live_keys(self, table: Table) -> int:
        """Live rows of Silver, by which a whole read is measured; 0 where there is no table."""
        delta = self._delta("silver", table.entity)
        if delta is None:
            return 0
        live = ~pc.field("_deleted") & ~pc.field("_inferred")
        if table.row.silver.merge == "scd2":
            live &= pc.field("is_current")
        return delta.to_pyarrow_dataset().count_rows(filter=live)

    def _delta(self, layer: str, name: str) -> DeltaTable | None:
        assert layer in ("bronze", "silver")
        location = table_location(self._root, layer, name)
        return DeltaTable(location) if DeltaTable.is_deltatable(location) else None

    def _schema(self, layer: str, name: str) -> pa.Schema | None:
        delta = self._delta(layer, name)
        return pa.schema(delta.schema().to_arrow()) if delta is not None else None


def _actions(delta: DeltaTable) -> pa.Table:
    return pa.table(delta.get_add_actions(flatten=True))


def _touched(
    name: str,
    delta: DeltaTable,
    actions: pa.Table,
    touched: pa.Table,
    partitions: tuple[str, ...],
) -> Touched:
    return Touched(
        table=name,
        exists=True,
        version=delta.version(),
        files=actions.num_rows,
        touched=touched.num_rows,
        rows=sum(touched.column("num_records").to_pylist()) if touched.num_rows else 0,
        partitions=partitions,
    )


def _overlap(actions: pa.Table, column: str, least: int, greatest: int) -> pa.Array:
    """Files whose statistics allow a value in between; those without statistics do."""
    if f"min.{column}" not in actions.column_names:
        return pa.array([True] * actions.num_rows, pa.bool_())
    return pa.array(
        [
            low is None or high is None or (low <= greatest and high >= least)
            for low, high in zip(
                actions.column(f"min.{column}").to_pylist(),
                actions.column(f"max.{column}").to_pylist(),
                strict=True,
            )
        ],
        pa.bool_(),
    )


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.fromisoformat(str(value)).replace(tzinfo=UTC)
