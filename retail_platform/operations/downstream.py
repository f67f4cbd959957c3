"""Who reads the platform's tables: dbt's models and tests by column, everything else by asset.

Belongs here: putting the lineage of Gold and the asset graph together for those who ask what a
change would reach. Not here: resolving SQL (`gold.lineage`), and what a change means (`metadata`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg

from retail_platform.gold.lineage import Reader, gold_lineage
from retail_platform.gold.project import GoldProject
from retail_platform.metadata.contract import Contract
from retail_platform.metadata.loader import Catalog
from retail_platform.settings import PACKAGE, Settings
from retail_platform.silver.standardise import silver_schema

TABLE_LAYERS = ("bronze", "silver", "gold", "quarantine")


@dataclass(frozen=True, kw_only=True)
class Downstream:
    """Readers of Silver and Gold.

    Attributes:
        readers: dbt's models and tests, parents before children.
        reports: Table, such as ``gold.fct_sales``, to the assets outside of the lake that are made
            of it.
    """

    readers: tuple[Reader, ...]
    reports: Mapping[str, tuple[str, ...]]


def platform_downstream(
    settings: Settings, catalog: Catalog, released: Mapping[str, Contract | None]
) -> Downstream:
    """Everything that reads Silver, directly or not.

    Args:
        settings: Settings of this environment.
        catalog: All tables.
        released: Entity to the contract that readers know today; its columns are resolved even
            where the working contract has lost them.

    Raises:
        PermanentFailure: dbt cannot compile the project.
    """
    silver = {
        table.entity: list(
            dict.fromkeys(
                [
                    *silver_schema(table).names,
                    *_names(released.get(table.entity)),
                ]
            )
        )
        for table in catalog.tables
    }
    silver |= {
        entity: _names(contract)
        for entity, contract in released.items()
        if entity not in silver and contract is not None
    }
    project = GoldProject(
        project_dir=PACKAGE / "gold" / "dbt", target_path=Path(settings.home) / "dbt"
    )
    return Downstream(readers=gold_lineage(project, silver), reports=_reports(settings))


def _names(contract: Contract | None) -> list[str]:
    return [column.name for column in contract.columns] if contract else []


def _reports(settings: Settings) -> dict[str, tuple[str, ...]]:
    # Imported here: the definitions import every area.
    from retail_platform.definitions import build_defs

    # Nothing is run: no key is needed to know who reads what.
    definitions = build_defs(replace(settings, pii_key=settings.pii_key or "lineage"))
    graph = definitions.resolve_asset_graph()
    parents = {key: graph.get(key).parent_keys for key in graph.get_all_asset_keys()}
    readers: dict[str, set[str]] = {}
    for key in parents:
        if key.path[0] not in TABLE_LAYERS:
            for table in _tables_above(parents, key):
                readers.setdefault(table, set()).add("/".join(key.path))
    return {table: tuple(sorted(names)) for table, names in readers.items()}


def _tables_above(
    parents: Mapping[dg.AssetKey, Iterable[dg.AssetKey]], key: dg.AssetKey
) -> set[str]:
    """The nearest tables that an asset is made of, through assets that are no tables."""
    found: set[str] = set()
    for parent in parents.get(key, ()):
        if parent.path[0] in TABLE_LAYERS:
            found.add(".".join(parent.path))
        else:
            found |= _tables_above(parents, parent)
    return found
