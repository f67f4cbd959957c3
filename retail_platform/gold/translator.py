"""Names and describes dbt's nodes as Dagster assets.

What belongs here: keys, groups, kinds, descriptions. Not here: running dbt (`runner`).
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtProject

GROUP = "gold"
KINDS = {"dbt", "delta"}


class GoldTranslator(DagsterDbtTranslator):
    """Models and snapshots are `gold/<name>`, sources are `<schema>/<table>`: `silver/orders`.

    Args:
        automation_condition: Condition of every Gold asset; None leaves them to jobs and schedules.
    """

    def __init__(
        self, automation_condition: dg.AutomationCondition[dg.AssetKey] | None = None
    ) -> None:
        super().__init__()
        self._automation_condition = automation_condition

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """The key of a node: its layer and its name."""
        is_source = dbt_resource_props["resource_type"] == "source"
        layer = dbt_resource_props["schema"] if is_source else "gold"
        return dg.AssetKey([layer, dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """All of Gold is one group; dbt's own groups say who owns what."""
        del dbt_resource_props
        return GROUP

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The documented description alone; the SQL is in the repository."""
        return dbt_resource_props.get("description") or ""

    def get_automation_condition(
        self, dbt_resource_props: Mapping[str, Any]
    ) -> dg.AutomationCondition[dg.AssetKey] | None:
        """The one condition that the platform gave."""
        del dbt_resource_props
        return self._automation_condition

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetSpec:
        """The default spec with the platform's kinds."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        return spec.replace_attributes(kinds=KINDS)
