"""Silver's and Gold's contracts for the commands that take either, by name.

Not here: the commands (`contracts`), and what a check looks at (`metadata.contract_releases`,
`gold.contracts`).
"""

import json
from collections.abc import Iterable, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Protocol

from retail_platform.cli.platform import Platform
from retail_platform.failures import PermanentFailure
from retail_platform.gold.by_hand import hand_project
from retail_platform.gold.contracts import GoldContracts
from retail_platform.metadata.contract_releases import Checked, ContractFiles
from retail_platform.quality.exports import export_text


class Contracts(Protocol):
    """The contracts of a layer."""

    def check(self, entity: str, today: date) -> Checked: ...  # noqa: D102 - described there
    def release(self, entity: str, today: date) -> Path: ...  # noqa: D102


class ContractLayers:
    """The contracts of the platform.

    Args:
        platform: The platform.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self.silver = ContractFiles(platform.settings.catalog)

    @cached_property
    def gold(self) -> GoldContracts:
        """Gold's; dbt parses its project unless these very files were parsed before."""
        manifest = hand_project(self._platform.settings.home).manifest_path()
        return GoldContracts(
            self._platform.settings.catalog, json.loads(manifest.read_text("utf-8"))
        )

    def all_known(self) -> list[tuple[Contracts, str]]:
        """Every contract that is or was promised."""
        return [
            *self._of(self.silver, self.silver.entities),
            *self._of(self.gold, self.gold.entities),
        ]

    def all_working(self) -> list[tuple[Contracts, str]]:
        """Every contract that may be released."""
        return [
            *self._of(self.silver, self.silver.working),
            *self._of(self.gold, self.gold.working),
        ]

    def named(self, names: Sequence[str]) -> list[tuple[Contracts, str]]:
        """The contracts of these names: Silver's entities; Gold's models, with or without version.

        Raises:
            PermanentFailure: there is none of a name.
        """
        return [one for name in names for one in self._named(name)]

    def exported(self, name: str, to: str, today: date) -> str:
        """A contract in the words of another tool.

        Args:
            name: Silver's entity, or Gold's model with or without version.
            to: ``great-expectations``, ``dbt`` or ``odcs``.
            today: The day on which a model of Gold is checked (UTC).

        Raises:
            PermanentFailure: there is none of the name, or it has no such form.
        """
        if name in self.silver.working:
            text = self.silver.working[name][0].read_text(encoding="utf-8")
            table = self._platform.catalog.by_entity.get(name)
            if to == "odcs":
                return text
            if table is None:
                raise PermanentFailure(
                    f"No load of an hour fills silver.{name}, whose rules could be exported --to "
                    f"{to}. Export it --to odcs."
                )
            return export_text(table, to, text)
        entity = self.gold.one(name)
        if entity is None:
            raise PermanentFailure(
                f"No contract {name!r}. Silver: {sorted(self.silver.working)}. Gold: "
                f"{sorted(self.gold.public)}."
            )
        if to != "odcs":
            raise PermanentFailure(
                f"{name} is a model of Gold, whose rules are dbt's tests already: run them with "
                f"`retail-platform dbt -- test --select {entity}`, or export it --to odcs."
            )
        return self.gold.text(entity, today)

    def _named(self, name: str) -> list[tuple[Contracts, str]]:
        if name in self.silver.entities:
            return self._of(self.silver, [name])
        found = self._of(self.gold, self.gold.named(name))
        if not found:
            raise PermanentFailure(
                f"No contract {name!r}. Silver: {self.silver.entities}. Gold: {self.gold.entities}."
            )
        return found

    def _of(self, layer: Contracts, names: Iterable[str]) -> list[tuple[Contracts, str]]:
        return [(layer, name) for name in names]
