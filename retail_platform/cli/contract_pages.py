"""The pages of ``contracts docs``: Silver's contracts and Gold's public models, under one index.

Not here: what a page looks like (`metadata.contract_docs`, `gold.model_docs`).
"""

from datetime import date

from retail_platform.cli.contract_layers import ContractLayers
from retail_platform.cli.platform import Platform
from retail_platform.gold.model_docs import ModelDocs
from retail_platform.metadata.contract_docs import Lineage, contract_page, silver_index
from retail_platform.metadata.contract_html import page
from retail_platform.metadata.contract_impact import readers_of
from retail_platform.operations.downstream import Downstream, platform_downstream


def contract_pages(platform: Platform, layers: ContractLayers, today: date) -> dict[str, str]:
    """Name of the file, without its ending, to the page.

    Args:
        platform: The platform.
        layers: Its contracts.
        today: The day on which they are as they are (UTC).

    Raises:
        PermanentFailure: dbt cannot parse or compile the project.
    """
    downstream = platform_downstream(platform.settings, platform.catalog, {})
    models, gold = _gold(layers, downstream, today)
    silver = {
        table.entity: contract_page(
            table,
            platform.catalog,
            _lineage(f"silver.{table.entity}", downstream),
            list(layers.silver.releases(table.entity)),
        )
        for table in (*platform.catalog.tables, *platform.catalog.live)
    }
    body = f"<h2>Silver</h2>{silver_index(platform.catalog)}<h2>Gold</h2>{models}"
    return {"index": page("Data contracts", body), **silver, **gold}


def _gold(
    layers: ContractLayers, downstream: Downstream, today: date
) -> tuple[str, dict[str, str]]:
    """The list of Gold's public models, and their pages."""
    docs = ModelDocs(layers.gold.manifest)
    numbers = {
        entity: layers.gold.check(entity, today).working or ""
        for entity in sorted(layers.gold.public)
    }
    origins = {reader.name: reader.columns for reader in downstream.readers}
    pages = {}
    for entity, number in numbers.items():
        model = layers.gold.public[entity]
        name = docs.table_of(model)
        pages[name] = docs.page(
            model,
            number,
            made_of={column: sorted(above) for column, above in origins[name].items()},
            lineage=_lineage(name, downstream),
            versions=layers.gold.releases(entity),
        )
    index = docs.index([(layers.gold.public[entity], number) for entity, number in numbers.items()])
    return index, pages


def _lineage(table: str, downstream: Downstream) -> Lineage:
    readers, columns = readers_of(table, downstream.readers, downstream.reports)
    return Lineage(readers=readers, columns=columns)
