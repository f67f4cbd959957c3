"""Names and describes dbt's nodes as Dagster assets.

What belongs here: keys, groups, kinds, descriptions. Not here: running dbt (`runner`).
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtProject

from retail_platform.gold.versions import ModelVersion

GROUP = "gold"
KINDS = {"dbt", "delta"}


class GoldTranslator(DagsterDbtTranslator):
    """Models and snapshots are `gold/<table>`, sources are `<schema>/<table>`: `silver/orders`.

    The latest version of a model is `gold/<model>`, any other `gold/<model>_v<version>`.

    Args:
        automation_condition: Condition of every Gold asset; None leaves them to jobs and schedules.
    """

    def __init__(
        self, automation_condition: dg.AutomationCondition[dg.AssetKey] | None = None
    ) -> None:
        super().__init__()
        self._automation_condition = automation_condition

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """The key of a node: its layer and the name of its table."""
        if dbt_resource_props["resource_type"] == "source":
            return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["name"]])
        return dg.AssetKey(["gold", dbt_resource_props["alias"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """All of Gold is one group; dbt's own groups say who owns what."""
        del dbt_resource_props
        return GROUP

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """What is documented, after a notice where the version is not to be relied on.

        The SQL is in the repository.
        """
        parts = [ModelVersion.of(dbt_resource_props).notice, dbt_resource_props.get("description")]
        return "\n\n".join(part for part in parts if part)

    def get_tags(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, str]:
        """The tags of dbt, and whether the version is deprecated or a pre-release."""
        tags = super().get_tags(dbt_resource_props)
        return {**tags, **ModelVersion.of(dbt_resource_props).tags}

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        """The columns that dbt documents, and the version."""
        metadata = super().get_metadata(dbt_resource_props)
        return {**metadata, **ModelVersion.of(dbt_resource_props).metadata}

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
