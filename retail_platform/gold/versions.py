"""Versions of Gold's models, as dbt's manifest has them, and what people are told of them.

Not here: the names of their tables (dbt's macro `generate_alias_name`), and what may change within
a version (`contracts`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """A model, and which version of it a node is.

    Attributes:
        model: Name of the model, which all versions share.
        version: This version; None for a model without versions.
        latest: The version to which a reference without version leads.
        deprecated: The day from which the version may be gone, as it is written, if one is.
    """

    model: str
    version: int | None
    latest: int | None
    deprecated: date | None

    @classmethod
    def of(cls, node: Mapping[str, Any]) -> "ModelVersion":
        """The version that a node of the manifest is; snapshots and sources have none."""
        deprecated = node.get("deprecation_date")
        return cls(
            model=node["name"],
            version=node.get("version"),
            latest=node.get("latest_version"),
            deprecated=datetime.fromisoformat(deprecated).date() if deprecated else None,
        )

    def __str__(self) -> str:
        """As dbt's ``--select`` takes it: ``mart_sales_kpi.v1``."""
        return self.model if self.version is None else f"{self.model}.v{self.version}"

    @property
    def is_prerelease(self) -> bool:
        """Whether it is newer than the latest: to be tried, and not promised."""
        return self.version is not None and self.latest is not None and self.version > self.latest

    @property
    def is_superseded(self) -> bool:
        """Whether it is older than the latest."""
        return self.version is not None and self.latest is not None and self.version < self.latest

    @property
    def notice(self) -> str:
        """What readers have to know before they use it; empty where there is nothing."""
        if self.is_prerelease:
            return (
                f"Pre-release: version {self.version} of {self.model}, which may still change; "
                f"the latest is version {self.latest}."
            )
        if self.deprecated is None:
            return ""
        instead = f"; read version {self.latest}, gold/{self.model}" if self.is_superseded else ""
        return f"Deprecated: version {self.version} goes on {self.deprecated}{instead}."

    @property
    def metadata(self) -> dict[str, Any]:
        """For the asset: the version, and the day from which it may be gone."""
        known = {
            "dbt/version": self.version,
            "dbt/latest_version": self.latest,
            "dbt/deprecation_date": self.deprecated and self.deprecated.isoformat(),
        }
        return {name: value for name, value in known.items() if value is not None}

    @property
    def tags(self) -> dict[str, str]:
        """For the asset, so that it can be searched for."""
        if self.is_prerelease:
            return {"prerelease": f"v{self.version}"}
        return {"deprecated": self.deprecated.isoformat()} if self.deprecated else {}
