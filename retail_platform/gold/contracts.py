"""The contracts of Gold's public models: what dbt declares, beside what was released.

dbt's major number is the model's version, and it says when a table breaks with its readers; the
rest of the number counts the releases within it. What counts as breaking is decided where Silver's
contracts are compared (`metadata.contract_changes`): to a reader both layers are tables.

Why not dbt's own comparison (`state:modified` with `--state`): it needs the whole manifest of the
last release, lets `decimal(19,4)` become `decimal(9,2)`, and stops at the first model.

Not here: what a model promises (`public_models`), files (`metadata.contract_releases`), and the
command (`cli.contracts`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from retail_platform.failures import PermanentFailure
from retail_platform.gold.public_models import PublicModel, public_models
from retail_platform.metadata.contract import Contract
from retail_platform.metadata.contract_change import Change, Level
from retail_platform.metadata.contract_changes import END_OF_SUPPORT, compare, required_level
from retail_platform.metadata.contract_impact import Hit
from retail_platform.metadata.contract_releases import (
    Checked,
    ReleasedContracts,
    least_version,
    version_of,
)

GUIDE = "docs/model-versions.md"
READERS = ("model", "snapshot", "exposure")


class GoldContracts:
    """The contracts of a dbt project's public models.

    Their names are dbt's: ``mart_sales_kpi.v1``.

    Args:
        catalog: The catalog folder, in which released contracts are kept.
        manifest: The project's parsed manifest.

    Attributes:
        manifest: The same.
    """

    def __init__(self, catalog: Path, manifest: Mapping[str, Any]) -> None:
        self.manifest = manifest
        self._released = ReleasedContracts(catalog, "gold")

    @cached_property
    def public(self) -> dict[str, PublicModel]:
        """Every version of every public model, pre-releases among them."""
        return {str(model.version): model for model in public_models(self.manifest)}

    @cached_property
    def working(self) -> list[str]:
        """What is promised now, and may be released."""
        return sorted(
            name for name, model in self.public.items() if not model.version.is_prerelease
        )

    @cached_property
    def entities(self) -> list[str]:
        """Every version that is or was promised."""
        released = {
            f"{model}.v{version_of(number)[0]}"
            for model in self._released.entities
            for number in self._released.versions(model)
        }
        return sorted({*self.working, *released})

    def named(self, name: str) -> list[str]:
        """The contracts that a name means: one version, or all versions of a model."""
        return [one for one in self.entities if name in (one, one.partition(".")[0])]

    def one(self, name: str) -> str | None:
        """The public version that a name means: that version, or a model's latest; None if none."""
        if name in self.public:
            return name
        versions = {entity: model.version for entity, model in self.public.items()}
        return next(
            (
                entity
                for entity, version in versions.items()
                if version.model == name and version.version == version.latest
            ),
            None,
        )

    def releases(self, entity: str) -> list[str]:
        """Numbers under which a version was released, oldest first."""
        model, _, major = entity.partition(".v")
        numbers = self._released.versions(model)
        return [one for one in numbers if not major or version_of(one)[0] == int(major)]

    def check(self, entity: str, today: date) -> Checked:
        """Compares a version with its last release.

        Args:
            entity: The contract.
            today: The day on which it would be released (UTC).
        """
        model, _, major = entity.partition(".v")
        released = self._released.last(model, int(major)) if major else None
        public = self.public.get(entity)
        if public is None:
            assert released is not None, "entities are public or released"
            return _gone(entity, released, today)
        changes: list[Change] = []
        number = f"{public.version.version or 1}.0.0"
        least = None
        if released is not None:
            changes = [_advised(one, entity) for one in compare(released, public.contract(number))]
            if not public.enforced:
                changes.insert(0, _not_enforced(entity))
            least = least_version(released.version, required_level(changes))
            breaks = any(change.is_breaking for change in changes)
            number = released.version if breaks else least or released.version
        return Checked(
            entity=entity,
            released=released.version if released else None,
            working=number,
            changes=changes,
            least=least,
            problems=list(_problems(public, released, changes, today)),
        )

    def release(self, entity: str, today: date) -> Path:
        """Freezes a version as it is now; what is frozen already stays.

        Returns:
            The released file.

        Raises:
            PermanentFailure: the check says no, or nothing is there to release.
        """
        number = self._number(entity, today, "released")
        public = self.public[entity]
        return self._released.add(public.version.model, number, public.text(number))

    def text(self, entity: str, today: date) -> str:
        """A version's contract as it is now, in ODCS.

        Raises:
            PermanentFailure: the check says no, or the version is gone.
        """
        return self.public[entity].text(self._number(entity, today, "exported"))

    def _number(self, entity: str, today: date, done: str) -> str:
        """The number of a version's contract as it is now, which has to pass the check."""
        checked = self.check(entity, today)
        if checked.problems:
            raise PermanentFailure(f"{entity}: not {done}: {'; '.join(checked.problems)}.")
        if checked.working is None:
            raise PermanentFailure(f"{entity}: not {done}: the version is gone.")
        return checked.working

    def readers(self, entity: str) -> list[Hit]:
        """The models, snapshots and exposures that read a version directly; none of one gone."""
        public = self.public.get(entity)
        if public is None:
            return []
        nodes = {**self.manifest["nodes"], **self.manifest["exposures"]}
        children = (nodes.get(child, {}) for child in self.manifest["child_map"][public.unique_id])
        hits = [
            Hit(name=node.get("label") or f"gold.{node['alias']}", kind=node["resource_type"])
            for node in children
            if node.get("resource_type") in READERS
        ]
        return sorted(hits, key=lambda hit: (READERS.index(hit.kind), hit.name))


