"""What Gold's public models promise to those who read them outside of dbt, as a data contract.

Names and types of columns, the key, and the values that a blocking test lets through. Technical
columns, which begin with `_`, and texts are no promise. Not here: comparing (`contracts`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from retail_platform.failures import PermanentFailure
from retail_platform.gold.versions import ModelVersion
from retail_platform.metadata.contract import Contract
from retail_platform.metadata.onboarding_text import inline
from retail_platform.metadata.types import logical_type

Place = tuple[str, str]
"""dbt's unique id of a model, and one of its columns."""


@dataclass(frozen=True, kw_only=True)
class PublicModel:
    """A version of a model that is read outside of dbt.

    Attributes:
        unique_id: dbt's name of it.
        version: Which version of which model.
        enforced: Whether dbt makes its table only as promised.
        properties: Its columns as a contract has them, technical ones left out.
    """

    unique_id: str
    version: ModelVersion
    enforced: bool
    properties: tuple[Mapping[str, Any], ...]

    def text(self, number: str) -> str:
        """The contract (ODCS v3.1) as YAML.

        Args:
            number: Its version, such as ``1.0.0``.
        """
        model, ends = self.version.model, self.version.deprecated
        head: dict[str, object] = {
            "apiVersion": "v3.1.0",
            "kind": "DataContract",
            "id": f"gold-{model.replace('_', '-')}",
            "name": model,
            "version": number,
            "status": "deprecated" if ends else "active",
        }
        if ends:
            head["slaProperties"] = [{"property": "endOfSupport", "value": ends.isoformat()}]
        lines = [f"{name}: {inline(value)}" for name, value in head.items()]
        lines += ["schema:", f"  - name: {model}", "    properties:"]
        lines += [f"      - {inline(one)}" for one in self.properties]
        return "".join(f"{line}\n" for line in lines)

    def contract(self, number: str) -> Contract:
        """The same as a model."""
        return Contract.model_validate(yaml.safe_load(self.text(number)))


def public_models(manifest: Mapping[str, Any]) -> Iterator[PublicModel]:
    """Every version of every public model of a manifest.

    Raises:
        PermanentFailure: a column has no type, or one that the platform does not know.
    """
    keys, values = _tested(manifest)
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model" and node["access"] == "public":
            yield _public_model(node, keys, values)


def _tested(manifest: Mapping[str, Any]) -> tuple[set[Place], dict[Place, list[str]]]:
    """Keys, and columns with the values that they may have, as blocking tests promise them."""
    keys: set[Place] = set()
    values: dict[Place, list[str]] = {}
    for node in manifest["nodes"].values():
        test = node.get("test_metadata") or {}
        column = (node.get("attached_node"), node.get("column_name"))
        if test.get("name") == "primary_key":
            keys.add(column)
        elif (
            test.get("name") == "accepted_values" and node["config"]["severity"].lower() == "error"
        ):
            values[column] = test["kwargs"]["values"]
    return keys, values


def _public_model(
    node: Mapping[str, Any],
    keys: set[Place],
    values: Mapping[Place, list[str]],
) -> PublicModel:
    properties: list[Mapping[str, object]] = []
    for name, column in node["columns"].items():
        if name.startswith("_"):
            continue
        place = (node["unique_id"], name)
        kind = column["data_type"] or ""
        try:
            one: dict[str, object] = {
                "name": name,
                "logicalType": logical_type(kind),
                "physicalType": kind,
            }
        except ValueError as error:
            raise PermanentFailure(
                f"model {node['name']} ({node['patch_path']}), column {name}: {error}. Give it a "
                "data_type: a public model promises its types."
            ) from error
        if place in keys:
            one |= {"primaryKey": True, "primaryKeyPosition": 1}
        if place in values:
            valid = {"validValues": values[place]}
            one["quality"] = [{"type": "library", "metric": "invalidValues", "arguments": valid}]
        properties.append(one)
    return PublicModel(
        unique_id=node["unique_id"],
        version=ModelVersion.of(node),
        enforced=node["contract"]["enforced"],
        properties=tuple(properties),
    )
