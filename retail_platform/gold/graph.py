"""What each Gold table is made of, as dbt's manifest says: the edges between assets.

Not here: whether parents are well (`operations.parents`), and building (`assets`).
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Any

from dagster_dbt import DagsterDbtTranslator

TABLES = ("model", "snapshot")


class GoldGraph:
    """The tables of a dbt project and their parents, as asset names.

    Args:
        manifest: The parsed manifest.
        translator: Names the assets.
    """

    def __init__(self, manifest: Mapping[str, Any], translator: DagsterDbtTranslator) -> None:
        self._manifest = manifest
        self._translator = translator

    @cached_property
    def assets(self) -> dict[str, str]:
        """Asset name (``gold/dim_customer``) of each table by dbt's unique id."""
        return {
            unique_id: self._name(node)
            for unique_id, node in self._manifest["nodes"].items()
            if node["resource_type"] in TABLES
        }

    @cached_property
    def unique_ids(self) -> dict[str, str]:
        """The unique id that dbt gives each asset."""
        return {asset: unique_id for unique_id, asset in self.assets.items()}

    @cached_property
    def parents(self) -> dict[str, tuple[str, ...]]:
        """The assets that each table is made of: Silver and Gold."""
        nodes = {**self._manifest["nodes"], **self._manifest["sources"]}
        return {
            asset: tuple(
                self._name(nodes[parent])
                for parent in nodes[unique_id]["depends_on"]["nodes"]
                if nodes[parent]["resource_type"] in (*TABLES, "source")
            )
            for unique_id, asset in self.assets.items()
        }

    def parents_first(self, assets: Iterable[str]) -> list[str]:
        """Tables in the order in which they are built."""
        chosen = set(assets)
        order = TopologicalSorter(self.parents).static_order()
        return [asset for asset in order if asset in chosen]

    def tested(self, test_id: str) -> list[str]:
        """The tables that a dbt test looks at; those made of them are not built if it fails."""
        node = self._manifest["nodes"].get(test_id, {})
        parents = node.get("depends_on", {}).get("nodes", [])
        return [self.assets[parent] for parent in parents if parent in self.assets]

    def selectors(self, assets: Iterable[str]) -> list[str]:
        """The names of tables as dbt's ``--select`` and ``--exclude`` take them."""
        nodes = self._manifest["nodes"]
        return sorted(".".join(nodes[self.unique_ids[asset]]["fqn"]) for asset in assets)

    def _name(self, node: Mapping[str, Any]) -> str:
        return self._translator.get_asset_key(node).to_user_string()