def _problems(
    public: PublicModel, released: Contract | None, changes: list[Change], today: date
) -> Iterator[str]:
    """Why a version may not go as it is."""
    version = public.version
    if version.version is None:
        yield (
            f"model {version.model} is public, and has no version on which readers could be kept: "
            f"give it latest_version: 1 and versions: [{{v: 1}}] ({GUIDE})"
        )
    if released is None and not public.enforced:
        yield f"model {version.model} is public: give it contract: {{enforced: true}}"
    if version.is_superseded and version.deprecated is None:
        yield (
            f"version {version.latest} of {version.model} is the latest: give version "
            f"{version.version} a deprecation_date, so that readers know how long they have"
        )
    told = None if released is None else _end_of_support(released)
    if version.deprecated not in (None, told) and version.deprecated <= today:
        yield (
            f"deprecation_date {version.deprecated} of {version} leaves readers no time: set a day "
            f"after {today}"
        )
    if version.is_prerelease and released is not None:
        yield (
            f"{version} was released as the latest: latest_version cannot go back to "
            f"{version.latest}"
        )
    count = sum(change.is_breaking for change in changes)
    if count:
        yield (
            f"{count} breaking change(s) within version {version.version} of {version.model}: take "
            f"them back there, and make them in version {(version.latest or 0) + 1} ({GUIDE})"
        )


def _gone(entity: str, released: Contract, today: date) -> Checked:
    model, _, major = entity.partition(".v")
    end = _end_of_support(released)
    problems = []
    if end is None:
        problems.append(
            f"readers of version {major} were never told: bring it back with a deprecation_date, "
            f"run retail-platform contracts release {model}, and drop it after that day ({GUIDE})"
        )
    elif today < end:
        problems.append(f"readers count on version {major} until {end}: bring it back until then")
    change = Change(
        column=None,
        field="schema",
        level=Level.MAJOR,
        text=f"version {major} of model {model} removed, or no longer public",
    )
    return Checked(
        entity=entity,
        released=released.version,
        working=None,
        changes=[change],
        problems=problems,
    )


def _not_enforced(entity: str) -> Change:
    return Change(
        column=None,
        field="contract",
        level=Level.MAJOR,
        text=f"contract of {entity} no longer enforced",
        counter_offer="keep contract: {enforced: true}",
    )


def _advised(change: Change, entity: str) -> Change:
    """The change with dbt's way around it in place of Silver's."""
    if not change.is_breaking or change.field.startswith("slaProperties"):
        return change
    kept = f"keep {change.column} as it is in {entity}" if change.column else f"keep {entity}"
    return replace(
        change,
        counter_offer=f"{kept}, with what is new in columns beside it; or make a new version of "
        f"the model, and keep this one until its deprecation_date ({GUIDE})",
    )


def _end_of_support(contract: Contract) -> date | None:
    end = contract.agreed(END_OF_SUPPORT)
    return None if end is None else date.fromisoformat(str(end))
