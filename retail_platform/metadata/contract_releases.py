"""Released versions of contracts, change requests, and whether a contract may be released.

A released version is a file that never changes: ``contracts/released/<layer>/<entity>/
<version>.yaml``. A change request is ``contracts/changes/<entity>-<version>.yaml``. What counts as
breaking is decided in `contract_changes`; who is hit is found in `contract_impact`.
"""

import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from retail_platform.failures import PermanentFailure
from retail_platform.metadata.contract import Contract
from retail_platform.metadata.contract_change import Change, Level
from retail_platform.metadata.contract_changes import compare, required_level
from retail_platform.metadata.values import Duration, Frozen
from retail_platform.metadata.yaml_files import read_model

LAYER = "silver"
VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
Version = tuple[int, int, int]


class ChangeRequest(Frozen):
    """A breaking change that consumers were told of, as its YAML file has it.

    Attributes:
        entity: The contract.
        version: The version that it lets through.
        reason: Why it is needed.
        announced: The day on which consumers were told.
        notice: How long they were promised to have, such as ``30d``.
        effective: The first day on which it may be released.
        signed_by: Who agreed, for the producers and for the consumers.
    """

    entity: str
    version: str
    reason: str = Field(min_length=1)
    announced: date
    notice: Duration
    effective: date
    signed_by: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _keeps_its_notice(self) -> Self:
        earliest = self.announced + self.notice
        if self.effective < earliest:
            raise ValueError(
                f"effective {self.effective} is before {earliest}: the notice of "
                f"{_days(self.notice)} from {self.announced} has not passed by then"
            )
        return self


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a contract looks like beside its last released version.

    Attributes:
        entity: The contract.
        released: The last released version; None where none was released.
        working: The version in the working file; None where the file is gone.
        changes: Every difference, breaking ones first.
        least: The version that the changes ask for at least; None without changes.
        request: The change request for the working version, if there is one.
        problems: Why it may not go; none where it may.
    """

    entity: str
    released: str | None
    working: str | None
    changes: list[Change] = field(default_factory=list)
    least: str | None = None
    request: ChangeRequest | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether it may go."""
        return not self.problems

    @property
    def breaking(self) -> list[Change]:
        """The changes that break consumers."""
        return [change for change in self.changes if change.is_breaking]


class ReleasedContracts:
    """Versions of contracts that consumers count on, each a file that never changes.

    Args:
        catalog: The catalog folder.
        layer: ``silver`` or ``gold``.
    """

    def __init__(self, catalog: Path, layer: str) -> None:
        self._folder = catalog / "contracts" / "released" / layer

    @property
    def entities(self) -> list[str]:
        """Every entity of which a version was released."""
        return sorted({path.parent.name for path in self._folder.glob("*/*.yaml")})

    def versions(self, entity: str) -> dict[str, Path]:
        """Released versions and their files, oldest first."""
        paths = {path.stem: path for path in (self._folder / entity).glob("*.yaml")}
        return {version: paths[version] for version in sorted(paths, key=version_of)}

    def last(self, entity: str, major: int | None = None) -> Contract | None:
        """The contract that consumers know; None where nothing was released.

        Args:
            entity: The contract.
            major: Only versions that begin with this number.

        Raises:
            PermanentFailure: the file was changed, so that it says another version than its name.
        """
        paths = [
            (version, path)
            for version, path in self.versions(entity).items()
            if major in (None, version_of(version)[0])
        ]
        if not paths:
            return None
        version, path = paths[-1]
        contract = read_model(path, Contract)
        if contract.version != version:
            raise PermanentFailure(
                f"{path.parent.name}/{path.name}: says version {contract.version}. Released files "
                "never change: restore it from version control."
            )
        return contract

    def add(self, entity: str, version: str, text: str) -> Path:
        """Freezes a version; one that is frozen already stays as it is.

        Returns:
            The released file.
        """
        target = self._folder / entity / f"{version}.yaml"
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        return target


