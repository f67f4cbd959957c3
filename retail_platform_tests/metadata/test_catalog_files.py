"""The platform's own catalog: every file loads, and says of every column what it is."""

import pytest

from retail_platform.metadata.loader import Table, load_catalog
from retail_platform.settings import PACKAGE

CATALOG = load_catalog(PACKAGE / "catalog")


def test_every_contract_is_used_and_every_table_has_one() -> None:
    """No file lies there unread."""
    contracts = {p.stem for p in (PACKAGE / "catalog" / "contracts" / "silver").glob("*.yaml")}
    sources = {p.stem for p in (PACKAGE / "catalog" / "sources").glob("*.yaml")}
    assert contracts == set(CATALOG.quarantines)
    assert sources == set(CATALOG.sources)


@pytest.mark.parametrize("table", CATALOG.tables, ids=lambda table: table.entity)
def test_a_table_is_described_owned_and_keyed(table: Table) -> None:
    """Descriptions of table and columns, owners, a required key, masks where it says personal."""
    assert table.row.description
    assert table.contract.table.description
    assert table.owners
    for column in table.contract.columns:
        assert column.description, column.name
        assert column.required or not column.primaryKey, column.name
        assert (column.classification == "restricted") == (column.name in table.row.pii)
    if table.row.watermark:
        moment = table.contract.column(table.row.watermark.column)
        assert moment is not None
        assert moment.physicalType == "timestamp"
    for parent in table.parents:
        order = [t.entity for t in CATALOG.tables]
        assert order.index(parent) < order.index(table.entity)
    assert {reference.entity for reference in table.row.references} <= set(table.parents)
