"""Whether a row of metadata fits its source's connection and its contract.

Not here: the row's own validity (`models`), and what takes other rows to see (`loader`).
"""

import re

import pyarrow as pa

from retail_platform.failures import PermanentFailure
from retail_platform.metadata.column_policies import RemovedDefault
from retail_platform.metadata.contract import Contract
from retail_platform.metadata.models import TableRow
from retail_platform.metadata.source import Source
from retail_platform.metadata.yaml_files import Place

_PARTITION_TYPES = ("string", "int", "bigint", "date", "boolean")


def check_row(where: Place, source: Source, row: TableRow, contract: Contract) -> None:
    """Checks a row.

    Args:
        where: Its place, for messages.
        source: Its source.
        row: The row.
        contract: The contract of its Silver entity.

    Raises:
        PermanentFailure: it does not fit; the message names file, line, field and cure.
    """
    _check_load(where, source, row)
    _check_mapping(where, row)
    _check_columns(where, row, contract)
    _check_masks(where, row, contract)
    _check_policies(where, row, contract)


def _check_load(where: Place, source: Source, row: TableRow) -> None:
    streams = source.connection.kind == "kafka"
    if streams != (row.load == "stream"):
        raise PermanentFailure(
            f"{where.at('load')}: load {row.load!r} does not go with the connection of kind "
            f"{source.connection.kind!r}: topics are read by load: stream, and nothing else is."
        )


def _check_mapping(where: Place, row: TableRow) -> None:
    first: dict[str, str] = {}
    for name, target in row.columns.items():
        if target in first:
            raise PermanentFailure(
                f"{where.at('columns', name)}: columns maps both {first[target]!r} and {name!r} to "
                f"{target!r}, and a row can have the value of one of them only; give one of them a "
                "column of its own in the contract, or leave it out."
            )
        first[target] = name


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
        if column is not None and column.physicalType not in _PARTITION_TYPES:
            raise PermanentFailure(
                f"{where.at('silver', 'partition_by')}: column {name!r} is {column.physicalType}; "
                f"partitions are named by {', '.join(_PARTITION_TYPES)}: add a coarser column, "
                "such as the day of a timestamp, to the source or its view."
            )
    both = [name for name in row.silver.cluster_by if name in row.silver.partition_by]
    if both:
        raise PermanentFailure(
            f"{where.at('silver', 'cluster_by')}: {both} are in partition_by, so every file "
            "holds one value of them already: leave them out of cluster_by."
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