class ContractFiles:
    """The contracts of a catalog folder: working, released, and the requests to change them.

    Args:
        catalog: The catalog folder.
    """

    def __init__(self, catalog: Path) -> None:
        self._root = catalog / "contracts"
        self._released = ReleasedContracts(catalog, LAYER)

    @cached_property
    def working(self) -> dict[str, tuple[Path, Contract]]:
        """Entity to file and contract, as they are now.

        Raises:
            PermanentFailure: a file does not fit the model.
        """
        paths = sorted((self._root / LAYER).glob("*.yaml"))
        read = [(path, read_model(path, Contract)) for path in paths]
        return {contract.name: (path, contract) for path, contract in read}

    @cached_property
    def entities(self) -> list[str]:
        """Every entity that has or had a contract."""
        return sorted({*self.working, *self._released.entities})

    def releases(self, entity: str) -> dict[str, Path]:
        """Released versions and their files, oldest first."""
        return self._released.versions(entity)

    def last_released(self, entity: str) -> Contract | None:
        """The contract that consumers know; None where nothing was released.

        Raises:
            PermanentFailure: the file was changed, so that it says another version than its name.
        """
        return self._released.last(entity)

    def request(self, entity: str, version: str) -> ChangeRequest | None:
        """The change request for a version, if somebody wrote one.

        Raises:
            PermanentFailure: the file does not fit, or is about something else than its name says.
        """
        path = self.request_path(entity, version)
        if not path.exists():
            return None
        request = read_model(path, ChangeRequest)
        if (request.entity, request.version) != (entity, version):
            raise PermanentFailure(
                f"{path.name}: is about {request.entity} {request.version}; its name says "
                f"{entity} {version}. Make both the same."
            )
        return request

    def request_path(self, entity: str, version: str) -> Path:
        """Where a change request is looked for."""
        return self._root / "changes" / f"{entity}-{version}.yaml"

    def check(self, entity: str, today: date) -> Checked:
        """Compares a contract with its last released version.

        Args:
            entity: The contract.
            today: The day on which it would be released.

        Raises:
            PermanentFailure: there is no such contract, or a file does not fit.
        """
        if entity not in self.entities:
            raise PermanentFailure(f"No contract {entity!r}. Contracts: {self.entities}.")
        released = self.last_released(entity)
        if entity not in self.working:
            assert released is not None, "entities are working or released"
            return self._gone(entity, released, today)
        _, working = self.working[entity]
        if released is None:
            return Checked(entity=entity, released=None, working=working.version)
        changes = compare(released, working)
        least = least_version(released.version, required_level(changes))
        # A version that did not rise yet is asked for as the one that it has to become.
        version = max(working.version, least or working.version, key=version_of)
        request = self.request(entity, version)
        problems = self._problems(entity, version, changes, request, today)
        if least is not None and version_of(working.version) < version_of(least):
            problems.append(
                f"version {working.version} does not say so: these changes need {least} or more; "
                f"set version: {least}"
            )
        if not changes and version_of(working.version) < version_of(released.version):
            problems.append(f"version {working.version} is older than {released.version}")
        return Checked(
            entity=entity,
            released=released.version,
            working=working.version,
            changes=changes,
            least=least,
            request=request,
            problems=problems,
        )

    def _gone(self, entity: str, released: Contract, today: date) -> Checked:
        change = Change(
            column=None,
            field="schema",
            level=Level.MAJOR,
            text=f"contract and table {entity} removed",
            counter_offer="keep it with status: deprecated and an endOfSupport date in its "
            "slaProperties, and remove it after that date",
        )
        least = least_version(released.version, Level.MAJOR)
        assert least is not None, "a removal is a change"
        request = self.request(entity, least)
        return Checked(
            entity=entity,
            released=released.version,
            working=None,
            changes=[change],
            least=least,
            request=request,
            problems=self._problems(entity, least, [change], request, today),
        )

    def _problems(
        self,
        entity: str,
        version: str,
        changes: list[Change],
        request: ChangeRequest | None,
        today: date,
    ) -> list[str]:
        count = sum(change.is_breaking for change in changes)
        if not count:
            return []
        if request is None:
            return [
                (
                    f"{count} breaking change(s): take the counter-offer, or agree with consumers "
                    f"and write contracts/changes/{self.request_path(entity, version).name} with "
                    "entity, version, reason, announced, notice, effective and signed_by"
                )
            ]
        if today < request.effective:
            signers = ", ".join(request.signed_by)
            return [
                (
                    f"signed by {signers}, but not to go before {request.effective}: the notice to "
                    f"the consumers is {_days(request.notice)}"
                )
            ]
        return []

    def release(self, entity: str, today: date) -> Path:
        """Freezes the present version of a contract; a version that is frozen already stays.

        Returns:
            The released file.

        Raises:
            PermanentFailure: the check of the contract says no, or it is already released as it is
                now under the same version.
        """
        checked = self.check(entity, today)
        if checked.working is None:
            raise PermanentFailure(f"No contract {entity!r} to release: its file is gone.")
        if checked.problems:
            raise PermanentFailure(f"{entity}: not released: {'; '.join(checked.problems)}.")
        path, contract = self.working[entity]
        return self._released.add(entity, contract.version, path.read_text(encoding="utf-8"))


def version_of(text: str) -> Version:
    """A version number for comparison.

    Raises:
        PermanentFailure: it is not of the form 1.2.3.
    """
    match = VERSION.fullmatch(text)
    if match is None:
        raise PermanentFailure(f"{text!r} is no version: expected three numbers, such as 1.2.3.")
    return int(match[1]), int(match[2]), int(match[3])


def least_version(released: str, level: Level | None) -> str | None:
    """The lowest version that changes of a level may have after ``released``."""
    if level is None:
        return None
    major, minor, patch = version_of(released)
    if level is Level.MAJOR:
        return f"{major + 1}.0.0"
    return f"{major}.{minor + 1}.0" if level is Level.MINOR else f"{major}.{minor}.{patch + 1}"


def _days(span: timedelta) -> str:
    return f"{span.days} days"
