"""The change of the catalog's files that onboarding proposes: its diff, its proof, its writing."""

import difflib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from retail_platform.failures import PermanentFailure
from retail_platform.metadata.loader import load_catalog
from retail_platform.metadata.onboarding_proposal import Proposal

State = Literal["new", "exists", "updated", "left out"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What becomes of one table that was asked for.

    Attributes:
        source: Its source.
        table: Its name in the source.
        state: ``new``, ``exists`` (left alone), ``updated`` (new columns), or ``left out``.
        text: For people: what was found, or why it is left out.
        proposal: What would be written; None where nothing is.
    """

    source: str
    table: str
    state: State
    text: str
    proposal: Proposal | None = None


@dataclass(frozen=True, kw_only=True)
class Change:
    """One file before and after; ``before`` is None for a new one."""

    path: Path
    before: str | None
    after: str


@dataclass(frozen=True, kw_only=True)
class Onboarding:
    """A change of the catalog that is known to load.

    Attributes:
        folder: The catalog's folder.
        outcomes: What becomes of each table.
        changes: Files that would change.
    """

    folder: Path
    outcomes: tuple[Outcome, ...]
    changes: tuple[Change, ...]

    @property
    def diff(self) -> str:
        """The changes as a unified diff."""
        return "".join(
            line
            for change in self.changes
            for line in difflib.unified_diff(
                (change.before or "").splitlines(keepends=True),
                change.after.splitlines(keepends=True),
                "/dev/null" if change.before is None else f"a/{self._shown(change.path)}",
                f"b/{self._shown(change.path)}",
            )
        )

    def _shown(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def write(self) -> None:
        """Writes every file, or none.

        Raises:
            PermanentFailure: a file has changed since it was read, or cannot be written.
        """
        for change in self.changes:
            found = change.path.read_text(encoding="utf-8") if change.path.exists() else None
            if found != change.before:
                raise PermanentFailure(
                    f"{change.path.name}: changed while its diff was looked at; run onboard again"
                )
        partial: dict[Path, Path] = {}
        try:
            # Whole beside their places first: what can fail has failed before anything changes.
            for change in self.changes:
                change.path.parent.mkdir(parents=True, exist_ok=True)
                beside = change.path.with_name(f".{change.path.name}.new")
                beside.write_text(change.after, encoding="utf-8")
                partial[beside] = change.path
            for beside, path in partial.items():
                beside.replace(path)
        except OSError as error:
            for beside in partial:
                beside.unlink(missing_ok=True)
            for change in self.changes:
                _restore(change)
            raise PermanentFailure(
                f"{error.filename}: cannot be written ({error.strerror}); nothing was changed. "
                "Set RETAIL_CATALOG to a folder that can be written."
            ) from error


def prove(onboarding: Onboarding) -> None:
    """The catalog loads with the changes, or there are none to write.

    Raises:
        PermanentFailure: it does not.
    """
    if not onboarding.changes:
        return
    with _copy(onboarding.folder) as copy:
        for change in onboarding.changes:
            path = copy / change.path.relative_to(onboarding.folder)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(change.after, encoding="utf-8")
        try:
            load_catalog(copy)
        except PermanentFailure as failure:
            raise PermanentFailure(
                f"the catalog would not load with what is proposed, so nothing is written: "
                f"{failure}"
            ) from failure


@contextmanager
def _copy(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "catalog"
        if folder.is_dir():
            shutil.copytree(folder, copy)
        yield copy


def _restore(change: Change) -> None:
    if change.before is None:
        change.path.unlink(missing_ok=True)
    elif change.path.read_text(encoding="utf-8") != change.before:
        change.path.write_text(change.before, encoding="utf-8")
