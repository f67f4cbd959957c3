"""Files brought to this machine: fetched once, hashed on the way, unpacked where they are packed.

Belongs here: the temporary folder and what is in it. Not here: which files, and what is in a file
(`files`).
"""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from retail_platform.extract.archives import unpack
from retail_platform.extract.file_store import FileStore, FoundFile
from retail_platform.failures import TransientFailure
from retail_platform.metadata.file_delivery import Archive


@dataclass(frozen=True, kw_only=True)
class LandedFile:
    """A delivered file, or a member of a delivered archive, as it is read.

    Attributes:
        path: Below the root; of a member ``archive.zip!member.csv``.
        sha256: Hash of its content, unpacked: the same rows packed anew are the same content.
        bytes: Size of its content.
        local: Where its content lies on this machine.
        found: The delivered file as it was listed.
    """

    path: str
    sha256: str
    bytes: int
    local: Path
    found: FoundFile


class Spool:
    """Brings files of one store here; memory stays that of one piece of a file."""

    def __init__(
        self, store: FileStore, *, archive: Archive | None, pattern: str, name: str
    ) -> None:
        """Prepare; a folder is made when the first file needs it.

        Args:
            store: Where the files are.
            archive: How they are packed.
            pattern: Members of an archive that are read where it declares none.
            name: Source and table in messages.
        """
        self._store = store
        self._archive = archive
        self._pattern = pattern
        self._name = name
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files = 0

    def fetch(self, found: FoundFile) -> list[LandedFile]:
        """A file, or the members of an archive.

        Raises:
            OSError: the file cannot be read.
            TransientFailure: it changed since it was listed, or breaks off.
            PermanentFailure: it is an archive that cannot be unpacked.
        """
        local = self._store.local(found.path)
        if local is None:
            local = self._new_folder() / "file"
            digest, size = _copied(self._store.chunks(found.path), local)
            # What was fetched is the file as it was listed, or nobody knows what it is.
            if size != found.bytes or self._store.stat(found.path) != found:
                raise changed(self._name, found.path)
        elif self._archive is None:
            digest, size = _hashed(local)
        else:
            digest, size = "", found.bytes
        if self._archive is None:
            return [
                LandedFile(path=found.path, sha256=digest, bytes=size, local=local, found=found)
            ]
        members = unpack(
            local,
            self._archive,
            self._new_folder(),
            pattern=self._pattern,
            place=f"{self._name}, file {found.path}",
        )
        if self._store.local(found.path) is None:
            local.unlink()
        elif self._store.stat(found.path) != found:
            raise changed(self._name, found.path)
        return [
            LandedFile(
                path=found.path if member.name is None else f"{found.path}!{member.name}",
                sha256=member.sha256,
                bytes=member.bytes,
                local=member.local,
                found=found,
            )
            for member in members
        ]

    def drop(self, landed: LandedFile) -> None:
        """Gives the space of a file back that was read; does nothing to a file in its own place."""
        if self._folder is not None and Path(self._folder.name) in landed.local.parents:
            landed.local.unlink(missing_ok=True)

    def close(self) -> None:
        """Deletes what is left."""
        if self._folder is not None:
            with suppress(FileNotFoundError):
                self._folder.cleanup()
        self._folder = None

    def _new_folder(self) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="retail_platform_files_")
        self._files += 1
        folder = Path(self._folder.name) / str(self._files)
        folder.mkdir()
        return folder


def changed(name: str, path: str) -> TransientFailure:
    """A file that was said to be whole, and was not."""
    return TransientFailure(
        f"{name}, file {path}: it changed while it was read, though it counts as whole; it is "
        "tried again; have the sender write under a temporary name and rename, or write the "
        "marker last"
    )


def _copied(chunks: Iterator[bytes], target: Path) -> tuple[str, int]:
    digest = hashlib.sha256()
    size = 0
    with target.open("wb") as file:
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
    return digest.hexdigest(), size


def _hashed(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
